"""Advice over HTTP: what the nightly run found."""
