"""Contracts of the two things that the center keeps on disk: the store of rows and the delivery ledger."""
