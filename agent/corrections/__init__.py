"""Corrections of the past: late declarations, recomputations, and times that were wrong, become differences."""
