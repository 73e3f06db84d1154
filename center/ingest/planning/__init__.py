"""From an envelope to what it changes: opened, classified, validated, planned. No network, disk or clock."""
