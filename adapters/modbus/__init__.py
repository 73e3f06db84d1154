"""Modbus: what TCP and serial lines share. Planning, frames, decoding and the life of a line."""
