"""Process infrastructure: counters, periodic tasks, a child process for memory-hungry work."""
