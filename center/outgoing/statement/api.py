"""HTTP for capability statements: a factory's owner makes, lists and revokes them. Nobody else sees them, but by their link."""

from datetime import date
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from center.api.access import Owning, address_of
from center.api.outside import outside
from center.api.parameters import V1, SiteName
from center.api.problems import PROBLEMS, Problem, problem
from center.database.statements import ChangedStatement, Statement, prepare_statements
from center.model.times import iso
from center.model.viewer import Viewer
from center.outgoing.apart import NoPdf
from center.outgoing.statement.content import DeclaredCertificate, LineKey
from center.outgoing.statement.desk import StatementAsked, StatementDesk
from center.queries.question import zone_of

PDF: Final = "application/pdf"
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The archive file (PDF/A-3u).", "content": {PDF: {}}}
}
_CHANGED: Final[dict[int | str, dict[str, Any]]] = {
    500: {"model": Problem, "description": "The database holds something else than what was made."}
}


class CertificateRequest(BaseModel):
    """A certificate that the firm says it has."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=80, examples=["ISO 9001"])]
    number: Annotated[str, Field(max_length=80)] = ""
    until: date | None = None


class StatementRequest(BaseModel):
    """A statement to be made. ends: last day on which its link works, at most 90 days from now."""

    model_config = ConfigDict(extra="forbid")

    site: Annotated[str, Field(max_length=64, examples=["van-long"])]
    recipient: Annotated[str, Field(min_length=1, max_length=120)]
    purpose: Annotated[str, Field(min_length=1, max_length=300)]
    ends: date
    lines: Annotated[list[LineKey], Field(min_length=1, max_length=9)]
    certificates: Annotated[list[CertificateRequest], Field(max_length=20)] = []


class StatementAnswer(TypedDict):
    """A statement. state: valid, revoked or expired; digest: of its content, which the PDF prints and has attached."""

    number: str
    site: str
    recipient: str
    purpose: str
    state: str
    ends: str
    made: str
    made_by: str
    revoked: str | None
    revoked_by: str
    digest: str


class MadeStatement(StatementAnswer):
    """A new statement. link: the only time that it is told."""

    link: str


class OpeningAnswer(TypedDict):
    """Somebody opened it. what: page, pdf, or check."""

    at: str
    what: str
    address: str


def statement_answer(desk: StatementDesk, viewer: Viewer, item: Statement) -> StatementAnswer:
    """A statement as the API tells it."""
    zone = zone_of(desk.center, viewer, item.site)
    return {
        "number": item.id,
        "site": item.site,
        "recipient": item.recipient,
        "purpose": item.purpose,
        "state": item.state(desk.center.now_ns()),
        "ends": iso(item.ends_ns, zone),
        "made": iso(item.made_ns, zone),
        "made_by": item.made_by,
        "revoked": iso(item.revoked_ns, zone) if item.revoked_ns else None,
        "revoked_by": item.revoked_by,
        "digest": item.digest,
    }


def link_of(secret: str) -> str:
    """The path of a link."""
    return outside(f"/statement/{secret}")


def add_statements(app: FastAPI, desk: StatementDesk) -> None:
    """The routes; pages find the desk in the application's state."""
    prepare_statements(desk.engine)
    app.state.statements = desk

    @app.get(f"{V1}/statements", responses=PROBLEMS)
    def statements(viewer: Owning, site: SiteName) -> list[StatementAnswer]:
        """The capability statements that the factory's owner made, the newest first."""
        return [statement_answer(desk, viewer, item) for item in desk.listed(viewer, site)]

    @app.post(f"{V1}/statements", responses=PROBLEMS | _CHANGED, response_model=MadeStatement)
    def make_statement(viewer: Owning, request: Request, asked: StatementRequest) -> Any:
        """Makes a capability statement for somebody; its link is told once."""
        certificates = tuple(
            DeclaredCertificate(
                name=" ".join(item.name.split()), number=" ".join(item.number.split()), until=item.until
            )
            for item in asked.certificates
        )
        wanted = StatementAsked(
            asked.site, asked.recipient, asked.purpose, asked.ends, tuple(dict.fromkeys(asked.lines)), certificates
        )
        try:
            item, secret = desk.make(viewer, address_of(request), wanted)
        except NoPdf as error:
            return problem(503, "no_pdf", str(error))
        return {**statement_answer(desk, viewer, item), "link": link_of(secret)}

    @app.post(f"{V1}/statements/{{statement}}/revoke", responses=PROBLEMS)
    def revoke_statement(viewer: Owning, request: Request, statement: str) -> dict[str, str]:
        """Ends a statement's link at once. Copies that somebody has stay with them."""
        desk.revoke(viewer, address_of(request), statement)
        return {"number": statement, "state": "revoked"}

    @app.get(f"{V1}/statements/{{statement}}/openings", responses=PROBLEMS)
    def statement_openings(viewer: Owning, statement: str) -> list[OpeningAnswer]:
        """When the statement was opened, what of it, and from which address, the last first."""
        zone = zone_of(desk.center, viewer, desk.one(viewer, statement).site)
        return [
            {"at": iso(item.at_ns, zone), "what": item.what, "address": item.address}
            for item in desk.openings(viewer, statement)
        ]

    @app.get(f"{V1}/statements/{{statement}}/pdf", responses=PROBLEMS | _FILE | _CHANGED, response_class=Response)
    def statement_file(
        viewer: Owning, statement: str, lang: Annotated[Literal["vi", "en"], Query(description="Language.")] = "vi"
    ) -> Any:
        """The PDF of a statement, as it was made."""
        try:
            item = desk.one(viewer, statement)
            return pdf_answer(item, desk.file(item, lang), lang)
        except ChangedStatement as error:
            return changed_statement(error)


def pdf_answer(item: Statement, file: bytes, lang: str) -> Response:
    """The PDF as a download that nothing keeps."""
    name = f"nhip-statement-{item.id}-{lang}.pdf"
    head = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(file, media_type=PDF, headers=head)


def changed_statement(error: ChangedStatement) -> Response:
    """What the database holds is not what was made."""
    return problem(
        500, "changed", f"statement {error}: what the database holds is not what was made; compare it with a backup"
    )
