"""Complaints that need more than one key of the site file."""
