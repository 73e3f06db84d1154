"""The shift report for `nhip report`, from a center that runs or from its store."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from center.commands.connect import RunningCenter, StoppedCenter
from center.database.sql import open_database
from center.database.targets import prepare_targets, targets_of
from center.model.viewer import EVERYTHING
from center.outgoing.reports.answer import ReportAnswer
from center.outgoing.reports.asked import ReportQuestion, Which, report
from center.outgoing.reports.html import mail_text
from center.outgoing.reports.sheet import sheet
from words import moment


@dataclass(frozen=True)
class AskedReport:
    """Which report is wanted. day: None for what `which` says."""

    site: str
    day: date | None
    shift: str
    line: str
    which: Which


def report_from(asked: AskedReport, center: RunningCenter | StoppedCenter) -> ReportAnswer:
    """The report's numbers. Raises `CannotReach`, or `LookupError` and `BadQuestion` for what cannot be answered."""
    if isinstance(center, RunningCenter):
        written = {"site": asked.site, "shift": asked.shift, "line": asked.line, "which": asked.which}
        written |= {"date": asked.day.isoformat()} if asked.day else {}
        answer: ReportAnswer = center.request(f"/report?{urlencode(written)}")
        return answer
    engine = open_database(center.settings.database_url)
    prepare_targets(engine)
    center.state.said_targets.connect(partial(targets_of, engine))
    try:
        return report(center.state, ReportQuestion(EVERYTHING, *_values(asked)))
    finally:
        engine.dispose()


def _values(asked: AskedReport) -> tuple[Any, ...]:
    return asked.site, asked.day, asked.shift, asked.line, asked.which


def as_text(answer: ReportAnswer, lang: str) -> str:
    """The report for a terminal."""
    return mail_text(sheet(answer, lang))


def as_pdf(answer: ReportAnswer, lang: str) -> bytes:
    """The report as a PDF, dated now."""
    from center.outgoing.reports.pdf import report_pdf  # the library only where a PDF is made

    return report_pdf(sheet(answer, lang), moment(datetime.now(UTC).astimezone(ZoneInfo(answer["timezone"])), lang))
