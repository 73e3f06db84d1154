"""All machines that a viewer may see."""
