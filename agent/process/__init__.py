"""What the process itself needs: counters, periodic tasks, a child for memory-hungry work."""
