"""What to improve, found in a machine's facts and stops, and what an action brought. SciPy is loaded here only."""
