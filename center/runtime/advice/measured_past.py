"""What a plan of an action measured, read from the store: windows of business dates, controls, and the year before."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final

from sqlalchemy import Engine

from center.contract.store import StopQuery
from center.database import findings
from center.model.site_revisions import Revision
from center.runtime.advice.stored_beside import power_kw
from center.runtime.advice.stored_past import StoredPast, as_before, minutes_of
from center.runtime.state import CenterState
from oee.advice.beside import NOTHING, Beside
from oee.advice.gain.detectable import Detectable, detectable
from oee.advice.gain.measured import Measured, MeasuredPair, before_it_began, measure, span_ns, together, worked_days
from oee.advice.gain.metrics import METRICS
from oee.advice.gain.plan import LEAST_DAYS, Days, GainPlan
from oee.advice.gain.verdict import DaySeries, GainVerdict, judge, series
from oee.advice.life import open_rules
from oee.advice.trust import too_fast
from oee.advice.window import DAY_NS, machine_window, part_of, stop_columns
from oee.model.calendars import Calendar

CONTEXT_NS: Final = 14 * DAY_NS
"""Days before a window by which it is told what an ordinary weekday is, and whether there was a holiday."""
HISTORY_DAYS: Final = 56
_YEAR_DAYS: Final = 364
"""A whole number of weeks, so that weekdays meet weekdays."""


class PlanPast:
    """The past of the machines of one site, as plans ask for it. Reads when it is asked; raises `StoreUnavailable`."""

    def __init__(self, center: CenterState, engine: Engine, plan: GainPlan) -> None:
        self._center, self._engine, self._plan = center, engine, plan
        self._site = plan.site

    def verdict(self) -> GainVerdict:
        """The verdict of the plan on what the store has now."""
        plan = self._plan
        found = self._pair(plan.before, plan.after)
        if found is None:
            return GainVerdict("unknown", ("no_days",))
        everything = Days(plan.before.first, plan.after.last)
        changed = () if _means_the_same(self._center, plan, everything) else ("changed",)
        return judge(
            plan,
            found,
            season=self._season(),
            verified_ideals=_verified(self._center, plan),
            not_comparable=changed,
        )

    def progress(self) -> DaySeries | None:
        """The days of both windows as far as they are over, None before there are any."""
        plan = self._plan
        before = self._windows(plan.before, plan.machines)
        if before is None:
            return None
        controls = {}
        for name in plan.controls:
            first = self._windows(plan.before, (name,))
            if first is not None:
                controls[name] = first, self._windows(plan.after, (name,)) or before_it_began(first)
        after = self._windows(plan.after, plan.machines) or before_it_began(before)
        return series(MeasuredPair(before, after, controls))

    def told(self) -> Detectable | None:
        """What the plan could show, by the last weeks of its machines; None without any."""
        plan = self._plan
        if not _revisions(self._center, self._site, plan.machines[0]):
            return None
        last = site_today(self._center, self._site) - timedelta(1)
        recent = Days(last - timedelta(HISTORY_DAYS - 1), last)
        history = self._windows(recent, plan.machines)
        if history is None:
            return None
        beside = {name: self._windows(recent, (name,)) for name in plan.controls}
        controls = {name: item for name, item in beside.items() if item is not None}
        return detectable(plan, history, controls, self.worked_days())

    def worked_days(self) -> tuple[int, int]:
        """Days with scheduled time in both windows, by the calendar that the first machine has now."""
        calendar = _calendar(self._center, self._site, self._plan.machines[0])
        if calendar is None:
            return 0, 0
        return worked_days(calendar, self._plan.before), worked_days(calendar, self._plan.after)

    def _pair(self, before: Days, after: Days) -> MeasuredPair | None:
        own = [self._windows(days, self._plan.machines) for days in (before, after)]
        if own[0] is None or own[1] is None:
            return None
        controls: dict[str, tuple[Measured, Measured]] = {}
        for name in self._plan.controls:
            first, last = (self._windows(days, (name,)) for days in (before, after))
            if first is not None and last is not None and not (first.why_not or last.why_not):
                controls[name] = first, last
        return MeasuredPair(own[0], own[1], controls)

    def _season(self) -> tuple[Measured, Measured] | None:
        """The same weeks a year before, if there were enough ordinary days in both and nothing was changed between."""
        if self._plan.controls:
            return None
        plan = self._plan
        before, after = (days.moved(-_YEAR_DAYS) for days in (plan.before, plan.after))
        if not _means_the_same(self._center, plan, Days(before.first, after.last)):
            return None
        found = [self._windows(days, self._plan.machines) for days in (before, after)]
        if found[0] is None or found[1] is None or min(len(item.day) for item in found if item) < LEAST_DAYS:
            return None
        return found[0], found[1]

    def _windows(self, days: Days, machines: tuple[str, ...]) -> Measured | None:
        parts = [self._window(days, machine) for machine in machines]
        found = [part for part in parts if part is not None]
        return together(found) if len(found) == len(machines) else None

    def _window(self, days: Days, machine: str) -> Measured | None:
        """What a machine did on these dates as far as they are over; None without a calendar or a day with facts."""
        calendar = _calendar(self._center, self._site, machine)
        span = span_ns(calendar, days) if calendar else None
        owner = self._center.ledger_cache.sites.owner(self._site, machine)
        if calendar is None or span is None or owner is None:
            return None
        start_ns, end_ns = max(span[0], owner.first_ns), min(span[1], self._center.now_ns())
        if start_ns >= end_ns:
            return None
        begin_ns = max(start_ns - CONTEXT_NS, owner.first_ns, 0)
        stops = stop_columns(self._center.store.stops(StopQuery(self._site, begin_ns, end_ns, (machine,))).stops)
        zone = _revisions(self._center, self._site, machine)[-1].zone.key
        facts = minutes_of(self._center, self._site, machine, zone, calendar, begin_ns, end_ns)
        whole = machine_window(machine, calendar, facts, stops, begin_ns, end_ns)
        window = part_of(whole, start_ns, end_ns)
        if not len(window.facts):
            return None
        window = replace(
            window, distrusted=too_fast(window.facts), beside=self._beside(machine, window.start_ns, window.end_ns)
        )
        holes = StoredPast(self._center, self._site, machine, end_ns).holes(start_ns)
        records = [item.record for item in findings.kept_findings(self._engine, [self._site], machine=machine)]
        return measure(window, self._plan.metric, self._plan.part, holes=holes, open_findings=open_rules(records))

    def _beside(self, machine: str, start_ns: int, end_ns: int) -> Beside:
        """Power, where it is what the plan measures."""
        if METRICS[self._plan.metric].gains != "kwh":
            return NOTHING
        revision = _revisions(self._center, self._site, machine)[-1]
        return Beside(power_kw=power_kw(self._center, self._site, revision, machine, start_ns, end_ns))


def site_today(center: CenterState, site: str) -> date:
    """The date at a site."""
    current = center.ledger_cache.sites.current(site)
    zone = current.zone if current else center.zone
    return datetime.fromtimestamp(center.now_ns() / 1e9, UTC).astimezone(zone).date()


def _revisions(center: CenterState, site: str, machine: str) -> Sequence[Revision]:
    return center.ledger_cache.sites.of_machine(site, machine)


def _calendar(center: CenterState, site: str, machine: str) -> Calendar | None:
    """That of the newest site body that names the machine."""
    known = (item.calendar(machine) for item in reversed(_revisions(center, site, machine)))
    return next((item for item in known if item is not None), None)


def _means_the_same(center: CenterState, plan: GainPlan, days: Days) -> bool:
    """Whether calendars, limits for short stops and ideal times of all machines were the same on these dates."""
    for machine in (*plan.machines, *plan.controls):
        calendar = _calendar(center, plan.site, machine)
        span = span_ns(calendar, days) if calendar else None
        if span is None:
            return False
        known = [item for item in _revisions(center, plan.site, machine) if item.valid_from_ns < span[1]]
        for older, newer in pairwise(known):
            begun_ns = newer.valid_from_ns
            if begun_ns > span[0] and not as_before(older, known[-1], machine, (span[0], begun_ns)):
                return False
    return True


def _verified(center: CenterState, plan: GainPlan) -> bool:
    """Whether somebody has confirmed every ideal time of the site."""
    revisions = _revisions(center, plan.site, plan.machines[0])
    products = revisions[-1].body.products.values() if revisions else ()
    return bool(products) and all(product.source not in ("", "guess") for product in products)
