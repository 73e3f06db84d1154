"""A month's sums from the store, the plan, the actions and earlier issues. Queries the store: not for the event loop."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

from center.api.advice.action_answers import ActionAnswer, VerdictAnswer
from center.database.declarations import DeclarationRecord
from center.database.maintenance import DoneTask, KeptTask
from center.database.month_issues import IssuedMonth
from center.database.month_papers import MonthObjective, MonthReference
from center.model.buckets import date_start_ns
from center.model.sites import site_machine
from center.model.times import iso
from center.model.viewer import Viewer
from center.outgoing.monthly.content import (
    FORMAT,
    MONTHS,
    PPM,
    ActionOfMonth,
    ChangeOfMonth,
    DeclaredSince,
    DueOfTask,
    EarlierIssue,
    IssuedMachine,
    LossOfMonth,
    MonthContent,
    MonthOfMachine,
    ObjectiveOfMonth,
    ReferenceOfMonth,
    ReportedMachine,
    SiteFile,
    Sums,
    TaskOfMonth,
    TrustOfMonth,
    VerdictOfMonth,
    first_day,
    month_after,
)
from center.outgoing.monthly.figures import ACTING
from center.outgoing.reports.answer import VERIFIED
from center.outgoing.reports.asked import machines_of
from center.queries import sites as site_queries
from center.queries.across.top_losses import NO_STOPS
from center.queries.gateways import days
from center.queries.losses import losses
from center.queries.question import Question, formula_of, zone_of
from center.queries.trend import trend
from center.queries.waterfall import waterfall_steps
from center.runtime.state import CenterState
from oee.kpi.maintenance import due_between
from oee.kpi.targets import RATIOS
from oee.model.calendars import local_date
from oee.model.states import State

_EPOCH: Final = date(1970, 1, 1)
_DAY_NS: Final = 86_400_000_000_000
_UNKNOWN: Final = State.UNKNOWN.word
_SHOWN_MONTHS: Final = 6
"""So long after its window an action is shown."""


@dataclass(frozen=True)
class MonthAsked:
    """Which month, and who makes it. at_ns: now [ns UTC]; prior: the revision before, None for the first."""

    site: str
    month: str
    why: str
    made_by: str
    software: str
    audit_head: str
    at_ns: int
    prior: IssuedMonth | None


@dataclass(frozen=True)
class MonthSources:
    """What the center's database knows. issued: the last issue of each earlier month with its content."""

    tasks: Sequence[KeptTask]
    done: Mapping[str, Mapping[date, DoneTask]]
    actions: Sequence[ActionAnswer]
    issued: Sequence[tuple[IssuedMonth, MonthContent]]
    declared: Sequence[DeclarationRecord]
    objectives: Sequence[MonthObjective] = ()
    references: Sequence[MonthReference] = ()


@dataclass(frozen=True)
class _Gathering:
    center: CenterState
    viewer: Viewer
    asked: MonthAsked
    zone: ZoneInfo
    machines: Sequence[site_queries.MachineAnswer]

    def midnight_ns(self, month: str) -> int:
        return date_start_ns(self.zone, (first_day(month) - _EPOCH).days)

    def start(self, month: str) -> str:
        """How answers name the month's bucket."""
        return iso(self.midnight_ns(month), self.zone)

    def question(self, first: str, by: tuple[str, ...], bucket: str = "month") -> Question:
        """About the months from `first` on: a day wider at both ends, since business dates are not calendar days."""
        start_ns = self.midnight_ns(first) - _DAY_NS
        end_ns = self.midnight_ns(month_after(self.asked.month)) + 2 * _DAY_NS
        names = tuple(row["id"] for row in self.machines)
        return Question(
            self.viewer, self.asked.site, names, start_ns, min(end_ns, self.asked.at_ns), bucket=bucket, by=by, kpis=()
        )


def month_ends(zone: ZoneInfo, month: str, back: int = 0) -> tuple[int, int]:
    """From the first midnight, `back` months earlier, to the last [ns UTC]."""
    first, after = first_day(month_after(month, -back)), first_day(month_after(month))
    return date_start_ns(zone, (first - _EPOCH).days), date_start_ns(zone, (after - _EPOCH).days)


def gather(center: CenterState, viewer: Viewer, asked: MonthAsked, sources: MonthSources) -> MonthContent:
    """The content, ready to be issued. Raises `BadQuestion`, `UnknownSite` or `StoreUnavailable`."""
    zone = zone_of(center, viewer, asked.site)
    during = month_ends(zone, asked.month)
    machines = machines_of(center, viewer, asked.site, "", during)
    at = _Gathering(center, viewer, asked, zone, machines)
    details = site_queries.site(center, viewer, asked.site)
    reported = _machines(at)
    return MonthContent(
        format=FORMAT,
        site=asked.site,
        site_name=dict(details["name"]),
        timezone=zone.key,
        month=asked.month,
        revision=asked.prior.revision + 1 if asked.prior else 1,
        prior=asked.prior.digest if asked.prior else "",
        why=asked.why,
        made=iso(asked.at_ns // 1_000_000_000 * 1_000_000_000, zone),
        made_by=asked.made_by,
        today=local_date(zone, asked.at_ns),
        formula=formula_of(center, asked.site),
        software=asked.software,
        audit_head=asked.audit_head,
        machines=reported,
        losses=_losses(at, details),
        tasks=tuple(_task(asked.month, task, sources.done.get(task.id, {})) for task in sources.tasks),
        actions=tuple(_action(row) for row in sources.actions if _is_shown(asked.month, row)),
        trust=_trust(at, details),
        earlier=_earlier(at, reported, sources.issued),
        declared=tuple(_declared(row, zone) for row in sources.declared),
        site_files=_site_files(at, during),
        objectives=tuple(
            ObjectiveOfMonth(machine=item.machine, kind=item.kind, value_u=item.value_u, since=item.since, by=item.by)
            for item in sources.objectives
            if item.value_u is not None
        ),
        references=tuple(
            ReferenceOfMonth(
                topic=item.topic, title=item.title, place=item.place, edition=item.edition, owner=item.owner
            )
            for item in sources.references
        ),
        changes=_changes(at),
    )


def _machines(at: _Gathering) -> tuple[ReportedMachine, ...]:
    if not at.machines:
        return ()
    first = month_after(at.asked.month, 1 - MONTHS)
    months = [month_after(first, number) for number in range(MONTHS)]
    rows = trend(at.center, at.question(first, ("machine",)))["rows"]
    found = {(row["machine"], row["start"]): row for row in rows}
    out = []
    for machine in at.machines:
        body = at.center.ledger_cache.sites.body_of(at.asked.site, machine["id"])
        line = body.lines.get(machine["line"]) if body else None
        described = site_machine(at.center.ledger_cache.sites, at.asked.site, machine["id"])
        of_months = [_month(month, found.get((machine["id"], at.start(month)))) for month in months]
        out.append(
            ReportedMachine(
                id=machine["id"],
                name=dict(machine["name"]),
                line=machine["line"],
                line_name=dict(machine.get("line_name") or {}),
                kind=described.kind if described else "",
                constraint=line is not None and line.constraint == machine["id"],
                months=tuple(of_months),
            )
        )
    return tuple(out)


def _month(month: str, row: Any) -> MonthOfMachine:
    if row is None:
        return MonthOfMachine(month=month, scheduled_ms=0, sums={}, targets={})
    gaps = row.get("targets", ())
    targets = {gap["kind"]: round(gap["target"] * PPM) for gap in gaps if gap["kind"] in RATIOS}
    return MonthOfMachine(month=month, scheduled_ms=row["scheduled_ms"], sums=_nonzero(row["sums"]), targets=targets)


def _nonzero(sums: Mapping[str, int]) -> Sums:
    return {name: int(value) for name, value in sums.items() if value}


def _losses(at: _Gathering, details: site_queries.SiteDetailAnswer) -> tuple[LossOfMonth, ...]:
    if not at.machines:
        return ()
    months = (month_after(at.asked.month, -1), at.asked.month)
    starts = {at.start(month): number for number, month in enumerate(months)}
    totals: dict[tuple[str, str], list[int]] = {}

    def add(start: str, state: str, reason: str, us: int) -> None:
        if start in starts:
            totals.setdefault((state, reason), [0, 0])[starts[start]] += us

    for row in losses(at.center, at.question(months[0], ("state", "reason")))["rows"]:
        if row["state"] != _UNKNOWN:
            add(row["start"], row["state"] or "", row["reason"] or "", row["ms"] * 1000)
    for step in waterfall_steps(at.center, at.question(months[0], ()))["rows"]:
        if step["step"] in NO_STOPS or step["step"] == _UNKNOWN:
            add(step["start"], step["step"], "", step["us"])
    reasons, kinds = details["reasons"], _maintenance_kinds(at)
    ordered = sorted(totals.items(), key=lambda item: (-item[1][1], item[0]))
    return tuple(
        LossOfMonth(
            state=state,
            reason=reason,
            reason_name=dict(reasons[reason]["name"]) if reason in reasons else {},
            maintenance=kinds.get(reason, ""),
            us=us,
            before_us=before_us,
        )
        for (state, reason), (before_us, us) in ordered
        if us or before_us
    )


def _maintenance_kinds(at: _Gathering) -> dict[str, str]:
    bodies = (at.center.ledger_cache.sites.body_of(at.asked.site, row["id"]) for row in at.machines)
    return {key: item.maintenance for body in bodies if body for key, item in body.reasons.items() if item.maintenance}


def _trust(at: _Gathering, details: site_queries.SiteDetailAnswer) -> TrustOfMonth:
    start_ns, end_ns = month_ends(at.zone, at.asked.month)
    whole = replace(at.question(at.asked.month, ("machine",)), start_ns=start_ns, end_ns=end_ns)
    holes = days(at.center, replace(whole, bucket="all"))
    made = trend(at.center, at.question(at.asked.month, ("product",)))["rows"] if at.machines else []
    products = {
        row.get("product") or "" for row in made if row["start"] == at.start(at.asked.month) and _was_made(row["sums"])
    }
    unverified = []
    for product in sorted(products):
        known = details["products"].get(product)
        if known is None or known["source"] not in VERIFIED or not known["ideal_s"]:
            unverified.append(dict(known["name"]) if known and known["name"] else {"vi": product, "en": product})
    rows = [row for row in holes["rows"] if row["date"].startswith(at.asked.month)]
    return TrustOfMonth(
        scheduled_ms=sum(row["scheduled_ms"] for row in rows),
        known_ms=sum(row["known_ms"] for row in rows),
        unknown_ms=sum(row["unknown_ms"] for row in rows),
        missing_ms=sum(row["missing_ms"] for row in rows),
        missing_envelopes=sum(row["envelopes"] for row in holes["holes"]),
        unverified=tuple(unverified),
        without_calendar=sum(holes["untold_machines"].values()),
    )


def _was_made(sums: Mapping[str, int]) -> bool:
    return sums["pieces_total"] + sums["pieces_unwatched"] > 0


def _task(month: str, task: KeptTask, done: Mapping[date, DoneTask]) -> TaskOfMonth:
    first, last = first_day(month), first_day(month_after(month)) - timedelta(days=1)
    dues = []
    for due in due_between(task.plan, first, last, {day: item.done for day, item in done.items()}):
        said = done.get(due.due)
        told = {"by": said.who if said else "", "note": said.note if said else ""}
        dues.append(DueOfTask(due=due.due, until=due.until, done=due.done, **told))
    return TaskOfMonth(
        id=task.id,
        machine=task.machine,
        title=task.title,
        kind=task.kind,
        every_days=task.plan.every_days,
        tolerance=task.plan.tolerance,
        dues=tuple(dues),
    )


def _is_shown(month: str, row: ActionAnswer) -> bool:
    """Those that somebody works on, and those whose window ended lately; none that was made later."""
    if row["created"][:7] > month:
        return False
    return row["state"] in ACTING or row["plan"]["after_to"][:7] >= month_after(month, 1 - _SHOWN_MONTHS)


def _action(row: ActionAnswer) -> ActionOfMonth:
    verdict = row["verdict"]
    minutes = verdict["minutes"] if verdict else None
    hundredths = [round(minutes[key] * 100) for key in ("low", "value", "high")] if minutes else None
    return ActionOfMonth(
        id=row["id"],
        machines=tuple(row["machines"]),
        what=row["what"],
        cause=row["cause"],
        owner=row["owner"],
        state=row["state"],
        created=row["created"],
        due=date.fromisoformat(row["plan"]["after_to"]),
        result=verdict["result"] if verdict else "",
        exploratory=row["exploratory"],
        minutes_c=(hundredths[0], hundredths[1], hundredths[2]) if hundredths else None,
        says=dict(verdict["says"]) if verdict else {},
        numbers=_numbers(row["plan"]["metric"], verdict) if verdict else None,
    )


def _numbers(metric: str, verdict: VerdictAnswer) -> VerdictOfMonth:
    change = verdict["change"]
    low, value, high = (_millionths(change[key]) if change else None for key in ("low", "value", "high"))
    whole = None if low is None or value is None or high is None else (low, value, high)
    return VerdictOfMonth(
        metric=metric,
        before_u=_millionths(verdict["before"]),
        after_u=_millionths(verdict["after"]),
        change_u=whole,
        least_u=_millionths(verdict["least"]),
        days=tuple(verdict["days"]),
    )


def _millionths(value: float | None) -> int | None:
    return None if value is None or not math.isfinite(value) else round(value * PPM)


def _earlier(
    at: _Gathering, machines: Sequence[ReportedMachine], issued: Sequence[tuple[IssuedMonth, MonthContent]]
) -> tuple[EarlierIssue, ...]:
    now = {(item.id, month.month): month for item in machines for month in item.months}
    out = []
    for item, content in sorted(issued, key=lambda one: one[0].month):
        if not month_after(at.asked.month, 1 - MONTHS) <= item.month <= at.asked.month:
            continue
        moved = []
        for machine in content.machines:
            before, today = machine.months[-1], now.get((machine.id, item.month))
            if today is None or (today.sums, today.scheduled_ms) != (before.sums, before.scheduled_ms):
                moved.append(IssuedMachine(id=machine.id, scheduled_ms=before.scheduled_ms, sums=before.sums))
        if moved:
            when = iso(item.made_ns, at.zone)
            out.append(
                EarlierIssue(
                    month=item.month, revision=item.revision, digest=item.digest, issued=when, machines=tuple(moved)
                )
            )
    return tuple(out)


def _declared(item: DeclarationRecord, zone: ZoneInfo) -> DeclaredSince:
    row = item.row
    return DeclaredSince(
        made=iso(row.made_ns, zone),
        who=row.who,
        machine=row.machine,
        field=str(row.field),
        value=row.value,
        start=iso(row.start_ns, zone),
    )


def _changes(at: _Gathering) -> tuple[ChangeOfMonth, ...]:
    """What new site files changed of the reported months' numbers."""
    start_ns, end_ns = month_ends(at.zone, at.asked.month, MONTHS - 1)
    sites, found = at.center.ledger_cache.sites, []
    for gateway in sites.gateways(at.asked.site):
        revisions = sites.revisions(at.asked.site, gateway)
        for before, after in pairwise(revisions):
            if not start_ns <= after.valid_from_ns < end_ns:
                continue
            old, new = before.body, after.body
            ideals = [{key: item.ideal_s for key, item in body.products.items()} for body in (old, new)]
            told = {
                "formula": old.formula != new.formula,
                "ideal": ideals[0] != ideals[1],
                "calendar": old.calendars != new.calendars,
            }
            what = tuple(key for key, changed in told.items() if changed)
            if what:
                month = f"{local_date(at.zone, after.valid_from_ns):%Y-%m}"
                found.append(ChangeOfMonth(month=month, gateway=gateway, what=what))
    return tuple(sorted(set(found), key=lambda item: (item.month, item.gateway, item.what)))


def _site_files(at: _Gathering, during: tuple[int, int]) -> tuple[SiteFile, ...]:
    out: list[SiteFile] = []
    sites, site = at.center.ledger_cache.sites, at.asked.site
    for gateway in sites.gateways(site):
        revisions = [item for item in sites.revisions(site, gateway) if item.valid_from_ns < during[1]]
        older = [item for item in revisions if item.valid_from_ns <= during[0]]
        out += [
            SiteFile(gateway=gateway, hash=item.body.config_hash, since=iso(item.valid_from_ns, at.zone))
            for item in [*older[-1:], *revisions[len(older) :]]
        ]
    return tuple(out)
