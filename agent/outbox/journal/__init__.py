"""The journal: what is kept of the last days so that a correction can reach behind settled time."""
