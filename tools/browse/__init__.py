"""`nhip browse`: walks an OPC UA server."""
