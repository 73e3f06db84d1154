"""The center as a process, and the HTTP application that it serves."""

from center.run.process import END_S, run

__all__ = ["END_S", "run"]
