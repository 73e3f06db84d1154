"""The SQLite file of a gateway: outbox, journal and declarations."""
