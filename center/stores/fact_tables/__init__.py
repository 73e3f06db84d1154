"""Facts and losses as tables of a DuckDB file: shared by the embedded store and the cache of hourly sums of InfluxDB."""
