"""Which reports are due, and when a mail that failed is tried again."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from center.database.report_mails import GIVEN_UP, ReportMail, Subscription
from center.model.viewer import EVERYTHING
from center.outgoing.reports.asked import PlannedShift, machines_of, planned_shifts
from center.queries.question import zone_of
from center.runtime.state import CenterState
from config.mail import ReportMailModel
from oee.model.calendars import local_date

_FIRST_S: Final = 30
_LONGEST_S: Final = 1800
_S_NS: Final = 1_000_000_000


def subscriptions(model: ReportMailModel) -> list[Subscription]:
    """One for each recipient."""
    return [Subscription(model.site, model.line, model.each, recipient) for recipient in model.to]


def due_mails(center: CenterState, model: ReportMailModel, since_ns: Mapping[Subscription, int]) -> list[ReportMail]:
    """The mails of this report whose time has come and that are not too old to be of use.

    A report of a shift that ended before somebody was to get it is not due. Raises `UnknownSite`.
    """
    zone, now_ns = zone_of(center, EVERYTHING, model.site), center.now_ns()
    machines = [row["id"] for row in machines_of(center, EVERYTHING, model.site, model.line)]
    days = timedelta(seconds=model.give_up) + timedelta(days=2)
    today = local_date(zone, now_ns)
    shifts = planned_shifts(center, model.site, machines, today - days, today, zone)
    after_ns, kept_ns = round(model.after * _S_NS), round(model.give_up * _S_NS)
    out = []
    for item in _ended(shifts, model.each):
        due_ns = item.end_ns + after_ns
        if not now_ns - kept_ns <= due_ns <= now_ns:
            continue
        out += [
            ReportMail(to, item.day, item.name, due_ns=due_ns, next_ns=due_ns, at_ns=now_ns)
            for to in subscriptions(model)
            if item.end_ns > since_ns[to]
        ]
    return out


def _ended(shifts: list[PlannedShift], each: str) -> list[PlannedShift]:
    """The shifts; for days, each day as one shift without a name that ends with its last."""
    if each == "shift":
        return shifts
    days: dict[object, PlannedShift] = {}
    for item in shifts:
        known = days.get(item.day, replace(item, name=""))
        days[item.day] = replace(
            known, start_ns=min(known.start_ns, item.start_ns), end_ns=max(known.end_ns, item.end_ns)
        )
    return list(days.values())


def after_failure(mail: ReportMail, why: str, now_ns: int, give_up_s: float) -> ReportMail:
    """The mail after the server did not take it: tried again later and later, in the end given up."""
    tries = mail.tries + 1
    wait_s = min(_FIRST_S * 2 ** min(tries - 1, 10), _LONGEST_S)
    failed = replace(mail, tries=tries, next_ns=now_ns + wait_s * _S_NS, at_ns=now_ns, why=why)
    return replace(failed, state=GIVEN_UP) if now_ns - mail.due_ns > give_up_s * _S_NS else failed
