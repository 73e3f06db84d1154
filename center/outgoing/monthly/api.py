"""HTTP for monthly reports: which were issued, their sums and PDFs; and to issue one."""

from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from center.api.access import Aiming, Viewing, address_of
from center.api.parameters import V1, SiteName
from center.api.problems import PROBLEMS, Problem, problem
from center.database.maintenance import prepare_maintenance
from center.database.month_issues import (
    ChangedIssue,
    IssuedMeanwhile,
    IssuedMonth,
    MonthSignature,
    prepare_month_issues,
)
from center.database.month_papers import prepare_month_papers
from center.model.times import iso
from center.model.viewer import Viewer
from center.outgoing.apart import NoPdf
from center.outgoing.monthly.content import Language, MonthContent, canonical
from center.outgoing.monthly.desk import MonthDesk
from center.queries.question import zone_of

PDF: Final = "application/pdf"
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The archive file (PDF/A-3u).", "content": {PDF: {}}}
}
_CHANGED: Final[dict[int | str, dict[str, Any]]] = {
    500: {"model": Problem, "description": "The database holds something else than what was issued."}
}
_CONFLICT: Final[dict[int | str, dict[str, Any]]] = {
    409: {"model": Problem, "description": "Somebody else issued this revision meanwhile."}
}
_Month = Annotated[str, Query(description="A month.", pattern=r"^\d{4}-\d\d$", examples=["2026-02"])]
_Revision = Annotated[int, Query(ge=0, le=10_000, description="Which issue; 0 for the last one.")]


class MonthSignatureAnswer(TypedDict):
    """A signature in the console. meaning: prepared, reviewed or approved."""

    meaning: str
    who: str
    position: str
    at: str


class IssuedMonthAnswer(TypedDict):
    """An issue of a month. digest: SHA-256 of its sums, which the PDF prints and has attached; prior ones stay as they are."""

    site: str
    month: str
    revision: int
    digest: str
    made: str
    made_by: str
    why: Annotated[str, Field(description="What a revision was made for; empty for the first issue.")]
    signatures: list[MonthSignatureAnswer]


class MonthRequest(BaseModel):
    """A month to be issued. why: what a revision is made for."""

    model_config = ConfigDict(extra="forbid")

    site: Annotated[str, Field(max_length=64, examples=["van-long"])]
    month: Annotated[str, Field(pattern=r"^\d{4}-\d\d$", examples=["2026-02"])]
    why: Annotated[str, Field(max_length=500)] = ""


def add_months(app: FastAPI, desk: MonthDesk) -> None:
    """The routes; pages find the desk in the application's state."""
    prepare_month_issues(desk.engine)
    prepare_maintenance(desk.engine)
    prepare_month_papers(desk.engine)
    app.state.months = desk

    def told(viewer: Viewer, item: IssuedMonth) -> IssuedMonthAnswer:
        return issued_answer(desk, viewer, item)

    @app.get(f"{V1}/months", responses=PROBLEMS)
    def months(viewer: Viewing, site: SiteName) -> list[IssuedMonthAnswer]:
        """The monthly TPM reports that were issued, the newest first."""
        return [told(viewer, item) for item in desk.listed(viewer, site)]

    @app.get(f"{V1}/months/sums", responses=PROBLEMS | _CHANGED, response_model=MonthContent)
    def month_sums(viewer: Viewing, site: SiteName, month: _Month, revision: _Revision = 0) -> Any:
        """The sums of an issue, byte for byte as the PDF has them attached."""
        try:
            content = desk.content(viewer, desk.one(viewer, site, month, revision))
        except ChangedIssue as error:
            return changed(error)
        return Response(canonical(content), media_type="application/json")

    @app.get(f"{V1}/months/draft", responses=PROBLEMS | _CHANGED, response_model=MonthContent)
    def month_draft(viewer: Viewing, site: SiteName, month: _Month) -> Any:
        """A month that is over, as it would be issued now."""
        try:
            return Response(canonical(desk.draft(viewer, site, month)), media_type="application/json")
        except ChangedIssue as error:
            return changed(error)

    @app.get(f"{V1}/months/pdf", responses=PROBLEMS | _FILE | _CHANGED, response_class=Response)
    def month_file(
        viewer: Viewing, site: SiteName, month: _Month, revision: _Revision = 0, lang: Language = "vi"
    ) -> Any:
        """The PDF of an issue, as it was issued: Vietnamese, English, or both."""
        try:
            item = desk.one(viewer, site, month, revision)
            file = desk.file(viewer, item, lang)
        except ChangedIssue as error:
            return changed(error)
        head = {"Content-Disposition": f'attachment; filename="{file_name(item, lang)}"', "Cache-Control": "no-store"}
        return Response(file, media_type=PDF, headers=head)

    @app.post(f"{V1}/months", responses=PROBLEMS | _CHANGED | _CONFLICT, response_model=IssuedMonthAnswer)
    def issue_month(viewer: Aiming, request: Request, asked: MonthRequest) -> Any:
        """Issues a month as it is now. What was issued before stays; another issue is the next revision and says why."""
        try:
            return told(viewer, desk.issue(viewer, address_of(request), asked.site, asked.month, asked.why))
        except ChangedIssue as error:
            return changed(error)
        except IssuedMeanwhile as error:
            return problem(409, "conflict", str(error))
        except NoPdf as error:
            return problem(503, "no_pdf", str(error))


def changed(error: ChangedIssue) -> Response:
    """What the database holds is not what was issued."""
    return problem(500, "changed", f"{error}: what the database holds is not what was issued; compare it with a backup")


def issued_answer(desk: MonthDesk, viewer: Viewer, item: IssuedMonth) -> IssuedMonthAnswer:
    """An issue with its signatures."""
    zone = zone_of(desk.center, viewer, item.site)

    def signed(one: MonthSignature) -> MonthSignatureAnswer:
        return {"meaning": one.meaning, "who": one.who, "position": one.position, "at": iso(one.at_ns, zone)}

    return {
        "site": item.site,
        "month": item.month,
        "revision": item.revision,
        "digest": item.digest,
        "made": iso(item.made_ns, zone),
        "made_by": item.made_by,
        "why": item.why,
        "signatures": [signed(one) for one in desk.signatures(viewer, item)],
    }


def file_name(item: IssuedMonth, lang: str) -> str:
    """`nhip-tpm-SITE-MONTH-rREVISION-LANG.pdf`, in characters that every system takes."""
    site = "".join(c if c.isascii() and (c.isalnum() or c == "-") else "_" for c in item.site)
    return f"nhip-tpm-{site}-{item.month}-r{item.revision}-{lang}.pdf"
