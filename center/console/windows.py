"""The window of time that a page shows. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from center.model.buckets import HOUR_NS, clock_edges, date_start_ns
from center.model.sites import Segments
from center.model.times import iso, known_day
from center.model.times import window as whole_minutes
from oee.model.calendars import cut, local_date
from oee.model.facts import MINUTE_NS, NO_SHIFT

SHIFTS: Final = ("shift", "last_shift")
DATES: Final = "dates"
RANGES: Final = (*SHIFTS, "today", "yesterday", "24h", "7d", "30d")
"""What a click selects; beside them any dates."""
BUCKETS: Final = ("hour", "shift", "day", "week")
_SHORT: Final = ("hour", "shift")
_WEEKS: Final = ("shift", "hour", "day")
_LONG: Final = ("day", "shift", "week")
_FITTING: Final = dict.fromkeys(RANGES, _SHORT) | {"7d": _WEEKS, "30d": _LONG}
_DAYS: Final = {"today": 0, "yesterday": 1, "7d": 6, "30d": 29}
_MOST_DAYS: Final = 366
SHIFT_BACK_DAYS: Final = 4
"""How far back to search for the last shift: a weekend and an adjacent holiday."""


@dataclass(frozen=True)
class View:
    """The selection of a machine's page: a range and a bucket that fits it. first, last: local dates as the URL has them, for
    the range `dates`.
    """

    span: str
    bucket: str
    first: str = ""
    last: str = ""

    @property
    def words(self) -> dict[str, str]:
        """The selection as parameters of a URL."""
        return {key: value for key, value in vars(self).items() if value}


def view(span: str, bucket: str, first: str = "", last: str = "") -> View:
    """A selection from a URL; what is unknown or does not fit is replaced by the defaults, and dates in the wrong order
    are exchanged.
    """
    days = sorted(day for day in (_date(first), _date(last)) if day)
    if span == DATES and days:
        begin, end = days[0], min(days[-1], days[0] + timedelta(days=_MOST_DAYS - 1))
        possible = fitting(View(DATES, "", begin.isoformat(), end.isoformat()))
        return View(DATES, bucket if bucket in possible else possible[0], begin.isoformat(), end.isoformat())
    valid_span = span if span in RANGES else "24h"
    return View(valid_span, bucket if bucket in _FITTING[valid_span] else _FITTING[valid_span][0])


def fitting(selected: View) -> Sequence[str]:
    """The buckets that a range can be cut into, the usual one first."""
    if selected.span != DATES:
        return _FITTING[selected.span]
    days = (date.fromisoformat(selected.last) - date.fromisoformat(selected.first)).days + 1
    return _SHORT if days <= 2 else _WEEKS if days <= 14 else _LONG


def _date(text: str) -> date | None:
    try:
        return known_day("", date.fromisoformat(text))
    except ValueError:
        return None


@dataclass(frozen=True)
class ShownWindow:
    """A window [ns]. whole_end_ns: where it will end, for one that is not over yet; shift: the shift's name, if it is one;
    by_day: whether it is whole days.
    """

    start_ns: int
    end_ns: int
    whole_end_ns: int
    shift: str = ""
    by_day: bool = True


def window_of(selected: View, segments: Segments | None, zone: ZoneInfo, now_ns: int) -> ShownWindow:
    """The window of a selection. segments: of the machine's calendars in the last days, for shifts. Where there is no such
    shift, or none of the days has begun, it is the last 24 hours.
    """
    begun = _shifts(segments, now_ns - 2 * MINUTE_NS) if selected.span in SHIFTS else []
    place = 1 if selected.span == "shift" else 2
    name, by_day = "", True
    if len(begun) >= place:
        (start_ns, whole_end_ns, _, name), by_day = begun[-place], False
    elif selected.span == DATES:
        first, last = date.fromisoformat(selected.first), date.fromisoformat(selected.last) + timedelta(days=1)
        start_ns, whole_end_ns = (date_start_ns(zone, day.toordinal() - _EPOCH_ORDINAL) for day in (first, last))
    elif selected.span in _DAYS:
        start_ns = start_of(selected.span, zone, now_ns)
        whole_end_ns = day_start_ns(zone, now_ns, 0 if selected.span == "yesterday" else -1)
    else:
        start_ns = whole_end_ns = now_ns
    if start_ns >= now_ns - 2 * MINUTE_NS:
        start_ns, by_day = start_of("24h", zone, now_ns), False
        whole_end_ns = start_ns + 24 * HOUR_NS
    over_ns = whole_end_ns if whole_end_ns <= now_ns else None
    start_ns, end_ns = whole_minutes(start_ns, over_ns, now_ns)
    return ShownWindow(start_ns, end_ns, max(whole_end_ns, end_ns), name, by_day)


def start_of(span: str, zone: ZoneInfo, now_ns: int) -> int:
    """Start of a range: whole days, except the last 24 hours, which begin on an hour."""
    if span == "24h":
        return int(clock_edges("hour", zone, now_ns - 23 * HOUR_NS, now_ns)[0])
    return day_start_ns(zone, now_ns, _DAYS[span])


def day_start_ns(zone: ZoneInfo, now_ns: int, days_back: int) -> int:
    """Local midnight of today or some days before. Just after midnight, while no minute of the new day is complete, the
    previous day still counts as today.
    """
    today = local_date(zone, now_ns - 2 * MINUTE_NS)
    return date_start_ns(zone, today.toordinal() - _EPOCH_ORDINAL - days_back)


_EPOCH_ORDINAL: Final = 719_163  # date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class PresentShift:
    """The current shift, or the last one. start: local midnight of its business date, as answers contain it; on: whether it
    is the current one.
    """

    name: str
    start: str
    on: bool


def present_shift(segments: Segments | None, zone: ZoneInfo, now_ns: int) -> PresentShift | None:
    """The last shift that had begun by now; None without a calendar, or without a shift in the last days."""
    begun = _shifts(segments, now_ns - 1)
    if not begun:
        return None
    low_ns, high_ns, date_number, name = begun[-1]
    return PresentShift(name, iso(date_start_ns(zone, date_number), zone), low_ns < now_ns <= high_ns)


def _shifts(segments: Segments | None, by_ns: int) -> list[tuple[int, int, int, str]]:
    """The shifts that have begun by then, in order of time: start and end [ns], business date, name."""
    found: dict[tuple[int, str], tuple[int, int]] = {}
    for calendar, start_ns, end_ns in segments or ():
        spans = cut(calendar, start_ns, end_ns)
        for index in np.flatnonzero(spans.shift != NO_SHIFT).tolist():
            key = (int(spans.business_date[index]), str(spans.shift[index]))
            low, high = int(spans.start_ns[index]), int(spans.end_ns[index])
            found[key] = (min(low, found[key][0]), max(high, found[key][1])) if key in found else (low, high)
    return sorted((low, high, *key) for key, (low, high) in found.items() if low <= by_ns)
