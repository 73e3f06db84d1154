"""A site file becomes the machines of the core."""
