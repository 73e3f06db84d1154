"""Samples and declarations become facts: the one engine for live data, replay and recomputation."""
