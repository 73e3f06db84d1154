"""Modbus RTU on a serial line, or through a converter that passes serial frames."""
