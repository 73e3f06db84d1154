"""What several rules measure in a window: losses at edges, repairs, slots of a shift. Pure."""
