"""The delivery ledger: its cache in ingest, and its implementation on PostgreSQL and SQLite."""
