"""Monthly reports for `nhip monthly`, from a center that runs or from its store."""

import json
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, Engine

from center.accounts import audit
from center.accounts.audit import Actor
from center.accounts.schema import prepare_accounts
from center.accounts.tokens import at_the_machine
from center.commands.connect import CannotReach, RunningCenter, StoppedCenter, content_from
from center.database.actions import prepare_actions
from center.database.declarations import open_declarations
from center.database.maintenance import prepare_maintenance
from center.database.month_issues import (
    ChangedIssue,
    IssuedMeanwhile,
    IssuedMonth,
    MonthSignature,
    plain_issue,
    prepare_month_issues,
)
from center.database.month_papers import prepare_month_papers
from center.database.notices import open_notices
from center.database.targets import prepare_targets, targets_of
from center.model.viewer import EVERYTHING
from center.outgoing.apart import NoPdf
from center.outgoing.monthly.api import issued_answer
from center.outgoing.monthly.content import canonical, content_of
from center.outgoing.monthly.desk import MonthDesk
from center.outgoing.monthly.sheet import month_sheet
from center.outgoing.reports.html import mail_text


@dataclass(frozen=True)
class AskedMonth:
    """What is wanted. month: "" for the list; revision: 0 for the last one; pdf: its language, "" for none."""

    site: str
    month: str
    revision: int
    why: str
    pdf: str
    issue: bool
    draft: bool


@dataclass(frozen=True)
class MonthTold:
    """issues: those of the site, or the one that was issued; sums: of the month that was asked for; pdf: the file."""

    issues: list[dict[str, Any]]
    sums: bytes = b""
    pdf: bytes = b""
    draft: bool = False

    @property
    def content(self) -> dict[str, Any]:
        """The sums as they are in the file."""
        plain: dict[str, Any] = json.loads(self.sums)
        return plain

    def text(self, lang: str) -> str:
        """The report for a terminal."""
        return mail_text(month_sheet(content_of(self.sums), lang, draft=self.draft))


def month_from(asked: AskedMonth, center: RunningCenter | StoppedCenter) -> MonthTold:
    """What was asked for. Raises `CannotReach`, `BadQuestion`, or `LookupError` for what there is not."""
    return _of_running(asked, center) if isinstance(center, RunningCenter) else _of_store(asked, center)


def _of_running(asked: AskedMonth, center: RunningCenter) -> MonthTold:
    if asked.issue:
        wanted = {"site": asked.site, "month": asked.month, "why": asked.why}
        issues = [center.request("/months", json.dumps(wanted).encode())]
    else:
        issues = center.request(f"/months?{urlencode({'site': asked.site})}")
    if not asked.month:
        return MonthTold(issues)
    chosen = {"site": asked.site, "month": asked.month}
    if asked.draft:
        return MonthTold(issues, content_from(center, f"/months/draft?{urlencode(chosen)}"), draft=True)
    chosen["revision"] = str(0 if asked.issue else asked.revision)
    sums = content_from(center, f"/months/sums?{urlencode(chosen)}")
    pdf = content_from(center, f"/months/pdf?{urlencode(chosen | {'lang': asked.pdf})}") if asked.pdf else b""
    return MonthTold(issues, sums, pdf)


def _of_store(asked: AskedMonth, center: StoppedCenter) -> MonthTold:
    engine = open_declarations(center.settings.database_url)
    try:
        desk = _desk(center, engine)
        issues = [desk.issue(EVERYTHING, "", asked.site, asked.month, asked.why)] if asked.issue else None
        listed = desk.listed(EVERYTHING, asked.site) if issues is None else issues
        told = [dict(issued_answer(desk, EVERYTHING, item)) for item in listed]
        if not asked.month:
            return MonthTold(told)
        if asked.draft:
            return MonthTold(told, canonical(desk.draft(EVERYTHING, asked.site, asked.month)), draft=True)
        item = desk.one(EVERYTHING, asked.site, asked.month, 0 if asked.issue else asked.revision)
        sums = canonical(desk.content(EVERYTHING, item))
        return MonthTold(told, sums, desk.file(EVERYTHING, item, asked.pdf) if asked.pdf else b"")  # type: ignore[arg-type]
    except (ChangedIssue, IssuedMeanwhile, NoPdf) as error:
        raise CannotReach("monthly_command.failed", detail=error) from error
    finally:
        engine.dispose()


def _desk(center: StoppedCenter, engine: Engine) -> MonthDesk:
    for make in (prepare_accounts, prepare_targets, prepare_actions, prepare_month_issues, prepare_maintenance):
        make(engine)
    prepare_month_papers(engine)
    center.state.said_targets.connect(partial(targets_of, engine))

    def record(
        connection: Connection, _who: str, _address: str, item: IssuedMonth, _signed: MonthSignature | None
    ) -> None:
        actor: Actor = at_the_machine()
        audit.record(connection, center.state.now_ns(), actor, "month.issued", item.site, **plain_issue(item))

    notices = open_notices(center.settings.database_url)
    return MonthDesk(center.state, engine, record, partial(audit.head, engine), engine, notices)
