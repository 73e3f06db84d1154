"""`nhip check`: reads and judges each tag."""
