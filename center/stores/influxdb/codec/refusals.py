"""What a refusal of InfluxDB means. Pure.

A request may be accepted in part: the server stores what it can and answers with an error that counts dropped rows. The
count is a lower bound (of two causes in one request only one is reported), so refused rows are found by bisection,
which costs only time: writing a row again changes nothing.
"""

import re
from enum import Enum
from typing import Final

_DROPPED: Final = re.compile(r"dropped=(\d+)")
_LIMITS: Final = ("max-values-per-tag", "max-series-per-database", "cache-max-memory-size")
"""Limits of the server, which its operator must raise: the rows are not at fault."""
_CONTENT: Final = (400, 422)
_TOO_LARGE: Final = 413


class Blame(Enum):
    """The cause of a refusal."""

    ROWS = "some of the rows"
    SIZE = "the request is too large"
    SERVER = "the server, for now"


def blame(status: int, text: str) -> Blame:
    """The cause of an HTTP status other than success. text: the server's message."""
    if status == _TOO_LARGE:
        return Blame.SIZE
    if status in _CONTENT and not any(limit in text for limit in _LIMITS):
        return Blame.ROWS
    return Blame.SERVER


def all_refused(text: str, lines: int) -> bool:
    """Whether the server reports that it dropped all of these lines."""
    match = _DROPPED.search(text)
    return lines == 1 or (match is not None and int(match[1]) >= lines)
