"""Alerts: what is observed, what becomes of it, who is told, where it is acknowledged."""
