"""HTTP for whoever keeps the center itself: its metrics and copies of what it keeps."""
