"""From memory to disk: commits, the outbox's thread, the `site` body."""
