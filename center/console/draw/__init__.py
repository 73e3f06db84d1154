"""HTML and SVG from Python: elements, signs, names, and the pieces that several pages draw."""
