"""Capability statements: what a factory shows a customer, as far as its owner wants, with what is measured kept apart from what is declared."""
