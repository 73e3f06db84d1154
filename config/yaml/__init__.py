"""YAML with line numbers, and complaints about it."""
