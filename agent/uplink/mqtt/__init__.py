"""One MQTT connection: where the broker is, and a session with it."""
