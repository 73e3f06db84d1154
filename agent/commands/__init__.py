"""The commands of a gateway: outbox, clock, declare, recompute."""
