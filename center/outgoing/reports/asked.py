"""Which shift or day a report is about, and the answers that it is made of. Queries the store: not for the event loop."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from center.model.buckets import date_start_ns
from center.model.sites import LineSpan, lines_of, retired_since
from center.model.times import BadQuestion, iso, known_day, window
from center.model.viewer import Viewer
from center.outgoing.reports.answer import REPORT_KPIS, ReportAnswer, ReportPeriod, ReportSources, report_of
from center.queries import sites as site_queries
from center.queries.gateways import days
from center.queries.paging import MOST_ROWS
from center.queries.question import Question, UnknownSite, zone_of
from center.queries.stops import StopFilter, stops
from center.queries.trend import trend
from center.queries.waterfall import waterfall_steps
from center.runtime.state import CenterState
from oee.model.calendars import cut, local_date
from oee.model.facts import NO_SHIFT

Which = Literal["last", "this", "today", "yesterday"]
_EPOCH: Final = date(1970, 1, 1)
_BACK: Final = timedelta(days=4)
"""How far back the last shift is searched for: a weekend and an adjacent holiday."""
_DAY_NS: Final = 86_400_000_000_000


@dataclass(frozen=True)
class ReportQuestion:
    """Which report. day: a business date, None for what `which` says; shift: "" for the whole day, or for any shift where
    `which` chooses one; line: "" for the whole site.
    """

    viewer: Viewer
    site: str
    day: date | None = None
    shift: str = ""
    line: str = ""
    which: Which = "last"


@dataclass(frozen=True)
class PlannedShift:
    """A shift of a business date as it was planned for some machines, from the first start to the last end [ns UTC]."""

    day: date
    name: str
    start_ns: int
    end_ns: int


def planned_shifts(
    center: CenterState, site: str, machines: Iterable[str], first: date, last: date, zone: ZoneInfo
) -> list[PlannedShift]:
    """The shifts of these business dates that any of the machines has, by their start."""
    low_ns = date_start_ns(zone, (first - _EPOCH).days) - _DAY_NS
    high_ns = date_start_ns(zone, (last - _EPOCH).days) + 3 * _DAY_NS
    found: dict[tuple[date, str], tuple[int, int]] = {}
    seen = set()
    for machine in machines:
        for calendar, from_ns, until_ns in center.ledger_cache.sites.segments(site, machine, low_ns, high_ns) or ():
            key = (id(calendar), from_ns, until_ns)
            if key in seen:
                continue
            seen.add(key)
            spans = cut(calendar, from_ns, until_ns)
            rows = zip(
                spans.start_ns.tolist(),
                spans.end_ns.tolist(),
                spans.business_date.tolist(),
                spans.shift.tolist(),
                strict=True,
            )
            for start_ns, end_ns, number, name in rows:
                day = _EPOCH + timedelta(days=number)
                if name != NO_SHIFT and first <= day <= last:
                    begin, end = found.get((day, name), (start_ns, end_ns))
                    found[day, name] = min(begin, start_ns), max(end, end_ns)
    shifts = [PlannedShift(day, name, *ends) for (day, name), ends in found.items()]
    return sorted(shifts, key=lambda item: (item.start_ns, item.end_ns, item.name))


def machines_of(
    center: CenterState, viewer: Viewer, site: str, line: str, during: tuple[int, int] | None = None
) -> list[site_queries.MachineAnswer]:
    """The machines that a report of this time is about, each with the line to which it belonged for most of it; without
    those that were retired before. during: start and end [ns UTC], None for now. Raises `UnknownSite`, also for a line.
    """
    sites = center.ledger_cache.sites
    start_ns, end_ns = during or (center.now_ns(), center.now_ns() + 1)
    rows: list[site_queries.MachineAnswer] = []
    for row in site_queries.machines(center, viewer, site):
        retired_ns = retired_since(sites, site, row["id"])
        if retired_ns is not None and retired_ns <= start_ns:
            continue
        spans = lines_of(sites, site, row["id"])
        longest = max(spans, key=lambda span: _overlap_ns(span, start_ns, end_ns), default=None)
        rows.append({**row, "line": longest.line, "line_name": longest.names} if longest else row)
    chosen = [row for row in rows if not line or row["line"] == line]
    if line and not chosen:
        lines = ", ".join(sorted({row["line"] for row in rows if row["line"]}))
        raise UnknownSite(f"line {line[:64]!r} is unknown in site {site!r} at that time; it has {lines[:200]}")
    return sorted(chosen, key=lambda row: (row["line"], row["id"]))


def _overlap_ns(span: LineSpan, start_ns: int, end_ns: int) -> int:
    until_ns = end_ns if span.until_ns is None else min(span.until_ns, end_ns)
    return max(until_ns - max(span.from_ns, start_ns), 0)


def settle(center: CenterState, question: ReportQuestion) -> tuple[date, str, list[PlannedShift]]:
    """The day and the shift that are asked for, and the planned shifts of that day that belong to it.

    Raises `UnknownSite`, and `BadQuestion` for a shift that the day does not have.
    """
    zone = zone_of(center, question.viewer, question.site)
    today = local_date(zone, center.now_ns())

    def names_of(during: tuple[int, int] | None) -> list[str]:
        return [row["id"] for row in machines_of(center, question.viewer, question.site, question.line, during)]

    if question.day is not None or question.which in ("today", "yesterday"):
        day = (
            known_day("date", question.day)
            if question.day
            else (today if question.which == "today" else today - timedelta(days=1))
        )
        names = names_of(_day_ns(zone, day))
        of_day = planned_shifts(center, question.site, names, day, day, zone)
        chosen = [item for item in of_day if question.shift in ("", item.name)]
        if question.shift and not chosen:
            known = ", ".join(item.name for item in of_day) or "none"
            raise BadQuestion(f"shift: {question.shift[:40]!r} is no shift of {day.isoformat()}; there are {known}")
        return day, question.shift, chosen
    recent = planned_shifts(center, question.site, names_of(None), today - _BACK, today + timedelta(days=1), zone)
    now_ns = center.now_ns()
    found = [
        item
        for item in recent
        if question.shift in ("", item.name) and (item.end_ns if question.which == "last" else item.start_ns) <= now_ns
    ]
    if not found:
        return today, question.shift, []
    latest = max(found, key=lambda item: item.end_ns if question.which == "last" else item.start_ns)
    return latest.day, latest.name, [latest]


def _day_ns(zone: ZoneInfo, day: date) -> tuple[int, int]:
    number = (day - _EPOCH).days
    return date_start_ns(zone, number), date_start_ns(zone, number + 1)


def report(center: CenterState, question: ReportQuestion) -> ReportAnswer:
    """The report. Of a period that is not over, what is known until now; of a day without shifts the whole day.

    Raises `BadQuestion`, `UnknownSite` or `StoreUnavailable`.
    """
    day, shift, planned = settle(center, question)
    zone = zone_of(center, question.viewer, question.site)
    midnight_ns, next_ns = _day_ns(zone, day)
    start_ns = min((item.start_ns for item in planned), default=midnight_ns)
    end_ns = max((item.end_ns for item in planned), default=next_ns)
    _, closed_ns = window(0, None, center.now_ns())
    if start_ns >= closed_ns:
        raise BadQuestion(f"date: {day.isoformat()} {shift} has not begun yet; ask for an earlier shift or day")
    bucket = "shift" if shift else "day"
    period = ReportPeriod(day.isoformat(), shift, question.line, iso(midnight_ns, zone), end_ns > closed_ns)
    machines = machines_of(center, question.viewer, question.site, question.line, (start_ns, end_ns))
    asked = Question(
        question.viewer, question.site, tuple(row["id"] for row in machines), start_ns, min(end_ns, closed_ns),
        bucket=bucket, kpis=REPORT_KPIS,
    )  # fmt: skip
    return report_of(_sources(center, question.viewer, asked, period, machines))


def _sources(
    center: CenterState,
    viewer: Viewer,
    asked: Question,
    period: ReportPeriod,
    machines: Sequence[site_queries.MachineAnswer],
) -> ReportSources:
    whole = replace(asked, bucket="all")
    live = site_queries.live(center, viewer, asked.site)
    return ReportSources(
        period=period,
        site=site_queries.site(center, viewer, asked.site),
        machines=machines,
        by_machine=trend(center, asked),
        together=trend(center, replace(asked, by=())),
        by_product=trend(center, replace(asked, by=("product",), kpis=())),
        steps=waterfall_steps(center, replace(asked, by=()))["rows"],
        stops=stops(center, whole, MOST_ROWS, StopFilter(scheduled=True))["rows"],
        unexplained=stops(center, whole, MOST_ROWS, StopFilter(unexplained=True))["rows"],
        holes=days(center, replace(whole, until_now=False)),
        live=live,
    )
