"""Times in requests and answers: ISO 8601 with an offset, in the site's zone. Pure."""

import re
from datetime import UTC, date, datetime, tzinfo
from typing import Final

from center.model.buckets import date_start_ns
from oee.model.calendars import to_ns
from oee.model.facts import MINUTE_NS

MAX_NS: Final = 7_258_118_400_000_000_000  # the year 2200
GRACE_NS: Final = 15_000_000_000
"""How long after its end a minute may still be in transit: one commit of the gateway, and transport."""
_DEFAULT_NS: Final = 24 * 60 * MINUTE_NS
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_LOST_PLUS: Final = re.compile(r" (\d\d:?\d\d)$")


class BadQuestion(ValueError):
    """A request that cannot be answered; the message says how to correct it."""


def iso(t_ns: int, zone: tzinfo) -> str:
    """A time in ISO 8601 with the zone's offset; with milliseconds if they are not zero."""
    moment = datetime.fromtimestamp(t_ns // 1_000_000_000, UTC).replace(microsecond=t_ns // 1000 % 1_000_000)
    return moment.astimezone(zone).isoformat(timespec="milliseconds" if t_ns % 1_000_000_000 else "seconds")


def parse_time(name: str, text: str, zone: tzinfo) -> int:
    """The time in a parameter [ns UTC]; a date alone is midnight of that date in the site's zone.

    Raises `BadQuestion`.
    """
    written = _LOST_PLUS.sub(r"+\1", text.strip())  # a plus sign in a URL that is not encoded as %2B arrives as a space
    t_ns: int | None
    try:
        if _DAY.fullmatch(written):
            t_ns = date_start_ns(zone, (date.fromisoformat(written) - date(1970, 1, 1)).days)
        else:
            moment = datetime.fromisoformat(written)
            t_ns = to_ns(moment) if moment.tzinfo else None
    except (ValueError, OverflowError):
        raise BadQuestion(
            f"{name}: {text[:40]!r} is no time; write for example 2026-03-02T06:00:00%2B07:00 or 2026-03-02"
        ) from None
    if t_ns is None:
        raise BadQuestion(
            f"{name}: {text[:40]!r} has no offset; write for example {written[:25]}%2B07:00, or Z for UTC"
        )
    if not 0 <= t_ns <= MAX_NS:
        raise BadQuestion(f"{name}: {text[:40]!r} is not between 1970 and 2200")
    return t_ns


def known_day(name: str, day: date) -> date:
    """The day in a parameter, if times of it can be told. Raises `BadQuestion`."""
    if not date(1970, 1, 2) <= day < date(2200, 1, 1):
        raise BadQuestion(f"{name}: {day.isoformat()} is not between 1970 and 2200")
    return day


def window(start_ns: int | None, end_ns: int | None, now_ns: int) -> tuple[int, int]:
    """A window on whole minutes. Without an end: up to the last minute that is over; without a start: 24 hours.

    Raises `BadQuestion` if it is empty.
    """
    low = start_ns
    high = now_ns - GRACE_NS if end_ns is None else end_ns
    high = high // MINUTE_NS * MINUTE_NS
    low = (high - _DEFAULT_NS if low is None else low) // MINUTE_NS * MINUTE_NS
    if low >= high:
        raise BadQuestion("from is not before to, or no whole minute lies between them; ask for at least one minute")
    return max(low, 0), high
