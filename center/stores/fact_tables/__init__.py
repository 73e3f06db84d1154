"""Facts and losses as tables of a DuckDB file: shared by the embedded store and by InfluxDB's cache of hourly sums."""
