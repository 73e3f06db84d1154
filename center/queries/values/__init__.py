"""Process values: rows of tags, and curves of many rows."""
