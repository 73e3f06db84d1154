"""Reading devices: schedules, reconnection, freshness, and which values are recorded."""
