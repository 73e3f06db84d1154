"""Corrections of the past (late declarations, recomputations, wrong times), sent as differences."""
