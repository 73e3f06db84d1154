"""What crosses the network and the disk: topics, envelopes, receipts and their bodies. Pure."""
