"""Commissioning over Modbus: finding units and registers, finding byte orders, explaining failures. Public to `tools`."""
