"""Scheduled time by bucket and shift, from calendars: what facts are compared with. Pure.

A silent gateway leaves no rows; only the calendar knows that some were expected.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from center.model.buckets import BY_DATE, Bucket, clock_edges, date_start_ns, first_date
from oee.model.calendars import Calendar, Spans, cut
from oee.model.facts import MS_NS, Int64
from oee.model.states import CalendarClass


@dataclass(frozen=True)
class Expected:
    """What the calendar expects of one machine in one window.

    scheduled: (bucket's start [ns], shift) to scheduled time [ms], without zeros.
    all_ms: bucket's start to the part of the window in it, whatever its class [ms].
    break_ms: bucket's start to its breaks [ms], without zeros.
    """

    scheduled: dict[tuple[int, str], int] = field(default_factory=dict)
    all_ms: dict[int, int] = field(default_factory=dict)
    break_ms: dict[int, int] = field(default_factory=dict)


def expected(bucket: Bucket, segments: Iterable[tuple[Calendar, int, int]], window: tuple[int, int]) -> Expected:
    """Scheduled time of a machine whose calendar was each `(calendar, start_ns, end_ns)` in turn.

    window: of the whole query, so that buckets start where the store's do.
    """
    out = Expected()
    for calendar, start_ns, end_ns in segments:
        low, high = max(start_ns, window[0]), min(end_ns, window[1])
        if low >= high:
            continue
        spans = cut(calendar, low, high)
        if bucket in BY_DATE:
            _by_date(out, bucket, calendar, spans)
        else:
            _by_clock(out, clock_edges(bucket, calendar.zone, *window), window[1], spans)
    return out


def _lengths_ms(spans: Spans) -> Int64:
    out: Int64 = spans.end_ns // MS_NS - spans.start_ns // MS_NS
    return out


def _by_date(out: Expected, bucket: Bucket, calendar: Calendar, spans: Spans) -> None:
    firsts = first_date(bucket, spans.business_date.astype(np.int64)).tolist()
    rows = zip(firsts, spans.shift.tolist(), spans.calendar.tolist(), _lengths_ms(spans).tolist(), strict=True)
    starts: dict[int, int] = {}
    for first, shift, code, length_ms in rows:
        if first not in starts:
            starts[first] = date_start_ns(calendar.zone, first)
        _add(out, starts[first], shift, length_ms, CalendarClass(code))


def _by_clock(out: Expected, edges: Int64, end_ns: int, spans: Spans) -> None:
    """Differences of the scheduled time before each edge, so that each span is read once."""
    bounds = np.append(edges, end_ns)
    for shift in sorted(set(spans.shift.tolist())):
        of_shift = spans.shift == shift
        for kind in CalendarClass:
            rows = of_shift & (spans.calendar == kind)
            if not rows.any():
                continue
            parts = np.diff(_time_before(bounds, spans.start_ns[rows], spans.end_ns[rows]))
            for index in np.flatnonzero(parts).tolist():
                _add(out, int(edges[index]), shift, int(parts[index]), kind)


def _time_before(t_ns: Int64, start_ns: Int64, end_ns: Int64) -> Int64:
    """How much of the spans lies before each time [ms]; spans ascending and disjoint."""
    starts, ends, times = start_ns // MS_NS, end_ns // MS_NS, t_ns // MS_NS
    total = np.concatenate([np.zeros(1, np.int64), np.cumsum(ends - starts)])
    index = np.searchsorted(starts, times, side="right")
    last = np.maximum(index - 1, 0)
    unfinished = np.where(index > 0, np.maximum(ends[last] - times, 0), 0)
    out: Int64 = total[index] - unfinished
    return out


def _add(out: Expected, start_ns: int, shift: str, length_ms: int, kind: CalendarClass) -> None:
    out.all_ms[start_ns] = out.all_ms.get(start_ns, 0) + length_ms
    if not length_ms:
        return
    if kind == CalendarClass.SCHEDULED:
        key = (start_ns, shift)
        out.scheduled[key] = out.scheduled.get(key, 0) + length_ms
    elif kind == CalendarClass.BREAK:
        out.break_ms[start_ns] = out.break_ms.get(start_ns, 0) + length_ms
