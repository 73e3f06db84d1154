"""The numbers of a machine's page. Queries the store: not for the event loop."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from zoneinfo import ZoneInfo

from center.console import windows
from center.console.draw import time_labels
from center.console.machine import charts, timeline, waterfall
from center.model.buckets import clock_edges
from center.model.times import iso
from center.model.viewer import Viewer
from center.queries.losses import losses
from center.queries.question import CheckedQuestion, Question, check
from center.queries.sites import site as site_detail
from center.queries.stops import StopFilter, find_stops
from center.queries.trend import sums_by_cell, trend
from center.queries.waterfall import waterfall_steps
from center.runtime.state import CenterState
from oee.kpi import kpi
from oee.model.facts import FACT, FACT_COLUMNS, STATE_COLUMNS

Row = Mapping[str, Any]
_DAY_NS: Final = 86_400_000_000_000


@dataclass(frozen=True)
class MachineNumbers:
    """One machine in one window [ns]. shift: its name, if the window is one; total: one row for the window; before: the
    same for the window of equal length before it; known_ns: when the center first knew the machine, the window's start at
    the earliest; points: a row for each bucket, None for buckets without one; steps: of the waterfall; losses: everything
    that was lost, stops by reason and what is no stop, each with its length [us].
    """

    zone: ZoneInfo
    window: tuple[int, int]
    shift: str
    known_ns: int
    site: Row
    total: Row
    before: Row
    points: Sequence[Row | None]
    labels: list[tuple[str, str]]
    steps: Sequence[Row]
    losses: Sequence[Row]


def machine_numbers(
    center: CenterState, viewer: Viewer, site: str, machine: str, view: windows.View, lang: str
) -> MachineNumbers:
    """All numbers for the same window, so that the parts of the page agree. Raises as the queries do."""
    details = site_detail(center, viewer, site)
    zone = ZoneInfo(details["timezone"])
    window = _window(center, site, machine, zone, view)
    start_ns, end_ns = window.start_ns, window.end_ns
    question = Question(viewer, site, (machine,), start_ns, end_ns)
    total = trend(center, question)["rows"]
    back_ns = _back_ns(view, end_ns - start_ns)
    before = trend(center, replace(question, start_ns=start_ns - back_ns, end_ns=end_ns - back_ns))["rows"]
    rows = trend(center, replace(question, bucket=view.bucket))["rows"]
    lost = losses(center, replace(question, by=("state", "reason")))["rows"]
    stopped = [{**row, "us": row["ms"] * 1000} for row in lost]
    steps = waterfall_steps(center, question)["rows"]
    segments = center.ledger_cache.sites.segments(site, machine, start_ns, end_ns)
    points, labels = _points(rows, view.bucket, zone, (start_ns, end_ns), lang)
    return MachineNumbers(
        zone=zone,
        window=(start_ns, end_ns),
        shift=window.shift,
        known_ns=timeline.known_since(segments, (start_ns, end_ns)),
        site=details,
        total=total[0] if total else _empty_row(),
        before=before[0] if before else _empty_row(),
        points=points,
        labels=labels,
        steps=steps,
        losses=sorted([*stopped, *waterfall.beside_stops(steps)], key=lambda row: -row["us"]),
    )


@dataclass(frozen=True)
class MachineStops:
    """What is asked about the stops of the same window, and what the timeline draws in these strips."""

    question: CheckedQuestion
    site: Row
    story: timeline.TimelineData
    strips: Sequence[timeline.Strip]


def machine_stops(
    center: CenterState, viewer: Viewer, site: str, machine: str, view: windows.View, lang: str
) -> MachineStops:
    """The timeline of a window, with the stops that are long enough to be seen. Raises as the queries do."""
    details = site_detail(center, viewer, site)
    zone = ZoneInfo(details["timezone"])
    chosen = _window(center, site, machine, zone, view)
    window = (chosen.start_ns, chosen.end_ns)
    checked = check(center, Question(viewer, site, (machine,), *window, until_now=True))
    strips = timeline.strips(window, zone, lang, None if chosen.by_day else chosen.whole_end_ns)
    seen = StopFilter(shortest_ms=timeline.shortest_ms(strips), order="longest")
    stops = sorted(find_stops(checked, seen, most=timeline.MOST_STOPS).stops, key=lambda stop: stop.start_ns)
    segments = center.ledger_cache.sites.segments(site, machine, *window)
    story = timeline.timeline_data(window, zone, segments, _hours(checked), stops)
    return MachineStops(checked, details, story, strips)


def _hours(checked: CheckedQuestion) -> Iterator[timeline.HourKnown]:
    """Sums by hour and calendar; as rows of an answer a month of them would be written and read as text in between."""
    by_hour = replace(checked, bucket="hour", by=("machine", "calendar"))
    for cell, sums in sums_by_cell(by_hour).items():
        known_ms = sum(int(sums[FACT[name]]) for name in STATE_COLUMNS)
        yield timeline.HourKnown(cell.start_ns, cell.calendar, known_ms, int(sums[FACT["running_ms"]]))


def _window(center: CenterState, site: str, machine: str, zone: ZoneInfo, view: windows.View) -> windows.ShownWindow:
    now_ns, segments = center.now_ns(), None
    if view.span in windows.SHIFTS:
        low, high = (windows.day_start_ns(zone, now_ns, days) for days in (windows.SHIFT_BACK_DAYS, -2))
        segments = center.ledger_cache.sites.segments(site, machine, low, high)
    return windows.window_of(view, segments, zone, now_ns)


def _back_ns(view: windows.View, length_ns: int) -> int:
    """Distance to the window that this one is compared with: whole days, so that it holds the same shifts."""
    days = -(-length_ns // _DAY_NS)
    return (days if view.span != "today" else 1) * _DAY_NS


def _points(
    rows: Sequence[Row], size: str, zone: ZoneInfo, window: tuple[int, int], lang: str
) -> tuple[Sequence[Row | None], list[tuple[str, str]]]:
    """Points and labels: every hour of the window; shifts, days and weeks only where there are rows."""
    if size != "hour":
        return list(rows), [charts.label_of(row, size, lang) for row in rows]
    by_start = {time_labels.parse_ns(row["start"]): row for row in rows}
    edges = clock_edges("hour", zone, *window).tolist()
    return [by_start.get(edge) for edge in edges], [
        time_labels.bucket(iso(edge, zone), "hour", "", lang) for edge in edges
    ]


def _empty_row() -> Row:
    """The row of a window in which nothing was planned and nothing happened."""
    result = kpi.compute({}, scheduled_ms=0)
    return {
        "sums": dict.fromkeys(FACT_COLUMNS, 0),
        "scheduled_ms": 0,
        "kpis": result.values,
        "why_null": result.why_null,
        "flags": [],
    }
