"""Command lines of this room. Each command imports what it runs only when it is used."""
