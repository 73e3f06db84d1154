"""Gateways' accounts at the broker: who may connect, with which secret, and what each may say and hear."""
