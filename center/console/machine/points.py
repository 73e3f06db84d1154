"""The points of a machine's trend: what happened in each bucket, and what happened in it a period earlier. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from center.console import windows
from center.console.draw import time_labels
from center.model.buckets import clock_edges
from center.model.sites import Segments
from center.model.times import iso
from oee.model.calendars import to_ns
from oee.model.facts import HOUR_NS

Row = Mapping[str, Any]
Span = tuple[int, int]
_DAYS: Final = {"shift": 1, "day": 1, "week": 7}


@dataclass(frozen=True)
class TrendPoint:
    """A bucket. row: None where nothing was planned and nothing happened; label, name: short and full; span: its time within
    the window [ns]; before: the row of the same bucket a period earlier, None without one.
    """

    row: Row | None
    label: str
    name: str
    span: Span
    before: Row | None = None


@dataclass(frozen=True)
class Axis:
    """What the points lie on. size: of a bucket; window [ns]; segments: the machine's calendars in it; days_back: calendar
    days to the period before.
    """

    size: str
    zone: ZoneInfo
    window: Span
    segments: Segments | None
    days_back: int


def trend_points(axis: Axis, rows: Sequence[Row], before: Sequence[Row], lang: str) -> list[TrendPoint]:
    """Every hour of the window; shifts, days and weeks only where there are rows. rows, before: of `trend` by this bucket, in
    the window and in the one before; they are matched by local date, time of day and shift.
    """
    earlier = {_key(row, axis.days_back): row for row in reversed(before)}
    if axis.size == "hour":
        by_start = {time_labels.parse_ns(row["start"]): row for row in rows}
        edges = clock_edges("hour", axis.zone, *axis.window).tolist()
        found = [(by_start.get(edge), iso(edge, axis.zone), "", (edge, edge + HOUR_NS)) for edge in edges]
    else:
        spans = _date_spans(axis)
        found = [(row, row["start"], row.get("shift", ""), _date_span(axis, spans, row)) for row in rows]
    out = []
    for row, start, shift, span in found:
        label, name = time_labels.bucket(start, axis.size, shift, lang)
        then = earlier.get((time_labels.parse(start).replace(tzinfo=None), shift))
        out.append(TrendPoint(row, label, name, _within(span, axis.window), then))
    return out


def _key(row: Row, days_later: int) -> tuple[datetime, str]:
    wall = time_labels.parse(row["start"]).replace(tzinfo=None)
    return wall + timedelta(days=days_later), row.get("shift", "")


def _date_spans(axis: Axis) -> list[tuple[datetime, str, Span]]:
    """The shifts in the window: local midnight of the business date, name, time."""
    shifts = windows.shifts_until(axis.segments, axis.window[1])
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001  # local
    return [(epoch + timedelta(days=number), name, (low, high)) for low, high, number, name in shifts]


def _date_span(axis: Axis, spans: Iterable[tuple[datetime, str, Span]], row: Row) -> Span:
    """From the first start to the last end of the bucket's shifts; whole local days where no shift is known."""
    begin = time_labels.parse(row["start"]).replace(tzinfo=None)
    end = begin + timedelta(days=_DAYS[axis.size])
    shift = row.get("shift", "") if axis.size == "shift" else ""
    of_bucket = [span for day, name, span in spans if begin <= day < end and (not shift or name == shift)]
    if not of_bucket:
        return to_ns(begin.replace(tzinfo=axis.zone)), to_ns(end.replace(tzinfo=axis.zone))
    return min(low for low, _ in of_bucket), max(high for _, high in of_bucket)


def _within(span: Span, window: Span) -> Span:
    low, high = max(span[0], window[0]), min(span[1], window[1])
    return (low, high) if low < high else window
