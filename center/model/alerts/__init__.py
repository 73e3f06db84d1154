"""Which alerts begin, go on and end, and whom they are owed to."""
