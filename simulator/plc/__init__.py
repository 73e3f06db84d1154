"""What a PLC shows of its machine, and the servers that show it."""
