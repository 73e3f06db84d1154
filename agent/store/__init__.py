"""What is worked out in memory goes to disk: commits, the outbox's thread, the site body."""
