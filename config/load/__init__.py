"""Reading site and center files."""
