"""The journal: what is kept of the last days, so that corrections can reach back before the settled time."""
