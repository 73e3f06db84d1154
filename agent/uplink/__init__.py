"""The connection to the center: what is sent and when, and the handling of its receipts."""
