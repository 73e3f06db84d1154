"""Commissioning over OPC UA: browsing a server, explaining failures."""
