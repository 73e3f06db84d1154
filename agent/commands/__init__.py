"""The commands that run on a gateway: outbox, clock, declare, recompute."""
