"""The page at the machine: what it shows, what is entered on it, and the server."""
