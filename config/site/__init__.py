"""The site file, apart from its devices."""
