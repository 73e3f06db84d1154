"""InfluxDB 1.8 and later as a store."""
