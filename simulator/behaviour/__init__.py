"""How one machine behaves: runs, stops and cycles, planned a stretch at a time."""
