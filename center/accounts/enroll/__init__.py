"""Accounts of gateways at the broker: credentials, and the topics that each may publish and subscribe to."""
