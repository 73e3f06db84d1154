"""Drafts, issues, signs and hands out monthly reports for a viewer: what API, pages and commands have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from sqlalchemy import Connection, Engine

from center.api.advice.action_answers import action
from center.api.responses import PROGRAM
from center.database.actions import kept_actions
from center.database.declarations import declared_since
from center.database.filed_tasks import whole_plan
from center.database.month_issues import (
    IssuedMonth,
    MonthSignature,
    add_issue,
    add_signature,
    content_of_issue,
    file_of_issue,
    issues_of,
    newest,
    signatures_of,
)
from center.database.month_papers import objectives_of, references_of
from center.model.times import BadQuestion
from center.model.viewer import Viewer
from center.outgoing.apart import made_apart
from center.outgoing.monthly.content import (
    LANGUAGES,
    MONTHS,
    PDF_MAKER,
    Language,
    MonthContent,
    canonical,
    content_of,
    digest_of,
    is_month,
    month_after,
)
from center.outgoing.monthly.gather import MonthAsked, MonthSources, gather, month_ends
from center.outgoing.monthly.sheet import SIGNATURES
from center.queries.question import UnknownSite, zone_of
from center.runtime.state import CenterState
from oee.model.calendars import local_date

RecordIssue = Callable[[Connection, str, str, IssuedMonth, MonthSignature | None], None]
"""Enters an issue, or its signature, into the audit trail in its own transaction: who, and from which address."""
_MOST_DECLARED: Final = 60
_LONGEST_WHY: Final = 500
_LONGEST_POSITION: Final = 80


@dataclass(frozen=True)
class MonthDesk:
    """Found in the application's state. head: of the audit trail's chain; findings, notices: the databases of actions and of what people at the
    machines said, None without.

    All methods raise `UnknownSite` also for what the viewer may not see, and `StoreUnavailable`.
    """

    center: CenterState
    engine: Engine
    record: RecordIssue
    head: Callable[[], str]
    findings: Engine | None = None
    notices: Engine | None = None

    def listed(self, viewer: Viewer, site: str) -> list[IssuedMonth]:
        """Every issue, the newest first."""
        zone_of(self.center, viewer, site)
        return issues_of(self.engine, site)

    def one(self, viewer: Viewer, site: str, month: str, revision: int = 0) -> IssuedMonth:
        """An issue; without a revision the last one."""
        found = [item for item in self.listed(viewer, site) if item.month == month and revision in (0, item.revision)]
        if not found:
            raise UnknownSite(
                f"month {month[:10]!r} of site {site[:64]!r} has no such issue; GET /api/v1/months lists them"
            )
        return found[0]

    def content(self, viewer: Viewer, item: IssuedMonth) -> MonthContent:
        """What was issued. Raises `ChangedIssue` where the database holds something else."""
        zone_of(self.center, viewer, item.site)
        return content_of(content_of_issue(self.engine, item))

    def signatures(self, viewer: Viewer, item: IssuedMonth) -> list[MonthSignature]:
        """Who signed it in the console."""
        zone_of(self.center, viewer, item.site)
        return signatures_of(self.engine, item)

    def file(self, viewer: Viewer, item: IssuedMonth, lang: Language) -> bytes:
        """The PDF that was issued. Raises `ChangedIssue`."""
        zone_of(self.center, viewer, item.site)
        file = file_of_issue(self.engine, item, lang)
        if file is None:
            raise UnknownSite(f"{item.month}, revision {item.revision} has no PDF {lang!r}")
        return file

    def draft(self, viewer: Viewer, site: str, month: str, why: str = "") -> MonthContent:
        """The month as it would be issued now. Raises `BadQuestion` for a month that is not over."""
        zone = zone_of(self.center, viewer, site)
        now_ns = self.center.now_ns()
        if not is_month(month) or month >= f"{local_date(zone, now_ns):%Y-%m}":
            raise BadQuestion(f"month: {month[:20]!r} is no month that is over; write for example 2026-02")
        issues = issues_of(self.engine, site)
        last = newest(issues)
        prior = last.get(month)
        asked = MonthAsked(site, month, why.strip(), viewer.name, PROGRAM, self.head(), now_ns, prior)
        since_ns = max((item.made_ns for item in issues), default=now_ns)
        ends, first = month_ends(zone, month, MONTHS - 1), month_after(month, 1 - MONTHS)
        tasks, done = whole_plan(self.center.ledger_cache.sites, self.engine, self.notices, site, zone)
        sources = MonthSources(
            tasks=tasks,
            done=done,
            actions=[action(self.center, viewer, item) for item in kept_actions(self.findings, [site])]
            if self.findings
            else [],
            issued=[(item, self.content(viewer, item)) for item in last.values() if first <= item.month <= month],
            declared=declared_since(self.engine, site, since_ns, *ends, _MOST_DECLARED),
            objectives=objectives_of(self.engine, site, month),
            references=references_of(self.engine, site),
        )
        return gather(self.center, viewer, asked, sources)

    def issue(self, viewer: Viewer, address: str, site: str, month: str, why: str = "") -> IssuedMonth:
        """Issues the month as it is now, with its PDFs. Raises `BadQuestion`, for a revision also without a reason or without a
        change; `IssuedMeanwhile`, and `NoPdf`.
        """
        content = self.draft(viewer, site, month, why[:_LONGEST_WHY])
        if content.revision > 1 and not content.why:
            raise BadQuestion("why: the month is issued already; say what the revision is made for")
        data = canonical(content)
        files = made_apart(PDF_MAKER, data, LANGUAGES)
        item = IssuedMonth(
            site, month, content.revision, digest_of(data), self.center.now_ns(), viewer.name[:80], content.why
        )
        add_issue(self.engine, item, data, files, partial(self._entered, viewer.name, address))
        return item

    def sign(self, viewer: Viewer, address: str, item: IssuedMonth, meaning: str, position: str) -> None:
        """Signs an issue. position: of the signer in the firm. Raises `BadQuestion` and `SignedAlready`."""
        zone_of(self.center, viewer, item.site)
        if meaning not in SIGNATURES:
            raise BadQuestion(f"meaning: {meaning[:20]!r}; there are {', '.join(SIGNATURES)}")
        signed = MonthSignature(
            meaning, viewer.name[:80], position.strip()[:_LONGEST_POSITION], self.center.now_ns(), item.digest
        )
        add_signature(self.engine, item, signed, partial(self._entered, viewer.name, address))

    def _entered(
        self, who: str, address: str, connection: Connection, item: IssuedMonth, signed: MonthSignature | None = None
    ) -> None:
        self.record(connection, who, address, item, signed)
