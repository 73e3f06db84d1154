"""MQTT messages become rows in the store, and receipts."""
