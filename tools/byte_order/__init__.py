"""`nhip bytes`: type and byte order of a register."""
