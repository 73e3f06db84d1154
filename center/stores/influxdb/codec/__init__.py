"""What goes over the wire to InfluxDB and back: line protocol, InfluxQL, JSON answers, refusals. Nothing here does I/O."""
