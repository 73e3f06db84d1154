"""Forms for declarations."""
