"""What is wrong with the present shift: OEE below its target, pieces behind, data missing. Queries the store.

Pieces are compared with what was due in the time that is known, so that data that are late are no missing pieces.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from center.console.draw.goals import gap_of, missed_at_best
from center.model.alerts.alert import AlertKey, Gravity, Observed
from center.model.buckets import date_start_ns
from center.model.times import iso
from center.model.viewer import EVERYTHING
from center.outgoing.alerts.machines_now import MachineNow
from center.outgoing.alerts.shift_now import ShiftNow
from center.queries.question import Question, zone_of
from center.queries.trend import TrendRow, trend
from center.runtime.state import CenterState
from config.alerts import AlertKind, AlertRules

SHIFT_KINDS: Final[tuple[AlertKind, ...]] = ("oee", "pieces", "coverage")
_KPIS: Final = ("oee", "oee_low", "oee_high", "coverage")
_MIN_NS: Final = 60_000_000_000
_SETTLE_NS: Final = 2 * _MIN_NS
_CALM_NS: Final = 5 * _MIN_NS
_BACK: Final = 0.8
"""An alert stays until the distance is this part of the one at which it began."""
_COVERAGE_BACK: Final = 0.01
_FEWEST: Final = 2.0
"""Pieces that are missing at least."""


def shift_observed(
    center: CenterState, machines: Sequence[MachineNow], rules: AlertRules, now_ns: int
) -> list[Observed]:
    """Of the machines of one site that are in a shift. Raises `StoreUnavailable`."""
    if all(kind in rules.off for kind in SHIFT_KINDS):
        return []
    by_shift: dict[tuple[int, str], list[MachineNow]] = {}
    for machine in machines:
        if machine.shift:
            by_shift.setdefault((machine.shift.date, machine.shift.name), []).append(machine)
    out: list[Observed] = []
    for (date, name), of_shift in sorted(by_shift.items()):
        zone = zone_of(center, EVERYTHING, of_shift[0].site)
        rows = _rows(center, of_shift, date, name, zone, now_ns)
        for machine in of_shift:
            out += _observed(machine, rows.get(machine.id), rules, now_ns)
    return out


def _rows(
    center: CenterState, machines: Sequence[MachineNow], date: int, name: str, zone: ZoneInfo, now_ns: int
) -> dict[str, TrendRow]:
    start_ns = min(machine.duty_since_ns for machine in machines)
    if now_ns - start_ns < 2 * _MIN_NS:
        return {}  # no complete minute yet
    ids = tuple(machine.id for machine in machines)
    question = Question(EVERYTHING, machines[0].site, ids, start_ns // _MIN_NS * _MIN_NS, bucket="shift", kpis=_KPIS)
    midnight = iso(date_start_ns(zone, date), zone)
    found = trend(center, question)["rows"]
    return {row["machine"]: row for row in found if row["start"] == midnight and row.get("shift") == name}


def _observed(machine: MachineNow, row: TrendRow | None, rules: AlertRules, now_ns: int) -> Iterator[Observed]:
    shift = machine.shift
    if shift is None:
        return
    blind = row is None or not machine.online or machine.held_up
    for kind in SHIFT_KINDS:
        gravity, detail = (
            (Gravity.UNKNOWN, {}) if blind or row is None else _JUDGES[kind](row, rules, shift.part(now_ns))
        )
        yield Observed(
            AlertKey(machine.site, kind, machine.id, "", _about(shift)),
            gravity,
            shift.start_ns,
            machine.gateway,
            (machine.line,) if machine.line else (),
            _SETTLE_NS,
            _CALM_NS,
            detail={"machine": machine.name, "shift": shift.name, **detail},
        )


def _about(shift: ShiftNow) -> str:
    day = datetime.fromtimestamp(shift.date * 86_400, UTC).date()
    return f"{day.isoformat()} {shift.name}"


_Judged = tuple[Gravity, dict[str, Any]]


def _oee(row: TrendRow, rules: AlertRules, part: float) -> _Judged:
    """A target that lies within the bounds of OEE is neither reached nor missed."""
    gap, kpis, rule = gap_of(row, "oee"), row["kpis"], rules.oee
    if gap is None:
        return Gravity.CALM, {}
    best = missed_at_best(kpis, gap)
    points = gap["points"] if best is None else best
    detail = {"oee": gap["actual"], "at_most": kpis["oee_high"], "target": gap["target"], "points": points}
    if points is None:
        return Gravity.HOLDS, detail
    high = kpis["oee_high"]
    undecided = high is not None and high >= gap["target"]
    return _gravity(-points, rule.below, rule.below * _BACK, bad=part >= rule.part and not undecided), detail


def _pieces(row: TrendRow, rules: AlertRules, part: float) -> _Judged:
    gap, rule, coverage = gap_of(row, "pieces") or gap_of(row, "takt_s"), rules.pieces, row["kpis"]["coverage"]
    if gap is None or gap["pieces"] is None:
        return Gravity.CALM, {}
    made = float(row["sums"]["pieces_total"] + row["sums"].get("pieces_unwatched", 0))
    due = (made - gap["pieces"]) * (1.0 if coverage is None else coverage)
    missing = due - made
    share = missing / due if due > 0 else 0.0
    detail = {"made": made, "due": due, "missing": missing}
    return _gravity(share, rule.behind, rule.behind * _BACK, bad=part >= rule.part and missing >= _FEWEST), detail


def _coverage(row: TrendRow, rules: AlertRules, part: float) -> _Judged:
    coverage, rule = row["kpis"]["coverage"], rules.coverage
    if coverage is None:
        return Gravity.CALM, {}
    missing, limit = 1 - coverage, 1 - rule.below
    return _gravity(missing, limit, max(limit - _COVERAGE_BACK, limit * _BACK), bad=part >= rule.part), {
        "coverage": coverage
    }


def _gravity(distance: float, begins: float, holds: float, *, bad: bool) -> Gravity:
    """How bad a distance is. bad: whether it may begin an alert at all."""
    if distance >= begins and bad:
        return Gravity.BEGINS
    return Gravity.HOLDS if distance >= holds else Gravity.CALM


_JUDGES: Final = {"oee": _oee, "pieces": _pieces, "coverage": _coverage}


def wanted(observed: Iterable[Observed], rules: AlertRules) -> list[Observed]:
    """Those whose kind is no alert left out."""
    return [item for item in observed if item.key.kind not in rules.off]
