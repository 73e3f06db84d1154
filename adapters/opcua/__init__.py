"""OPC UA: subscriptions, security and values."""
