"""Which envelopes have been stored, and who owns which machine."""
