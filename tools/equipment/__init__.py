"""`nhip equipment`: the equipment profiles that come with the program, and the lines of a site file that use one."""
