"""`nhip scan`: finds devices."""
