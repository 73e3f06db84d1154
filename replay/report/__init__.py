"""Tables and pages about a replay."""
