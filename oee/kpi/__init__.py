"""What is computed from summed facts."""
