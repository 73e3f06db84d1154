"""The demo: a simulated factory, an agent, an embedded broker and a center, and the proof that they tell the truth.

Part of the front door: the only place beside the tests that sees every room.
"""
