"""A statement's lines from the store, the actions and the issued months. Queries the store: not for the event loop."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np

from center.model.buckets import date_start_ns
from center.model.sites import newest_bodies, site_machine
from center.model.viewer import Viewer
from center.outgoing.statement.content import MILLION, CapabilityLine, LineKey, Mark
from center.queries.question import Question, check, zone_of
from center.queries.stops import StopFilter, find_stops
from center.queries.trend import trend
from center.runtime.state import CenterState
from oee.advice.statistics.failures import between_failures
from oee.kpi import kpi
from oee.kpi.changeovers import changeovers
from oee.model.calendars import local_date

MEASURED_DAYS: Final = 91
"""So many whole days are measured: thirteen weeks."""
FEWEST_CHANGEOVERS: Final = 5
_EPOCH: Final = date(1970, 1, 1)
_HOUR_MS: Final = 3_600_000
_WEEK_H: Final = 168
_BAND: Final = 0.05
"""OEE is told to five points."""


@dataclass(frozen=True)
class MeasuredPeriod:
    """Days that are measured, both included, with their ends [ns UTC]."""

    first: date
    last: date
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class _Kind:
    machines: Sequence[str]
    sums: Mapping[str, int]
    scheduled_ms: int | None


def measured_period(center: CenterState, viewer: Viewer, site: str) -> MeasuredPeriod:
    """The thirteen weeks up to yesterday."""
    zone = zone_of(center, viewer, site)
    after = local_date(zone, center.now_ns())
    first = after - timedelta(days=MEASURED_DAYS)
    ends = [date_start_ns(zone, (day - _EPOCH).days) for day in (first, after)]
    return MeasuredPeriod(first, after - timedelta(days=1), ends[0], ends[1])


def trade_of(center: CenterState, site: str) -> str:
    """The site's trade, "" where its files do not say."""
    return next((body.trade for body in newest_bodies(center.ledger_cache.sites, site) if body.trade), "")


def measured_lines(
    center: CenterState, viewer: Viewer, site: str, period: MeasuredPeriod, wanted: Collection[str]
) -> list[CapabilityLine]:
    """The lines that are measured, by kind of machine. Raises `UnknownSite`, `BadQuestion` or `StoreUnavailable`."""
    by_kind = _kinds(center, viewer, site, period)
    out: list[CapabilityLine] = []
    for kind, found in by_kind.items():
        values = kpi.compute(
            found.sums, scheduled_ms=found.scheduled_ms, only=("oee_low", "oee_high", "coverage")
        ).values
        terms = kpi.terms(found.sums, scheduled_ms=found.scheduled_ms, all_ms=None)
        coverage = values["coverage"]

        def line(key: LineKey, count: int, *parts: float, of: str = kind, covered: float | None = coverage) -> None:
            if key in wanted:
                out.append(_line(key, "measured", of, parts, covered, count))

        count = len(found.machines)
        line("machines", count, count, covered=None)
        used_ms = found.sums.get("running_ms", 0) + found.sums.get("minor_stop_ms", 0) + found.sums.get("setup_ms", 0)
        weeks = (period.end_ns - period.start_ns) / 1e9 / 3600 / _WEEK_H
        line("hours_free", count, max(count * _WEEK_H - used_ms / _HOUR_MS / weeks, 0.0))
        low, high = values["oee_low"], values["oee_high"]
        if low is not None and high is not None:
            line("oee", count, np.floor(low / _BAND) * _BAND, np.ceil(min(high, 2.0) / _BAND) * _BAND)
        judged = found.sums.get("pieces_judged", 0)
        if judged > 0:
            rejects = found.sums.get("pieces_startup_reject", 0) + found.sums.get("pieces_process_reject", 0)
            line("reject_ppm", count, rejects / judged * 1e6)
        failures = between_failures(terms["failures"], (terms.unit_ms + terms["failures_ms"]) / _HOUR_MS)
        if failures is not None:
            parts = [failures.low, *(value for value in (failures.value, failures.high) if value is not None)]
            line("mtbf", int(terms["failures"]), *parts)
        if "changeover" in wanted:
            lengths = _changeovers(center, viewer, site, period, found.machines)
            if len(lengths) >= FEWEST_CHANGEOVERS:
                line("changeover", len(lengths), *np.quantile(lengths, (0.5, 0.9)))
    return out


def counted_line(key: LineKey, mark: Mark, count: int) -> CapabilityLine:
    """A line that is a number of things."""
    return _line(key, mark, "", (count,), None, count)


def _line(
    key: LineKey, mark: Mark, kind: str, parts: Sequence[float], covered: float | None, count: int
) -> CapabilityLine:
    coverage_u = None if covered is None else round(covered * MILLION)
    values_u = tuple(round(float(part) * MILLION) for part in parts)
    return CapabilityLine(key=key, mark=mark, kind=kind, values_u=values_u, coverage_u=coverage_u, count=count)


def _kinds(center: CenterState, viewer: Viewer, site: str, period: MeasuredPeriod) -> dict[str, _Kind]:
    question = Question(viewer, site, (), period.start_ns, period.end_ns, by=("machine",), kpis=())
    machines: dict[str, list[str]] = {}
    sums: dict[str, dict[str, int]] = {}
    scheduled: dict[str, int | None] = {}
    for row in trend(center, question)["rows"]:
        described = site_machine(center.ledger_cache.sites, site, row["machine"])
        kind = described.kind if described else ""
        machines.setdefault(kind, []).append(row["machine"])
        of_kind = sums.setdefault(kind, {})
        for name, value in row["sums"].items():
            of_kind[name] = of_kind.get(name, 0) + value
        before, more = scheduled.get(kind, 0), row["scheduled_ms"]
        scheduled[kind] = None if before is None or more is None else before + more
    return {kind: _Kind(machines[kind], sums[kind], scheduled[kind]) for kind in sorted(machines)}


def _changeovers(
    center: CenterState, viewer: Viewer, site: str, period: MeasuredPeriod, machines: Sequence[str]
) -> list[float]:
    """How long changeovers between known products took [min]."""
    question = Question(viewer, site, tuple(machines), period.start_ns, period.end_ns, by=("machine",), kpis=())
    found = find_stops(check(center, question), StopFilter()).stops
    return [item.setup_ms / 60_000 for item in changeovers(found).changeovers]
