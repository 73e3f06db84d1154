"""Calendars: when a machine is scheduled to run. Pure.

A shift belongs to the business date on which it starts (a night shift's small
hours belong to the day before), and its times are local wall-clock times of the
site's zone. Once resolved, everything is half-open intervals of UTC nanoseconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

import numpy as np

from oee.model.facts import NO_SHIFT, Int64, Text
from oee.model.states import CalendarClass

_EPOCH: Final = date(1970, 1, 1)
_DAY_NS: Final = 86_400_000_000_000


@dataclass(frozen=True)
class Rotation:
    """Days in a cycle of any length, for crews that work four days on and two off, or alternate early and late weeks.
    start: a first day of the cycle; on: days of the cycle, from 0.
    """

    days: int
    start: date
    on: frozenset[int]

    def holds(self, day: date) -> bool:
        """Whether this date is a day on."""
        return (day - self.start).days % self.days in self.on


@dataclass(frozen=True)
class Shift:
    """One shift. start_s, end_s and breaks are seconds after the business date's local
    midnight; `end_s` beyond 86,400 runs over midnight. It is worked on those of its weekdays (0 is Monday) that its
    rotation, if it has one, holds.
    """

    name: str
    weekdays: frozenset[int]
    start_s: int
    end_s: int
    breaks: tuple[tuple[int, int], ...] = ()
    rotation: Rotation | None = None

    def on(self, day: date) -> bool:
        """Whether the shift is worked on this business date, exceptions aside."""
        return day.weekday() in self.weekdays and (self.rotation is None or self.rotation.holds(day))


@dataclass(frozen=True)
class Calendar:
    """Shifts by weekday, and exceptions for whole days. zone: the site's time zone."""

    zone: tzinfo
    shifts: tuple[Shift, ...]
    exceptions: Mapping[date, tuple[Shift, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Spans:
    """A time range cut by a calendar: no gaps, no overlaps.

    start_ns, end_ns: int64[n] [ns UTC]; calendar: `CalendarClass` uint8[n];
    business_date: int32[n], days since 1970-01-01 (outside shifts the local date);
    shift: object[n] of str, `-` outside.
    """

    start_ns: Int64
    end_ns: Int64
    calendar: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]"
    business_date: "np.ndarray[tuple[int, ...], np.dtype[np.int32]]"
    shift: Text


def to_ns(moment: datetime) -> int:
    """An aware datetime as nanoseconds UTC, exact to the microsecond."""
    delta = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400_000_000 + delta.seconds * 1_000_000 + delta.microseconds) * 1000


def local_date(zone: tzinfo, t_ns: int) -> date:
    """The date on the site's wall clock at that instant."""
    return datetime.fromtimestamp(t_ns // 1_000_000_000, zone).date()


@lru_cache(maxsize=1 << 14)  # the same days again and again: of each machine, each window, each part
def _at(zone: tzinfo, day: date, seconds: int) -> int:
    """Nanoseconds UTC of a local wall-clock time `seconds` after that date's midnight.

    A wall time that a daylight-saving jump leaves out is read with the offset before it,
    one that occurs twice as its first occurrence (Python's fold=0, PEP 495).
    """
    extra, second = divmod(seconds, 86_400)
    wall = datetime.combine(day + timedelta(days=extra), datetime.min.time(), zone) + timedelta(seconds=second)
    return to_ns(wall)


def shifts_on(calendar: Calendar, day: date) -> tuple[Shift, ...]:
    """The shifts of one business date, exceptions applied."""
    special = calendar.exceptions.get(day)
    if special is not None:
        return special
    return tuple(shift for shift in calendar.shifts if shift.on(day))


def cut(calendar: Calendar, start_ns: int, end_ns: int) -> Spans:
    """`[start_ns, end_ns)` cut at every change of class, business date and shift; empty if it is empty.

    Time outside shifts is cut at local midnight, so that it has a date too. Of two shifts
    that overlap the earlier keeps its time (config refuses such a calendar).
    """
    rows: list[tuple[int, int, int, int, str]] = []
    if end_ns > start_ns:
        day = local_date(calendar.zone, start_ns) - timedelta(days=2)
        last = local_date(calendar.zone, end_ns) + timedelta(days=1)
        position = start_ns
        while day <= last:
            for shift in sorted(shifts_on(calendar, day), key=lambda item: item.start_s):
                position = _shift_rows(rows, calendar, day, shift, position, end_ns)
            day += timedelta(days=1)
        _outside_rows(rows, calendar, position, end_ns)
    text = np.empty(len(rows), object)
    text[:] = [row[4] for row in rows]
    return Spans(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.uint8),
        np.array([row[3] for row in rows], np.int32),
        text,
    )


def _shift_rows(
    rows: list[tuple[int, int, int, int, str]],
    calendar: Calendar,
    day: date,
    shift: Shift,
    position: int,
    end_ns: int,
) -> int:
    """Adds the rows up to the shift's end, both clipped to `[position, end_ns)`; returns the new position."""
    begin = max(_at(calendar.zone, day, shift.start_s), position)
    finish = min(_at(calendar.zone, day, shift.end_s), end_ns)
    if begin >= finish:
        return position
    _outside_rows(rows, calendar, position, begin)
    position = begin
    number = (day - _EPOCH).days
    for first, last in sorted(shift.breaks):
        pause = max(_at(calendar.zone, day, first), position)
        resume = min(_at(calendar.zone, day, last), finish)
        if pause >= resume:
            continue
        if pause > position:
            rows.append((position, pause, CalendarClass.SCHEDULED, number, shift.name))
        rows.append((pause, resume, CalendarClass.BREAK, number, shift.name))
        position = resume
    if position < finish:
        rows.append((position, finish, CalendarClass.SCHEDULED, number, shift.name))
    return finish


def _outside_rows(rows: list[tuple[int, int, int, int, str]], calendar: Calendar, start_ns: int, end_ns: int) -> None:
    while start_ns < end_ns:
        day = local_date(calendar.zone, start_ns)
        stop = min(_at(calendar.zone, day, 86_400), end_ns)
        if stop <= start_ns:  # a zone whose midnight does not advance; never seen, but must not loop
            stop = end_ns
        rows.append((start_ns, stop, CalendarClass.OUTSIDE, (day - _EPOCH).days, NO_SHIFT))
        start_ns = stop


def scheduled_ms(calendar: Calendar, start_ns: int, end_ns: int) -> int:
    """Scheduled time (shifts less breaks) within the window [ms]."""
    return int(scheduled_until_ms(cut(calendar, start_ns, end_ns), np.array([end_ns]))[0])


def scheduled_until_ms(spans: Spans, t_ns: Int64) -> Int64:
    """Scheduled time of these spans before each instant, int64[n] [ms]: many times are measured with one `cut`."""
    wanted = spans.calendar == CalendarClass.SCHEDULED
    start, end = spans.start_ns[wanted] // 1_000_000, spans.end_ns[wanted] // 1_000_000
    before = np.concatenate([[0], np.cumsum(end - start)])
    begun = np.searchsorted(spans.start_ns[wanted], t_ns, side="right")
    last = np.maximum(begun - 1, 0)
    if not len(start):
        return np.zeros(len(t_ns), np.int64)
    out: Int64 = np.where(begun > 0, before[last] + np.minimum(t_ns // 1_000_000, end[last]) - start[last], 0)
    return out
