"""Connections to devices for the tools."""
