"""Stores: `duckdb` embedded in the center's process, `influxdb` on a server. `center.contract.store` is their contract."""
