"""`nhip demo`: a simulated factory, an agent, an embedded broker and a center, and a comparison of their results with
the simulator's true figures.

Beside `nhip.py` and the tests, the only code that may import every room.
"""
