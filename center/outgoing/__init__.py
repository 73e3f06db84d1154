"""What the center says by itself, to people who are not looking at it: shift reports and alerts."""
