"""The connection to the center: what is sent, when, and what its receipts free."""
