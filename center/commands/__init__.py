"""The commands of a center's operator."""
