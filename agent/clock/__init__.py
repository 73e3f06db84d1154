"""Gateway time: whether it can be trusted, and what happens to rows recorded before it was."""
