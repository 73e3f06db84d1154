"""What a tag selects of its node's value: an element, a field of a structure, the name of a state."""
