"""The report's numbers, computed from answers of the API and from nothing else. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field
from typing_extensions import TypedDict

from center.queries.gateways import HolesAnswer
from center.queries.question import Name, WindowAnswer
from center.queries.sites import LiveAnswer, MachineAnswer, SiteDetailAnswer
from center.queries.stops import StopRow
from center.queries.targets import TargetGap
from center.queries.trend import TrendAnswer, TrendRow
from center.queries.waterfall import WaterfallStepRow

LONGEST: Final = 5
UNEXPLAINED: Final = 10
LOW_COVERAGE: Final = 0.98
WIDE: Final = 0.02
"""Bounds of OEE further apart than this are shown."""
VERIFIED: Final = ("design", "timed")
"""Sources of an ideal time that somebody has looked up or measured."""
REPORT_KPIS: Final = (
    "oee", "availability", "performance", "quality", "oee_low", "oee_high", "coverage", "availability_performance",
)  # fmt: skip
_IDLE: Final = ("running", "minor_stop", "planned_stop", "unknown")
"""States that are no stop to talk about, or that nobody can explain."""


class ReportMachine(TypedDict):
    """A machine's result. uncertain: coverage is below 98 % or the bounds of OEE are more than 2 points apart."""

    machine: str
    machine_name: Name
    line: str
    scheduled_ms: int | None
    kpis: dict[str, float | None]
    why_null: dict[str, str]
    flags: list[str]
    pieces: int
    judged: int
    good: int
    rejects: int
    rework: int
    uncertain: bool
    targets: list[TargetGap]


class ReportStop(TypedDict):
    """A stop. ms: the part of it that lies in the report's window; end: null while it lasts."""

    machine: str
    machine_name: Name
    start: str
    end: str | None
    ms: int
    state: str
    reason: str
    reason_name: Name
    product: str


class Unexplained(TypedDict):
    """Stops that need a reason and have none. ms: all of them; rows: the longest."""

    count: int
    ms: int
    rows: list[ReportStop]


class ReportProduct(TypedDict):
    """What was made of a product. source: of its ideal time."""

    product: str
    product_name: Name
    pieces: int
    good: int
    judged: int
    rejects: int
    source: str
    verified: bool


class ReportPieces(TypedDict):
    """All machines together. due: pieces that should have been made; null unless every machine has a target."""

    pieces: int
    judged: int
    good: int
    rejects: int
    rework: int
    due: float | None


class ReportTrust(TypedDict):
    """How far the numbers can be trusted."""

    scheduled_ms: int
    known_ms: int
    unknown_ms: Annotated[int, Field(description="Scheduled time that the gateways themselves do not know.")]
    missing_ms: Annotated[int, Field(description="Scheduled time of which nothing has arrived.")]
    missing_envelopes: int
    low_coverage: Annotated[list[str], Field(description="Machines with coverage below 98 %.")]
    unverified: Annotated[list[str], Field(description="Products made whose ideal time nobody has verified.")]
    without_calendar: int


class ReportCall(TypedDict):
    """A call for help that is open now."""

    machine: str
    machine_name: Name
    kind: str
    step: str
    since: str


class ReportAnswer(WindowAnswer):
    """A shift or a day of a site. shift: empty for a whole day; running: it is not over yet."""

    site_name: Name
    date: str
    shift: str
    line: str
    line_name: Name
    running: bool
    formula: str
    machines: list[ReportMachine]
    steps: list[WaterfallStepRow]
    longest: list[ReportStop]
    unexplained: Unexplained
    products: list[ReportProduct]
    pieces: ReportPieces
    trust: ReportTrust
    calls: list[ReportCall]


@dataclass(frozen=True)
class ReportPeriod:
    """What the report is about. start: of the bucket that answers name it by; until: the end of its window, as a time."""

    date: str
    shift: str
    line: str
    start: str
    running: bool


@dataclass(frozen=True)
class ReportSources:
    """Answers of the API about the report's window: `/sites/{site}`, `/machines`, `/trend` by machine, without groups and by
    product, `/waterfall` without groups, `/stops` that began in scheduled time, all and unexplained ones, `/holes`, `/live`.
    """

    period: ReportPeriod
    site: SiteDetailAnswer
    machines: Sequence[MachineAnswer]
    by_machine: TrendAnswer
    together: TrendAnswer
    by_product: TrendAnswer
    steps: Sequence[WaterfallStepRow]
    stops: Sequence[StopRow]
    unexplained: Sequence[StopRow]
    holes: HolesAnswer
    live: Sequence[LiveAnswer]


def report_of(sources: ReportSources) -> ReportAnswer:
    """The report. Everything in it is a number of the answers, a sum or a choice of them."""
    period, window = sources.period, sources.by_machine
    names = {row["id"]: row["name"] for row in sources.machines}
    ends = (datetime.fromisoformat(window["from"]), datetime.fromisoformat(window["to"]))
    mine: dict[str, TrendRow] = {row["machine"]: row for row in _of_period(sources.by_machine["rows"], period)}
    machines = [_machine(row, mine[row["id"]]) for row in sources.machines if row["id"] in mine]

    def told(row: StopRow) -> ReportStop:
        return _stop(row, names, sources.site["reasons"], ends)

    stops = [told(row) for row in sources.stops if row["state"] not in _IDLE]
    unexplained = [told(row) for row in sources.unexplained]
    lines = {row["line"]: row.get("line_name", {}) for row in sources.machines}
    return {
        "site": window["site"],
        "from": window["from"],
        "to": window["to"],
        "timezone": window["timezone"],
        "site_name": sources.site["name"],
        "date": period.date,
        "shift": period.shift,
        "line": period.line,
        "line_name": lines.get(period.line, {}) if period.line else {},
        "running": period.running,
        "formula": window["formula"],
        "machines": machines,
        "steps": _of_period(sources.steps, period),
        "longest": _longest(stops, LONGEST),
        "unexplained": {
            "count": len(unexplained),
            "ms": sum(row["ms"] for row in unexplained),
            "rows": _longest(unexplained, UNEXPLAINED),
        },
        "products": _products(_of_period(sources.by_product["rows"], period), sources.site),
        "pieces": _pieces(machines, _of_period(sources.together["rows"], period)),
        "trust": _trust(sources, machines),
        "calls": [
            {"machine": row["machine"], "machine_name": names.get(row["machine"], {}), **call}
            for row in sources.live
            if row["machine"] in names
            for call in row.get("calls", ())
        ],
    }


def _of_period(rows: Iterable[Any], period: ReportPeriod) -> list[Any]:
    """The rows of the period's bucket: buckets of other shifts and days touch the window too."""
    return [
        row
        for row in rows
        if row["start"] == period.start and (not period.shift or row.get("shift", period.shift) == period.shift)
    ]


def _rejects(sums: Mapping[str, int]) -> int:
    return sums["pieces_startup_reject"] + sums["pieces_process_reject"]


def _machine(machine: MachineAnswer, row: TrendRow) -> ReportMachine:
    sums, kpis = row["sums"], row["kpis"]
    low, high, coverage = kpis["oee_low"], kpis["oee_high"], kpis["coverage"]
    wide = low is not None and high is not None and high - low > WIDE
    return {
        "machine": machine["id"],
        "machine_name": machine["name"],
        "line": machine["line"],
        "scheduled_ms": row["scheduled_ms"],
        "kpis": kpis,
        "why_null": row["why_null"],
        "flags": row["flags"],
        "pieces": sums["pieces_total"] + sums["pieces_unwatched"],
        "judged": sums["pieces_judged"],
        "good": sums["pieces_good"],
        "rejects": _rejects(sums),
        "rework": sums["pieces_rework"],
        "uncertain": wide or (coverage is not None and coverage < LOW_COVERAGE),
        "targets": row.get("targets", []),
    }


def _stop(
    row: StopRow, names: Mapping[str, Name], reasons: Mapping[str, Any], ends: tuple[datetime, datetime]
) -> ReportStop:
    begin = max(datetime.fromisoformat(row["start"]), ends[0])
    end = ends[1] if row["end"] is None else min(datetime.fromisoformat(row["end"]), ends[1])
    reason = row["reason"]
    return {
        "machine": row["machine"],
        "machine_name": names.get(row["machine"], {}),
        "start": row["start"],
        "end": row["end"],
        "ms": max(round((end - begin).total_seconds() * 1000), 0),
        "state": row["state"],
        "reason": reason,
        "reason_name": reasons[reason]["name"] if reason in reasons else {},
        "product": row["product"],
    }


def _longest(stops: Iterable[ReportStop], most: int) -> list[ReportStop]:
    return sorted(stops, key=lambda row: (-row["ms"], row["start"], row["machine"]))[:most]


def _products(rows: Sequence[TrendRow], site: SiteDetailAnswer) -> list[ReportProduct]:
    found: list[ReportProduct] = []
    for row in rows:
        sums, key = row["sums"], row.get("product") or ""
        made = sums["pieces_total"] + sums["pieces_unwatched"]
        if not made and not sums["pieces_judged"]:
            continue
        known = site["products"].get(key)
        source = known["source"] if known and known["ideal_s"] else ""
        found.append(
            {
                "product": key,
                "product_name": known["name"] if known else {},
                "pieces": made,
                "good": sums["pieces_good"],
                "judged": sums["pieces_judged"],
                "rejects": _rejects(sums),
                "source": source,
                "verified": source in VERIFIED,
            }
        )
    return sorted(found, key=lambda item: (-item["pieces"], item["product"]))


def _pieces(machines: Sequence[ReportMachine], together: Sequence[TrendRow]) -> ReportPieces:
    gaps = [gap for row in together for gap in row.get("targets", ()) if gap["kind"] == "pieces"]
    return {
        "pieces": sum(row["pieces"] for row in machines),
        "judged": sum(row["judged"] for row in machines),
        "good": sum(row["good"] for row in machines),
        "rejects": sum(row["rejects"] for row in machines),
        "rework": sum(row["rework"] for row in machines),
        "due": gaps[0]["target"] if gaps else None,
    }


def _trust(sources: ReportSources, machines: Sequence[ReportMachine]) -> ReportTrust:
    holes = sources.holes
    products = _products(_of_period(sources.by_product["rows"], sources.period), sources.site)
    return {
        "scheduled_ms": sum(row["scheduled_ms"] for row in holes["rows"]),
        "known_ms": sum(row["known_ms"] for row in holes["rows"]),
        "unknown_ms": sum(row["unknown_ms"] for row in holes["rows"]),
        "missing_ms": sum(row["missing_ms"] for row in holes["rows"]),
        "missing_envelopes": sum(row["envelopes"] for row in holes["holes"]),
        "low_coverage": [
            row["machine"]
            for row in machines
            if row["kpis"]["coverage"] is not None and row["kpis"]["coverage"] < LOW_COVERAGE
        ],
        "unverified": [row["product"] for row in products if not row["verified"]],
        "without_calendar": sum(holes["untold_machines"].values()),
    }
