"""The server: routes, the gate that every request passes, open pages."""
