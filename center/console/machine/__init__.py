"""One machine over a window of time."""
