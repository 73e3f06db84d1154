"""A site's own figures of a quarter by kind of machine: what it may bring to the tables. Queries the store.

A machine counts where its data can be trusted: watched for 95 % of its planned time, eight whole weeks at least. What depends on ideal
times needs all of its products' to be looked up or timed; what depends on where short stops end needs the limit of five
minutes that all sites share. The formulas are Nakajima's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from statistics import median
from typing import Final

from center.database.benchmark import OwnFigure
from center.model.buckets import date_start_ns
from center.model.sites import newest_bodies, site_machine
from center.model.viewer import EVERYTHING
from center.outgoing.benchmark.quarters import MILLION, quarter_ends
from center.outgoing.reports.answer import VERIFIED
from center.queries.question import Question, check, zone_of
from center.queries.stops import StopFilter, find_stops
from center.queries.trend import TrendRow, trend
from center.runtime.state import CenterState
from oee.advice.statistics.jackknife import FEWEST_BLOCKS, left_out
from oee.kpi import kpi
from oee.kpi.changeovers import changeovers

LEAST_COVERAGE: Final = 0.95
LEAST_WEEKS: Final = FEWEST_BLOCKS
MINOR_STOP_S: Final = 300.0
FEWEST_CHANGEOVERS: Final = 5
_FORMULA: Final = "nakajima"
_EPOCH: Final = date(1970, 1, 1)
_KPIS: Final = ("oee", "availability", "performance", "quality", "coverage")
_SHARES: Final = {
    "minor_stop_share": ("minor_stop_ms",),
    "setup_share": ("setup_ms",),
    "unplanned_share": ("unplanned_stop_ms", "breakdown_ms"),
}
_NEEDS_IDEAL: Final = frozenset({"oee", "performance"})
_NEEDS_LIMIT: Final = frozenset({"availability", "performance", "minor_stop_share", "unplanned_share"})
_MINUTE_MS: Final = 60_000


@dataclass(frozen=True)
class _Week:
    """Sums of machines in a week."""

    scheduled_ms: int
    sums: dict[str, int]


def own_figures(center: CenterState, site: str, quarter: str) -> list[OwnFigure]:
    """The site's figures; none without a trade. Raises `UnknownSite`, `BadQuestion` or `StoreUnavailable`."""
    trade = next((body.trade for body in newest_bodies(center.ledger_cache.sites, site) if body.trade), "")
    if not trade:
        return []
    weeks = _weeks(center, site, quarter)
    by_kind: dict[str, list[str]] = {}
    for machine in weeks:
        described = site_machine(center.ledger_cache.sites, site, machine)
        if described and described.kind:
            by_kind.setdefault(described.kind, []).append(machine)
    out = []
    for kind, machines in sorted(by_kind.items()):
        trusted = [machine for machine in machines if _is_trusted(weeks[machine])]
        out += _figures(center, (quarter, site, kind, trade), weeks, trusted)
    return out


def _weeks(center: CenterState, site: str, quarter: str) -> dict[str, dict[str, TrendRow]]:
    """By machine and start of week the sums of the weeks that lie wholly in the quarter."""
    zone = zone_of(center, EVERYTHING, site)
    first, after = quarter_ends(quarter)
    monday = first + timedelta(days=-first.weekday() % 7)
    end = after - timedelta(days=after.weekday())
    ends = [date_start_ns(zone, (day - _EPOCH).days) for day in (monday - timedelta(days=1), end + timedelta(days=1))]
    question = Question(
        EVERYTHING, site, (), ends[0], min(ends[1], center.now_ns()), bucket="week", by=("machine",), formula=_FORMULA, kpis=("coverage",)
    )  # fmt: skip
    out: dict[str, dict[str, TrendRow]] = {}
    for row in trend(center, question)["rows"]:
        if monday <= datetime.fromisoformat(row["start"]).date() < end:
            out.setdefault(row["machine"], {})[row["start"]] = row
    return out


def _is_trusted(weeks: dict[str, TrendRow]) -> bool:
    worked = [row for row in weeks.values() if row["scheduled_ms"]]
    if len(worked) < LEAST_WEEKS:
        return False
    whole = _added([worked])
    coverage = _kpis([whole])["coverage"]
    return coverage is not None and coverage >= LEAST_COVERAGE


def _added(rows: Iterable[Sequence[TrendRow]]) -> _Week:
    scheduled, sums = 0, dict[str, int]()
    for row in (row for some in rows for row in some):
        scheduled += row["scheduled_ms"] or 0
        for name, value in row["sums"].items():
            sums[name] = sums.get(name, 0) + value
    return _Week(scheduled, sums)


def _kpis(weeks: Sequence[_Week]) -> dict[str, float | None]:
    sums: dict[str, int] = {}
    for week in weeks:
        for name, value in week.sums.items():
            sums[name] = sums.get(name, 0) + value
    scheduled_ms = sum(week.scheduled_ms for week in weeks)
    return dict(kpi.compute(sums, scheduled_ms=scheduled_ms, formula=_FORMULA, only=_KPIS).values)


def _busy_ms(weeks: Sequence[_Week]) -> int:
    return sum(
        int(kpi.terms(week.sums, scheduled_ms=week.scheduled_ms, all_ms=None, formula=_FORMULA).busy_ms)
        for week in weeks
    )


def _figures(
    center: CenterState,
    key: tuple[str, str, str, str],
    by_machine: dict[str, dict[str, TrendRow]],
    machines: Sequence[str],
) -> list[OwnFigure]:
    quarter, site, kind, trade = key
    verified = _verified(center, site, quarter, machines)
    limited = {name for name in machines if _limit_s(center, site, name) == MINOR_STOP_S}
    out = []
    for measure in (*_KPIS[:4], *_SHARES):
        used = [name for name in machines if not (measure in _NEEDS_LIMIT and name not in limited)]
        used = [name for name in used if not (measure in _NEEDS_IDEAL and name not in verified)]
        weeks = _together([by_machine[name] for name in used])
        found = left_out(weeks, partial(_value, measure))
        if found is None:
            continue
        low, value, high = (round(part * MILLION) for part in found)
        weight_ms = _busy_ms(weeks)
        weekly_u = round(weight_ms / _MINUTE_MS / len(weeks) * MILLION)
        out.append(OwnFigure(quarter, site, kind, measure, trade, weight_ms, value, low, high, weekly_u))
    weeks = _together([by_machine[name] for name in machines])
    lengths = _changeovers(center, site, quarter, machines)
    if len(lengths) >= FEWEST_CHANGEOVERS and weeks:
        value_u, weekly_u = round(median(lengths) * MILLION), round(len(lengths) / len(weeks) * MILLION)
        out.append(
            OwnFigure(quarter, site, kind, "changeover_min", trade, _busy_ms(weeks), value_u, None, None, weekly_u)
        )
    return out


def _together(machines: Sequence[dict[str, TrendRow]]) -> list[_Week]:
    """The machines' sums by week, of the weeks in which any was planned to work."""
    starts = sorted({start for weeks in machines for start in weeks})
    found = [_added([[weeks[start] for weeks in machines if start in weeks]]) for start in starts]
    return [week for week in found if week.scheduled_ms]


def _value(measure: str, weeks: Sequence[_Week]) -> float | None:
    if measure not in _SHARES:
        return _kpis(weeks)[measure]
    busy = _busy_ms(weeks)
    spent = sum(week.sums.get(name, 0) for week in weeks for name in _SHARES[measure])
    return spent / busy if busy else None


def _limit_s(center: CenterState, site: str, machine: str) -> float:
    described = site_machine(center.ledger_cache.sites, site, machine)
    return described.minor_stop_at_most_s if described else 0.0


def _window(center: CenterState, site: str, quarter: str, machines: Sequence[str], by: tuple[str, ...]) -> Question:
    zone = zone_of(center, EVERYTHING, site)
    start_ns, end_ns = (date_start_ns(zone, (day - _EPOCH).days) for day in quarter_ends(quarter))
    return Question(EVERYTHING, site, tuple(machines), start_ns, min(end_ns, center.now_ns()), by=by, kpis=())


def _verified(center: CenterState, site: str, quarter: str, machines: Sequence[str]) -> set[str]:
    """The machines all of whose products have an ideal time that somebody looked up or timed."""
    if not machines:
        return set()
    unsure: set[str] = set()
    for row in trend(center, _window(center, site, quarter, machines, ("machine", "product")))["rows"]:
        if not row["sums"]["pieces_total"]:
            continue
        body = center.ledger_cache.sites.body_of(site, row["machine"])
        product = body.products.get(row.get("product") or "") if body else None
        if product is None or product.source not in VERIFIED:
            unsure.add(row["machine"])
    return set(machines) - unsure


def _changeovers(center: CenterState, site: str, quarter: str, machines: Sequence[str]) -> list[float]:
    """How long each changeover between known products took [min]."""
    if not machines:
        return []
    checked = check(center, _window(center, site, quarter, machines, ("machine",)))
    stops = find_stops(checked, StopFilter()).stops
    return [item.setup_ms / _MINUTE_MS for item in changeovers(stops).changeovers]
