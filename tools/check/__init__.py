"""`nhip check`: validates a site file, then reads each tag and reports what is wrong with it."""
