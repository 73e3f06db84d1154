"""How one machine behaves: runs, stops and cycles, planned one segment at a time."""
