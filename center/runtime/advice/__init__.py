"""The nightly look at all machines: what to improve, from the rows that the store has."""
