"""What needs somebody: the page with which an engineer opens the day."""
