"""Computes facts from rows of devices, in memory."""
