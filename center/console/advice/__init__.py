"""What to improve: the worklist of findings, and the page of one."""
