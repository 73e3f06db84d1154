"""Commits facts and corrections to the outbox."""
