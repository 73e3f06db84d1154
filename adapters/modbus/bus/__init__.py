"""A Modbus bus: a TCP socket or a serial line that several units share, and the frames on it."""
