"""Hourly and daily sums of the embedded store: their tables, which of them may answer a query, and their upkeep."""
