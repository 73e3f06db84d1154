"""The numbers of a machine's page. Queries the store: not for the event loop."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast
from zoneinfo import ZoneInfo

import numpy as np

from center.console import windows
from center.console.machine import timeline, value_charts, waterfall
from center.console.machine.points import Axis, TrendPoint, trend_points
from center.contract.store import Query, Store
from center.model.buckets import Bucket
from center.model.sites import sent_values
from center.model.viewer import Viewer
from center.queries.losses import losses
from center.queries.question import CheckedQuestion, Question, check, zone_of
from center.queries.sites import site as site_detail
from center.queries.stops import StopFilter, find_stops
from center.queries.trend import sums_by_cell, trend
from center.queries.values.curves import curves
from center.queries.values.rows import TagFilter
from center.queries.waterfall import waterfall_steps
from center.runtime.state import CenterState
from oee.kpi import kpi
from oee.model.facts import FACT, FACT_COLUMNS, STATE_COLUMNS, Facts

Row = Mapping[str, Any]


class _ReadByBucket:
    """A store for one page: a window is read once, by the page's buckets, and as a whole it is their sum. So its parts agree
    while new rows arrive.
    """

    def __init__(self, store: Store, bucket: Bucket) -> None:
        self._store, self._bucket, self._read = store, bucket, cache(store.facts)

    def facts(self, query: Query) -> Facts:
        """By the contract of `Store`; of a whole window only by columns that hold no shift."""
        if query.bucket != "all":
            return self._read(query)
        by = ("shift", *query.by) if self._bucket == "shift" else query.by
        return whole_window(self._read(replace(query, bucket=self._bucket, by=by)), query)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def whole_window(facts: Facts, query: Query) -> Facts:
    """The sums of the whole window from those of its buckets. query: what is asked of the whole window."""
    keys = [tuple(row) for row in zip(*(getattr(facts, name).tolist() for name in query.by), strict=True)]
    groups = {key: index for index, key in enumerate(sorted(set(keys)))}
    count = len(groups)
    sums = np.zeros((count, facts.sums.shape[1]), np.int64)
    np.add.at(sums, [groups[key] for key in keys], facts.sums)
    columns: dict[str, Any] = {
        "minute_ns": np.full(count, query.start_ns, np.int64),
        "business_date": np.zeros(count, np.int32),
        "n": np.zeros(count, np.int64),
        "calendar": np.zeros(count, np.uint8),
    }
    columns |= {name: np.full(count, "", object) for name in ("machine", "shift", "product")}
    for place, name in enumerate(query.by):
        columns[name][:] = [key[place] for key in groups]
    return Facts(**columns, sums=sums)


@dataclass(frozen=True)
class MachineNumbers:
    """One machine in one window [ns]. whole_end_ns: where the window will end; shift: its name, if the window is one; total: one
    row for the window; earlier: the window of equal length before it [ns]; before: its row; known_ns: when the center first
    knew the machine, the window's start at the earliest; points: of the trend; steps: of the waterfall; losses: everything
    that was lost, stops by reason and what is no stop, each with its length [us].
    """

    zone: ZoneInfo
    window: tuple[int, int]
    whole_end_ns: int
    shift: str
    known_ns: int
    earlier: tuple[int, int]
    site: Row
    total: Row
    before: Row
    points: Sequence[TrendPoint]
    steps: Sequence[Row]
    losses: Sequence[Row]


def machine_numbers(
    center: CenterState, viewer: Viewer, site: str, machine: str, view: windows.View, lang: str
) -> MachineNumbers:
    """All numbers for the same window, so that the parts of the page agree. Raises as the queries do."""
    center = replace(center, store=cast("Store", _ReadByBucket(center.store, cast("Bucket", view.bucket))))
    details = site_detail(center, viewer, site)
    zone = ZoneInfo(details["timezone"])
    window = _window(center, site, machine, zone, view)
    start_ns, end_ns = window.start_ns, window.end_ns
    question = Question(viewer, site, (machine,), start_ns, end_ns)
    total = trend(center, question)["rows"]
    days = windows.days_back(view, (start_ns, end_ns), zone)
    earlier = (windows.days_later(start_ns, zone, -days), windows.days_later(end_ns, zone, -days))
    earlier_question = replace(question, start_ns=earlier[0], end_ns=earlier[1])
    before = trend(center, earlier_question)["rows"]
    rows = trend(center, replace(question, bucket=view.bucket))["rows"]
    laid_over = trend(center, replace(earlier_question, bucket=view.bucket))["rows"] if view.over == "before" else []
    lost = losses(center, replace(question, by=("state", "reason")))["rows"]
    stopped = [{**row, "us": row["ms"] * 1000} for row in lost]
    steps = waterfall_steps(center, question)["rows"]
    segments = center.ledger_cache.sites.segments(site, machine, start_ns, end_ns)
    axis = Axis(view.bucket, zone, (start_ns, end_ns), segments, days)
    return MachineNumbers(
        zone=zone,
        window=(start_ns, end_ns),
        whole_end_ns=window.whole_end_ns,
        shift=window.shift,
        known_ns=timeline.known_since(segments, (start_ns, end_ns)),
        site=details,
        total=total[0] if total else _empty_row(),
        before=before[0] if before else _empty_row(),
        earlier=earlier,
        points=trend_points(axis, rows, laid_over, lang),
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


def machine_values(
    center: CenterState, viewer: Viewer, site: str, machine: str, view: windows.View
) -> value_charts.ValuesShown | None:
    """Process values of the same window; None where the machine's gateway sends none. Raises as the queries do."""
    zone = zone_of(center, viewer, site)
    chosen = _window(center, site, machine, zone, view)
    window = (chosen.start_ns, chosen.end_ns)
    if not any(machine in value.machines for value in sent_values(center.ledger_cache.sites, site).values()):
        return None
    answer = curves(center, Question(viewer, site, (machine,), *window), TagFilter())
    return value_charts.ValuesShown({**answer}, window, zone)


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
