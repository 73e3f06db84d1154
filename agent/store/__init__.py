"""Writes to the outbox: commits, the outbox's thread, the `site` body."""
