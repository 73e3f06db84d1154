"""Samples, calendars, machines, declarations, facts: the types of the domain."""
