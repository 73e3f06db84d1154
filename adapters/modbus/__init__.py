"""Modbus: what TCP and serial lines share. Request planning, frames, decoding, and sharing a line."""
