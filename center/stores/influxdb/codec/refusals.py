"""What a refusal of InfluxDB means. Pure.

A request may be accepted in part: the server stores what it can and answers with an error that counts dropped rows. The
count is a lower bound (of two causes in one request only one is reported), so refused rows are found by bisection,
which costs only time: writing a row again changes nothing.
"""

import re
from datetime import UTC, datetime
from enum import Enum
from typing import Final

_DROPPED: Final = re.compile(r"dropped=(\d+)")
_LIMITS: Final = ("max-values-per-tag", "max-series-per-database", "cache-max-memory-size")
"""Limits of the server, which its operator must raise: the rows are not at fault."""
_LIMITS_OF_QUERIES: Final = ("max-select-series", "max-select-point", "max-select-buckets", "query-timeout")
_CONTENT: Final = (400, 422)
_TOO_LARGE: Final = 413


_TYPES: Final = re.compile(r'input field "?([^" ]+)"? on .*?is type (\w+), already exists as type (\w+)', re.DOTALL)
_SERIES: Final = re.compile(r"(?:\\.|[^ \\])*")
_MOST_CHARACTERS: Final = 200


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


def too_much(text: str) -> bool:
    """Whether the server refuses a question for what it would cost, and would answer another one."""
    return any(limit in text for limit in _LIMITS_OF_QUERIES)


def reason(text: str) -> str:
    """A refusal in few words, whatever the version: 1.13 names all tags of the oldest and the newest point.

    >>> reason('partial write: field type conflict: input field "cycles" on measurement "facts" is type integer, '
    ...        'already exists as type float dropped=1')
    'type conflict: cycles is integer here, float at the server'
    """
    if match := _TYPES.search(text):
        return f"type conflict: {match[1]} is {match[2]} here, {match[3]} at the server"
    if "retention policy" in text.lower():
        return "beyond the retention policy: the server keeps no rows so old"
    return short(text)


def named(line: str) -> str:
    """A line as a message names it: its series and time.

    >>> named("facts,machine=press-1,site=a cycles=1i 1772442000000000000")
    'facts,machine=press-1,site=a at 2026-03-02T09:00:00Z'
    """
    match = _SERIES.match(line)
    time_ns = int(line.rsplit(" ", 1)[-1])
    at = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{short(match[0] if match else line)} at {at}"


def short(text: str) -> str:
    """A message of the server, cut where it becomes long."""
    line = " ".join(text.split())
    return line if len(line) <= _MOST_CHARACTERS else f"{line[: _MOST_CHARACTERS - 4]} ..."
