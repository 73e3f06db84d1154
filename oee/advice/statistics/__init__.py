"""Estimates with honest uncertainty: of ratios of sums, of events in time, and of values by their order."""
