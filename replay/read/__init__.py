"""Recorded files become samples."""
