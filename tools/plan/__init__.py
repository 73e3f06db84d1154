"""`nhip plan`: the requests of each device."""
