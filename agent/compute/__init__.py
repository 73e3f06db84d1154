"""Rows of devices become facts, in memory."""
