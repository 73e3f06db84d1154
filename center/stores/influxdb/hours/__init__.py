"""Sums of hours: which are up to date, the file that caches them, and their upkeep."""
