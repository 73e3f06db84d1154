"""Counting: how far a counter may go, and what a step of it was."""
