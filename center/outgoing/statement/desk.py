"""Makes, revokes and opens capability statements: for a factory's owner, and for whoever has a link."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy import Connection, Engine

from center.api.advice.action_answers import action
from center.database.actions import kept_actions
from center.database.month_issues import issues_of
from center.database.statements import (
    Opening,
    Statement,
    add_statement,
    content_of_statement,
    file_of_statement,
    new_number,
    new_secret,
    opened,
    openings_of,
    revoke,
    statement_by,
    statements_of,
)
from center.model.buckets import date_start_ns
from center.model.times import BadQuestion, iso
from center.model.viewer import Viewer
from center.outgoing.apart import made_apart
from center.outgoing.statement.content import (
    FORMAT,
    LANGUAGES,
    LINES,
    MOST_DAYS,
    PDF_MAKER,
    DeclaredCertificate,
    LineKey,
    StatementContent,
    statement_digest,
    statement_json,
    statement_of,
)
from center.outgoing.statement.gather import counted_line, measured_lines, measured_period, trade_of
from center.queries import sites as site_queries
from center.queries.question import UnknownSite, zone_of
from center.runtime.state import CenterState
from oee.model.calendars import local_date

RecordMade = Callable[[Connection, str, str, Statement], None]
"""Enters a statement, or that it was revoked, into the audit trail in its own transaction: who, from which address."""
_EPOCH: Final = date(1970, 1, 1)
_YEAR: Final = timedelta(days=365)


@dataclass(frozen=True)
class StatementAsked:
    """What the owner wants shown. lines: of `LINES`; ends: last day."""

    site: str
    recipient: str
    purpose: str
    ends: date
    lines: tuple[LineKey, ...]
    certificates: tuple[DeclaredCertificate, ...]


@dataclass(frozen=True)
class StatementDesk:
    """Found in the application's state. findings: the database of actions, None without. What is asked by a viewer raises `UnknownSite`
    also for what they may not see; all methods raise `StoreUnavailable`.
    """

    center: CenterState
    engine: Engine
    record: RecordMade
    findings: Engine | None = None

    def listed(self, viewer: Viewer, site: str) -> list[Statement]:
        """Those of a site, the newest first."""
        zone_of(self.center, viewer, site)
        return statements_of(self.engine, site)

    def make(self, viewer: Viewer, address: str, asked: StatementAsked) -> tuple[Statement, str]:
        """A new statement, and the secret of its link, which is not kept. Raises `BadQuestion` and `NoPdf`."""
        zone, now_ns = zone_of(self.center, viewer, asked.site), self.center.now_ns()
        today = local_date(zone, now_ns)
        recipient, purpose = (" ".join(text.split()) for text in (asked.recipient, asked.purpose))
        if not recipient or not purpose:
            raise BadQuestion("recipient, purpose: say for whom it is and what for")
        if not today <= asked.ends <= today + timedelta(days=MOST_DAYS):
            raise BadQuestion(f"ends: {asked.ends.isoformat()}; write a day from today to {MOST_DAYS} days from now")
        if not asked.lines or set(asked.lines) - set(LINES):
            raise BadQuestion(f"lines: choose some of {', '.join(LINES)}")
        if asked.certificates and "certificates" not in asked.lines:
            raise BadQuestion("certificates: they are listed, but the line is not chosen")
        content = self._content(viewer, asked, new_number(), (recipient, purpose))
        data = statement_json(content)
        files = made_apart(PDF_MAKER, data, LANGUAGES)
        ends_ns = date_start_ns(zone, (asked.ends - _EPOCH).days + 1)
        item = Statement(
            content.number, asked.site, recipient[:120], purpose[:300], ends_ns, now_ns, viewer.name[:80], 0, "", statement_digest(data)
        )  # fmt: skip
        secret = new_secret()
        add_statement(self.engine, item, secret, data, files, self._entered(viewer, address))
        return item, secret

    def _content(self, viewer: Viewer, asked: StatementAsked, number: str, said: tuple[str, str]) -> StatementContent:
        zone = zone_of(self.center, viewer, asked.site)
        period = measured_period(self.center, viewer, asked.site)
        lines = measured_lines(self.center, viewer, asked.site, period, asked.lines)
        since = (period.last - _YEAR).isoformat()
        months: tuple[str, ...] = ()
        if "actions" in asked.lines and self.findings is not None:
            found = [action(self.center, viewer, item) for item in kept_actions(self.findings, [asked.site])]
            kept = [row for row in found if (row["judged"] or "") >= since]
            count = sum(row["verdict"] is not None and row["verdict"]["result"] == "verified" for row in kept)
            lines.append(counted_line("actions", "verified", count))
        if "reports" in asked.lines:
            months = tuple(
                sorted({item.month for item in issues_of(self.engine, asked.site) if item.month >= since[:7]})
            )
            lines.append(counted_line("reports", "verified", len(months)))
        return StatementContent(
            format=FORMAT,
            number=number,
            firm=dict(site_queries.site(self.center, viewer, asked.site)["name"]),
            trade=trade_of(self.center, asked.site),
            recipient=said[0],
            purpose=said[1],
            center=self.center.name,
            made=iso(self.center.now_ns() // 1_000_000_000 * 1_000_000_000, zone),
            ends=asked.ends,
            first=period.first,
            last=period.last,
            lines=tuple(lines),
            months=months,
            certificates=asked.certificates if "certificates" in asked.lines else (),
        )

    def revoke(self, viewer: Viewer, address: str, number: str) -> Statement:
        """Ends the link at once; copies that somebody has stay with them. Raises `BadQuestion` where it is revoked already."""
        item = self.one(viewer, number)
        if not revoke(self.engine, number, viewer.name[:80], self.center.now_ns(), self._entered(viewer, address)):
            raise BadQuestion(f"statement {number} is revoked already")
        return item

    def one(self, viewer: Viewer, number: str) -> Statement:
        """A statement of a site that the viewer may see."""
        item = statement_by(self.engine, number=number) if number else None
        if item is None or not viewer.sees(item.site):
            raise UnknownSite(f"there is no statement {number[:64]!r}; GET /api/v1/statements lists them")
        return item

    def openings(self, viewer: Viewer, number: str) -> list[Opening]:
        """Who opened it."""
        return openings_of(self.engine, self.one(viewer, number).id)

    def file(self, item: Statement, lang: str) -> bytes:
        """Its PDF. Raises `ChangedStatement`."""
        return file_of_statement(self.engine, item, lang)

    def content(self, item: Statement) -> StatementContent:
        """What it says. Raises `ChangedStatement`."""
        return statement_of(content_of_statement(self.engine, item))

    def opened_by(self, secret: str, what: str, address: str) -> tuple[Statement | None, str]:
        """Somebody opens a link: the statement and its state, which is noted; None and "unknown" for a secret that there is not."""
        return self._noted(statement_by(self.engine, secret=secret), what, address)

    def checked(self, digest: str, address: str) -> str:
        """Somebody asks whether what they hold counts: valid, revoked, expired, or unknown."""
        return self._noted(statement_by(self.engine, digest=digest.lower()), "check", address)[1]

    def _noted(self, item: Statement | None, what: str, address: str) -> tuple[Statement | None, str]:
        if item is None:
            return None, "unknown"
        now_ns = self.center.now_ns()
        opened(self.engine, Opening(item.id, now_ns, what, address[:80]))
        return item, item.state(now_ns)

    def _entered(self, viewer: Viewer, address: str) -> Callable[[Connection, Statement], None]:
        return lambda connection, item: self.record(connection, viewer.name, address, item)
