"""The window of time that a page shows. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from center.model.buckets import clock_edges, date_start_ns
from center.model.sites import Segments
from center.model.times import iso, known_day
from center.model.times import window as whole_minutes
from oee.model.calendars import cut, local_date, to_ns
from oee.model.facts import HOUR_NS, MINUTE_NS, NO_SHIFT

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
OVERLAYS: Final = ("target", "before", "none")
"""What is laid over the trend, the usual one first."""
LEAST_NS: Final = 10 * MINUTE_NS
"""The shortest window that zooming leads to."""
_DAY_NS: Final = 24 * HOUR_NS
_WEEK_DAYS: Final = 7
SHIFT_BACK_DAYS: Final = 4
"""How far back to search for the last shift: a weekend and an adjacent holiday."""


@dataclass(frozen=True)
class View:
    """The selection of a machine's page: a range and a bucket that fits it. first, last: for the range `dates` local dates as
    the URL has them, the last one included, or local times of day (`2026-03-02T08:30`), the last one excluded; over: what
    is laid over the trend, one of `OVERLAYS`.
    """

    span: str
    bucket: str
    first: str = ""
    last: str = ""
    over: str = OVERLAYS[0]

    @property
    def words(self) -> dict[str, str]:
        """The selection as parameters of a URL."""
        return {key: value for key, value in vars(self).items() if value and (key, value) != ("over", OVERLAYS[0])}


def view(span: str, bucket: str, first: str = "", last: str = "", over: str = "") -> View:
    """A selection from a URL; what is unknown or does not fit is replaced by the defaults, and dates in the wrong order
    are exchanged.
    """
    laid = over if over in OVERLAYS else OVERLAYS[0]
    texts = sorted((text for text in (first, last) if _wall(text)), key=_begin)
    if span == DATES and texts:
        begin, end = _short(texts[0]), _short(texts[-1])
        most = _begin(begin) + timedelta(days=_MOST_DAYS)
        end = end if _end(end) <= most else (most.date() - timedelta(days=1)).isoformat()
        if _begin(begin) < _end(end):
            possible = fitting(View(DATES, "", begin, end))
            return View(DATES, bucket if bucket in possible else possible[0], begin, end, laid)
    valid_span = span if span in RANGES else "24h"
    possible = _FITTING[valid_span]
    return View(valid_span, bucket if bucket in possible else possible[0], over=laid)


def fitting(selected: View) -> Sequence[str]:
    """The buckets that a range can be cut into, the usual one first."""
    if selected.span != DATES:
        return _FITTING[selected.span]
    days = (_end(selected.last) - _begin(selected.first)) / timedelta(days=1)
    return _SHORT if days <= 2 else _WEEKS if days <= 14 else _LONG


def _wall(text: str) -> datetime | None:
    """Local time of a word of the URL, the beginning of the day for a date; None for what is none."""
    try:
        wall = datetime.fromisoformat(text)
        known_day("", wall.date())
    except ValueError:
        return None
    return None if wall.tzinfo else wall.replace(second=0, microsecond=0)


def _short(text: str) -> str:
    wall = _begin(text)
    return text[:10] if len(text) == len("2026-03-02") else wall.isoformat(timespec="minutes")


def _begin(text: str) -> datetime:
    """Of a word that is a date or a time."""
    return datetime.fromisoformat(text).replace(second=0, microsecond=0)


def _end(text: str) -> datetime:
    """Where a last date or time ends."""
    return _begin(text) + (timedelta(days=1) if "T" not in text else timedelta())


def view_of(window: tuple[int, int], zone: ZoneInfo, selected: View) -> View:
    """The selection of a window [ns], with the bucket and the overlay of another one where they fit; whole days as dates."""
    first = datetime.fromtimestamp(window[0] // 1_000_000_000, zone).replace(tzinfo=None, second=0)
    last = datetime.fromtimestamp(-(-window[1] // MINUTE_NS) * 60, zone).replace(tzinfo=None)
    if first.time() == last.time() == time.min:
        words = (first.date().isoformat(), (last.date() - timedelta(days=1)).isoformat())
    else:
        words = (first.isoformat(timespec="minutes"), last.isoformat(timespec="minutes"))
    return view(DATES, selected.bucket, *words, selected.over)


def zoomed(window: tuple[int, int], factor: float, now_ns: int) -> tuple[int, int]:
    """A window [ns] of the same middle and so many times the length, at least `LEAST_NS` and no later than now."""
    middle, half = sum(window) // 2, max(round((window[1] - window[0]) * factor), LEAST_NS) // 2
    late_ns = max(middle + half - now_ns, 0) if factor > 1 else 0
    return middle - half - late_ns, middle + half - late_ns


def moved(window: tuple[int, int], zone: ZoneInfo, steps: int) -> tuple[int, int]:
    """The window [ns] so many lengths later; one of whole days by whole days."""
    walls = [datetime.fromtimestamp(t_ns // 1_000_000_000, zone) for t_ns in window]
    if all(wall.time() == time.min for wall in walls):
        days = (walls[1].date() - walls[0].date()).days * steps
        start_ns, end_ns = (days_later(t_ns, zone, days) for t_ns in window)
        return start_ns, end_ns
    length_ns = (window[1] - window[0]) * steps
    return window[0] + length_ns, window[1] + length_ns


def days_later(t_ns: int, zone: ZoneInfo, days: int) -> int:
    """The same local time so many calendar days later, or earlier."""
    wall = datetime.fromtimestamp(t_ns // 1_000_000_000, zone).replace(tzinfo=None) + timedelta(days=days)
    return to_ns(wall.replace(tzinfo=zone)) + t_ns % 1_000_000_000


def days_back(selected: View, window: tuple[int, int], zone: ZoneInfo) -> int:
    """Calendar days to the window that this one is compared with: as many as it has, so that it holds the same shifts; of
    more than a week, and by week, whole weeks, so that it holds the same weekdays.
    """
    begin, end = (datetime.fromtimestamp(t_ns // 1_000_000_000, zone).replace(tzinfo=None) for t_ns in window)
    days = 1 if selected.span == "today" else max(-((begin - end) // timedelta(days=1)), 1)
    return -(-days // _WEEK_DAYS) * _WEEK_DAYS if days > _WEEK_DAYS or selected.bucket == "week" else days


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
    begun = shifts_until(segments, now_ns - 2 * MINUTE_NS) if selected.span in SHIFTS else []
    place = 1 if selected.span == "shift" else 2
    name, by_day = "", True
    if len(begun) >= place:
        (start_ns, whole_end_ns, _, name), by_day = begun[-place], False
    elif selected.span == DATES:
        walls = (_begin(selected.first), _end(selected.last))
        start_ns, whole_end_ns = (to_ns(wall.replace(tzinfo=zone)) for wall in walls)
        by_day = "T" not in selected.first + selected.last or whole_end_ns - start_ns > _DAY_NS
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
    begun = shifts_until(segments, now_ns - 1)
    if not begun:
        return None
    low_ns, high_ns, date_number, name = begun[-1]
    return PresentShift(name, iso(date_start_ns(zone, date_number), zone), low_ns < now_ns <= high_ns)


def shifts_until(segments: Segments | None, by_ns: int) -> list[tuple[int, int, int, str]]:
    """The shifts that have begun by then, in order of time: start and end [ns], business date, name."""
    found: dict[tuple[int, str], tuple[int, int]] = {}
    for calendar, start_ns, end_ns in segments or ():
        spans = cut(calendar, start_ns, end_ns)
        for index in np.flatnonzero(spans.shift != NO_SHIFT).tolist():
            key = (int(spans.business_date[index]), str(spans.shift[index]))
            low, high = int(spans.start_ns[index]), int(spans.end_ns[index])
            found[key] = (min(low, found[key][0]), max(high, found[key][1])) if key in found else (low, high)
    return sorted((low, high, *key) for key, (low, high) in found.items() if low <= by_ns)
