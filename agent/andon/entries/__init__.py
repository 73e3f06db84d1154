"""What people enter, and what follows from it. Pure."""
