"""When the factory works: time cut into spans of one calendar class and shift."""

from bisect import bisect_right
from datetime import date, datetime, timedelta
from enum import IntEnum
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from simulator.factory import WEEKDAYS, BadFactory, Factory, ShiftSpec, to_ns

_CHUNK_DAYS = 40


class Wanted(IntEnum):
    """The calendar class of an instant."""

    SCHEDULED = 0
    BREAK = 1
    OUTSIDE = 2


class Timetable:
    """Spans of equal class and shift, in order and without gaps, computed as far as needed.

    edges: where each span begins [ns UTC]; wanted, shift: its class and shift; before: scheduled
    time before each edge [ns], so that scheduled time between two instants is one subtraction.
    """

    def __init__(self, factory: Factory) -> None:
        self._zone = ZoneInfo(factory.timezone)
        self._shifts = sorted(factory.shifts, key=lambda shift: shift.start)
        self._closed = frozenset(factory.closed)
        self._first = self._day(factory.start_ns) - timedelta(days=3)
        self._last = self._first
        self.trouble = {shift.name: shift.trouble for shift in factory.shifts}
        self.edges: list[int] = []
        self.wanted: list[Wanted] = []
        self.shift: list[str] = []
        self.before: list[int] = []
        self._add(self._wall(self._first, "00:00"), Wanted.OUTSIDE, "-")
        self._extend(factory.start_ns)

    def at(self, t_ns: int) -> int:
        """Index of the span that holds `t_ns`."""
        if t_ns >= self.edges[-2]:
            self._extend(t_ns)
        return bisect_right(self.edges, t_ns) - 1

    def next_edge(self, t_ns: int) -> int:
        """The first edge after `t_ns`: a pause or a change of shift."""
        return self.edges[self.at(t_ns) + 1]

    def next_scheduled(self, t_ns: int) -> int:
        """`t_ns` if it is scheduled, else the beginning of the next scheduled span."""
        index = self.at(t_ns)
        if self.wanted[index] == Wanted.SCHEDULED:
            return t_ns
        while self.wanted[index] != Wanted.SCHEDULED:
            index += 1
            self.at(self.edges[index])
        return self.edges[index]

    def scheduled_before(self, t_ns: int) -> int:
        """Scheduled time before `t_ns`, counted from a fixed origin [ns]."""
        index = self.at(t_ns)
        inside = t_ns - self.edges[index] if self.wanted[index] == Wanted.SCHEDULED else 0
        return self.before[index] + inside

    def sections(self, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
        """`[start_ns, end_ns)` without its parts outside the schedule."""
        sections: list[tuple[int, int]] = []
        index, position = self.at(start_ns), start_ns
        self.at(end_ns)
        while position < end_ns:
            finish = min(self.edges[index + 1], end_ns)
            if self.wanted[index] != Wanted.OUTSIDE:
                if sections and sections[-1][1] == position:
                    sections[-1] = (sections[-1][0], finish)
                else:
                    sections.append((position, finish))
            position, index = finish, index + 1
        return sections

    def arrays(self, until_ns: int) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int64]]:
        """(edges, wanted, before) as columns that reach beyond `until_ns`."""
        self.at(until_ns)
        return np.array(self.edges, np.int64), np.array(self.wanted, np.int8), np.array(self.before, np.int64)

    def _day(self, t_ns: int) -> date:
        return datetime.fromtimestamp(t_ns // 1_000_000_000, self._zone).date()

    def _extend(self, t_ns: int) -> None:
        goal = self._day(t_ns) + timedelta(days=_CHUNK_DAYS)
        while self._last < goal or len(self.edges) < 2 or self.edges[-2] <= t_ns:
            if self._last > goal + timedelta(days=400):
                raise BadFactory("shifts: nobody works for a year; check the days of the shifts and `closed`")
            for shift in self._shifts:
                if WEEKDAYS[self._last.weekday()] in shift.days and self._last not in self._closed:
                    self._add_shift(self._last, shift)
            self._last += timedelta(days=1)

    def _add_shift(self, day: date, shift: ShiftSpec) -> None:
        begin, finish = self._wall(day, shift.start), self._wall(day, shift.end, after=shift.start)
        self._add(begin, Wanted.SCHEDULED, shift.name)
        for first, last in sorted(shift.breaks, key=lambda item: self._wall(day, item[0], after=shift.start)):
            self._add(self._wall(day, first, after=shift.start), Wanted.BREAK, shift.name)
            self._add(self._wall(day, last, after=shift.start), Wanted.SCHEDULED, shift.name)
        self._add(finish, Wanted.OUTSIDE, "-")

    def _add(self, t_ns: int, wanted: Wanted, shift: str) -> None:
        """One more edge; a later edge at the same instant replaces the earlier one."""
        if self.edges and self.edges[-1] == t_ns:
            for column in (self.edges, self.wanted, self.shift, self.before):
                column.pop()
        if self.edges and (self.wanted[-1], self.shift[-1]) == (wanted, shift):
            return
        passed = self.before[-1] if self.before else 0
        if self.edges and self.wanted[-1] == Wanted.SCHEDULED:
            passed += t_ns - self.edges[-1]
        self.edges.append(t_ns)
        self.wanted.append(wanted)
        self.shift.append(shift)
        self.before.append(passed)

    def _wall(self, day: date, text: str, after: str = "") -> int:
        """A wall-clock time of that business date; one not later than `after` is on the next day."""
        hour, minute = int(text[:2]), int(text[3:])
        shown = day + timedelta(days=1) if after and text <= after else day
        return to_ns(datetime(shown.year, shown.month, shown.day, hour, minute, tzinfo=self._zone))


def shift_at(timetable: Timetable, t_ns: int) -> str:
    """The name of the shift at `t_ns`."""
    return timetable.shift[timetable.at(t_ns)]


def shift_start(timetable: Timetable, t_ns: int) -> int:
    """Where the shift at `t_ns` begins."""
    index = timetable.at(t_ns)
    while index and timetable.shift[index - 1] == timetable.shift[index]:
        index -= 1
    return timetable.edges[index]
