"""What a refusal of InfluxDB means. Pure.

A request may be taken in part: the server stores what it can and answers with an error that counts what it dropped.
The count is a lower bound (of two kinds of trouble in one request only one is told), so the rows refused are found by
asking for halves, which costs nothing but time: the same row again changes nothing.
"""

import re
from enum import Enum
from typing import Final

_DROPPED: Final = re.compile(r"dropped=(\d+)")
_LIMITS: Final = ("max-values-per-tag", "max-series-per-database", "cache-max-memory-size")
"""Limits of the server that hold for every row to come: its operator's to raise, and no fault of these rows."""
_CONTENT: Final = (400, 422)
_TOO_LARGE: Final = 413


class Blame(Enum):
    """Whose fault a refusal is."""

    ROWS = "some of the rows"
    SIZE = "the request is too large"
    SERVER = "the server, for now"


def blame(status: int, text: str) -> Blame:
    """Whose fault an HTTP status other than success is. text: what the server says about it."""
    if status == _TOO_LARGE:
        return Blame.SIZE
    if status in _CONTENT and not any(limit in text for limit in _LIMITS):
        return Blame.ROWS
    return Blame.SERVER


def all_refused(text: str, lines: int) -> bool:
    """Whether the server says that it dropped every one of these lines."""
    found = _DROPPED.search(text)
    return lines == 1 or (found is not None and int(found[1]) >= lines)
