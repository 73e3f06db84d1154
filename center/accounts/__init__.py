"""People and programs at the center: who they are, which sites are theirs, and what was changed by whom."""
