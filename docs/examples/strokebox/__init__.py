"""Counter boxes that answer lines of text over TCP."""
