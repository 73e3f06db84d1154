"""Questions over several sites: comparisons, and the greatest losses."""
