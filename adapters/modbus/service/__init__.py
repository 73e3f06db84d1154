"""Commissioning over Modbus: finding units and registers, finding byte orders, explaining failures. `tools` imports these modules directly."""
