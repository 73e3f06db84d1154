"""HTTP for the report: its numbers as JSON, or the PDF."""

import json
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import Depends, FastAPI, Query, Response
from pydantic import Field
from sqlalchemy import Engine
from typing_extensions import TypedDict

from center.api.access import Viewing
from center.api.parameters import V1, SiteName
from center.api.problems import PROBLEMS, problem
from center.database.report_mails import ReportMail, latest, prepare_report_mails
from center.model.times import iso
from center.model.viewer import Viewer
from center.outgoing.apart import NoPdf, made_apart
from center.outgoing.reports.answer import ReportAnswer
from center.outgoing.reports.asked import ReportQuestion, Which, report
from center.queries.question import zone_of
from center.runtime.state import CenterState
from words import moment

PDF: Final = "application/pdf"
_MAKER: Final = "center.outgoing.reports.pdf:shift_pdf"
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The numbers as JSON, or the file asked for by `format`.", "content": {PDF: {}}}
}


async def _report_question(
    viewer: Viewing,
    site: SiteName,
    day: Annotated[
        date | None, Query(alias="date", description="Business date; without it, what `which` says.")
    ] = None,
    shift: Annotated[str, Query(max_length=64, description="Name of a shift; with a date, empty: the whole day.")] = "",
    line: Annotated[str, Query(max_length=64, description="A line; empty: the whole site.")] = "",
    which: Annotated[
        Which, Query(description="Without a date: the shift that ended last, this one, or a whole day.")
    ] = "last",
) -> ReportQuestion:
    return ReportQuestion(viewer, site, day, shift, line, which)


Asked = Annotated[ReportQuestion, Depends(_report_question)]
"""Which report."""


def add_report(app: FastAPI, center: CenterState) -> None:
    """The route."""

    @app.get(f"{V1}/report", responses=PROBLEMS | _FILE, response_model=ReportAnswer)
    def shift_report(
        question: Asked,
        form: Annotated[Literal["json", "pdf"], Query(alias="format", description="json or pdf.")] = "json",
        lang: Annotated[Literal["vi", "en"], Query(description="Language of the PDF.")] = "vi",
    ) -> Any:
        """A shift or a day of a site for the daily meeting: result against target, where the time went, the longest and the
        unexplained stops, pieces, how far to trust it, open calls.
        """
        answer = report(center, question)
        return pdf_response(center, question, answer, lang) if form == "pdf" else answer


class ReportMailAnswer(TypedDict):
    """A report that is sent by mail. shift: empty for a whole day."""

    site: str
    line: str
    date: str
    shift: str
    recipient: str
    state: Annotated[str, Field(description="waiting, sent, refused (by the server, for ever) or given_up.")]
    due: str
    at: Annotated[str, Field(description="Of the last change.")]
    tries: Annotated[int, Field(description="How often it failed.")]
    why: Annotated[str, Field(description="Why it was not sent; empty if it was.")]


def add_report_mails(app: FastAPI, center: CenterState, engine: Engine) -> None:
    """The route; the console finds the same rows in the application's state."""
    prepare_report_mails(engine)

    def mails_of(viewer: Viewer, site: str) -> list[ReportMailAnswer]:
        zone = zone_of(center, viewer, site)
        return [_mail_row(mail, zone) for mail in latest(engine, site)]

    app.state.report_mails = mails_of

    @app.get(f"{V1}/report-mails", responses=PROBLEMS)
    def report_mails(viewer: Viewing, site: SiteName) -> list[ReportMailAnswer]:
        """The latest reports that were to be sent by mail, and what became of each."""
        return mails_of(viewer, site)


def _mail_row(mail: ReportMail, zone: ZoneInfo) -> ReportMailAnswer:
    return {
        "site": mail.to.site,
        "line": mail.to.line,
        "date": mail.day.isoformat(),
        "shift": mail.shift,
        "recipient": mail.to.recipient,
        "state": mail.state,
        "due": iso(mail.due_ns, zone),
        "at": iso(mail.at_ns, zone),
        "tries": mail.tries,
        "why": mail.why,
    }


def pdf_response(center: CenterState, question: ReportQuestion, answer: ReportAnswer, lang: str) -> Response:
    """The PDF as a download."""
    try:
        content = pdf_of(center, question, answer, lang)
    except NoPdf as error:
        return problem(503, "no_pdf", str(error))
    disposition = f'attachment; filename="{file_name(answer)}"'
    return Response(content, media_type=PDF, headers={"Content-Disposition": disposition, "Cache-Control": "no-store"})


def pdf_of(center: CenterState, question: ReportQuestion, answer: ReportAnswer, lang: str) -> bytes:
    """The PDF, dated now in the site's zone, made in a process of its own. Raises `NoPdf`."""
    made = datetime.fromtimestamp(center.now_ns() // 1_000_000_000, UTC)
    when = moment(made.astimezone(zone_of(center, question.viewer, question.site)), lang)
    told = json.dumps({"answer": answer, "made": {lang: when}}).encode()
    return made_apart(_MAKER, told, [lang])[lang]


def file_name(answer: ReportAnswer) -> str:
    """`nhip-SITE-LINE-DATE-SHIFT.pdf`, in characters that every system takes."""
    parts = ("nhip", answer["site"], answer["line"], answer["date"], answer["shift"])
    return (
        "-".join(
            "".join(c if c.isascii() and (c.isalnum() or c == "-") else "_" for c in part) for part in parts if part
        )
        + ".pdf"
    )
