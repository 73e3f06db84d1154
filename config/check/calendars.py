"""Cross-checks of calendars: time zone, shifts, breaks, exceptions."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import combinations
from math import lcm
from zoneinfo import ZoneInfo, available_timezones

from config.site.model import CalendarModel, ExceptionModel, ShiftModel, Site
from config.site.shifts import breaks_of, compile_shift, shift_end_s
from config.yaml.complaints import Complaint, Path, SourceMap, nearest
from config.yaml.times import DAY_S
from oee.model.facts import NO_SHIFT

_MONDAY = date(2024, 1, 1)


def check_calendars(site: Site, source: SourceMap) -> Iterator[Complaint]:
    """Everything wrong with the site's calendar and the named ones."""
    yield from _check_zone(site.timezone, source)
    yield from _check_calendar(site.calendar(""), (), source)
    for name in site.calendars:
        yield from _check_calendar(site.calendar(name), ("calendars", name), source)


def _check_zone(zone: str, source: SourceMap) -> Iterator[Complaint]:
    if not is_zone(zone):
        near = nearest(zone, available_timezones())
        yield source.complain("unknown_zone", ("timezone",), zone, near=near)


def is_zone(name: str) -> bool:
    """Whether there is such a time zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown name, or a path
        return False
    return True


def _check_calendar(calendar: CalendarModel, above: Path, source: SourceMap) -> Iterator[Complaint]:
    yield from _check_shifts(calendar.shifts, (*above, "shifts"), source)
    yield from _check_week(calendar.shifts, (*above, "shifts"), source)
    seen: dict[date, int] = {}
    for number, exception in enumerate(calendar.exceptions):
        path = (*above, "exceptions", number)
        yield from _check_shifts(exception.shifts, (*path, "shifts"), source)
        if exception.last is not None and exception.last < exception.first:
            yield source.complain("end_before_start", (*path, "to"), exception.last, start=exception.first)
            continue
        for day in days_of(exception):
            if day in seen:
                yield source.complain("exception_twice", (*path, "date"), day, day=day)
                break
            seen[day] = number
        yield from _check_day(calendar, exception, path, source)


def days_of(exception: ExceptionModel) -> list[date]:
    """The days of an exception, first and last included."""
    length = ((exception.last or exception.first) - exception.first).days
    return [exception.first + timedelta(days=step) for step in range(length + 1)]


def _check_shifts(shifts: Sequence[ShiftModel], path: Path, source: SourceMap) -> Iterator[Complaint]:
    for number, shift in enumerate(shifts):
        where = (*path, number)
        if shift.name == NO_SHIFT:
            yield source.complain("shift_name_taken", (*where, "name"), shift.name)
        if shift.start_s == shift.end_s:
            yield source.complain("empty_shift", (*where, "to"), shift.name)
            continue
        end_s = shift_end_s(shift)
        spans = breaks_of(shift)
        for index, (first, last) in enumerate(spans):
            written = shift.breaks[index]
            text = "-".join(f"{seconds // 3600:02}:{seconds % 3600 // 60:02}" for seconds in written)
            spot = (*where, "breaks", index)
            if first >= last:
                yield source.complain("end_before_start", spot, text, start=text.split("-")[0])
            elif first < shift.start_s or last > end_s:
                yield source.complain("break_outside_shift", spot, text, shift=shift.name)
        for (one, two), (three, four) in combinations(sorted(spans), 2):
            if one < four and three < two:
                yield source.complain("breaks_overlap", (*where, "breaks"), shift.name, shift=shift.name)
                break


def _spans(shifts: Sequence[ShiftModel]) -> list[tuple[int, int, int]]:
    """(start, end, number) of each shift in a week, or in the common period of all rotations
    [s after a Monday's midnight].
    """
    return [
        (day * DAY_S + shift.start_s, day * DAY_S + shift_end_s(shift), number)
        for number, shift in enumerate(shifts)
        for day in range(_round_days(shifts))
        if shift.start_s != shift.end_s and compile_shift(shift).on(_MONDAY + timedelta(days=day))
    ]


def _round_days(shifts: Sequence[ShiftModel]) -> int:
    """Period of the week and all rotations together [days], at most two years."""
    return min(lcm(7, *(shift.rotation.days for shift in shifts if shift.rotation)), 728)


def _check_week(shifts: Sequence[ShiftModel], path: Path, source: SourceMap) -> Iterator[Complaint]:
    reported = set()
    around_s = _round_days(shifts) * DAY_S
    for (one, two, first), (three, four, second) in combinations(_spans(shifts), 2):
        together = any(one < four + turn and three + turn < two for turn in (-around_s, 0, around_s))
        if together and (first, second) not in reported:
            reported.add((first, second))
            earlier, later = shifts[first], shifts[second]
            yield source.complain("shifts_overlap", (*path, second), later.name, other=earlier.name, shift=later.name)


def _check_day(
    calendar: CalendarModel, exception: ExceptionModel, path: Path, source: SourceMap
) -> Iterator[Complaint]:
    """Overlaps of an exception's shifts with each other and with the days around it."""
    own = [
        (shift.start_s, shift_end_s(shift), shift.name) for shift in exception.shifts if shift.start_s != shift.end_s
    ]
    special = {day for item in calendar.exceptions for day in days_of(item)}
    days = days_of(exception)
    around: list[tuple[int, int, str]] = []
    for day, offset in ((days[0] - timedelta(days=1), -DAY_S), (days[-1] + timedelta(days=1), DAY_S)):
        usual = () if day in special else calendar.shifts
        around += [
            (shift.start_s + offset, shift_end_s(shift) + offset, shift.name)
            for shift in usual
            if compile_shift(shift).on(day)
        ]
    pairs = list(combinations(own, 2)) + [(one, two) for one in around for two in own]
    for (one, two, first), (three, four, second) in pairs:
        if one < four and three < two:
            yield source.complain("shifts_overlap", (*path, "shifts"), second, other=first, shift=second)
