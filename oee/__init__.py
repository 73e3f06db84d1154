"""The domain: samples become a timeline, a timeline becomes facts, facts become KPIs.

Pure: NumPy and the standard library without I/O. Nothing here knows a clock, a
file or a network; whoever calls tells it the time.
"""
