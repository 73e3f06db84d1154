"""`nhip doctor`: what this computer lacks for an agent."""
