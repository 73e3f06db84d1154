"""The page on which targets are seen and set."""
