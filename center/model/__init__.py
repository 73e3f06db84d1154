"""Pure domain: sites and calendars, buckets of time, retention, viewers."""
