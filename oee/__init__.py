"""The domain: samples become a timeline, a timeline becomes facts, facts become KPIs.

Pure: NumPy and the standard library without I/O. Nothing here reads a clock, a file or a network; the time is an
argument.
"""
