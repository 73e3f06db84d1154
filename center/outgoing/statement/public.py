"""What somebody without an account sees of capability statements: by a link what it says, by a digest whether it counts.

Every opening is noted for the factory's owner. A statement that does not count any more shows nothing but that.
"""

from typing import Annotated, Final, Literal

from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from center.api.access import address_of
from center.api.outside import outside
from center.console import frame
from center.console.document import button, document
from center.console.draw.markup import Child, el
from center.database.statements import ChangedStatement, Statement
from center.outgoing.reports.html import page_content
from center.outgoing.statement.api import changed_statement, link_of, pdf_answer
from center.outgoing.statement.content import LANGUAGES
from center.outgoing.statement.desk import StatementDesk
from center.outgoing.statement.sheet import statement_sheet, watermark_of
from words import say

_STATUS: Final = {"valid": 200, "revoked": 410, "expired": 410, "unknown": 404}
_Lang = Annotated[Literal["vi", "en"], Query()]
_LONGEST: Final = 100
_UNSEEN: Final = {"X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": "no-referrer"}


def add_public_statements(app: FastAPI, desk: StatementDesk) -> None:
    """The routes, which need no account."""

    def page(request: Request, title: str, *content: Child, status: int = 200) -> HTMLResponse:
        answer = document(desk.center, None, frame.language(request, desk.center), title, *content, status=status)
        answer.headers.update(_UNSEEN)
        return answer

    def state_page(request: Request, state: str) -> HTMLResponse:
        """Nothing but whether it counts."""
        lang = frame.language(request, desk.center)
        told = el("p", say(f"statement.check.{state}", lang), cls=f"verdict v-{state}")
        return page(request, say("statement.title", lang), el("div", told, cls="sorry"), status=_STATUS[state])

    @app.get("/statement/check", include_in_schema=False)
    def ask(request: Request, digest: str = "") -> Response:
        """Whether the statement with this digest counts: valid, revoked or expired, and nothing else."""
        text = "".join(digest.split())
        if text:
            state = desk.checked(text[:_LONGEST], address_of(request))
            answer = state_page(request, state)
            answer.status_code = 404 if state == "unknown" else 200
            return answer
        lang = frame.language(request, desk.center)
        field = el("input", name="digest", maxlength="100", required="", aria_label="SHA-256", placeholder="SHA-256")
        asked = el(
            "form",
            field,
            button(say("statement.check.ask", lang)),
            method="get",
            action=outside("/statement/check"),
            cls="form",
        )
        note = el("p", say("statement.check.note", lang), cls="soft")
        return page(
            request,
            say("statement.title", lang),
            el("div", el("h1", say("statement.check.title", lang)), note, asked, cls="sorry"),
        )

    @app.get("/statement/{secret}", include_in_schema=False)
    def show(request: Request, secret: str) -> Response:
        """What the statement says, to whoever has the link."""
        item, state = desk.opened_by(secret[:_LONGEST], "page", address_of(request))
        if item is None or state != "valid":
            return state_page(request, state)
        try:
            return page(
                request, say("statement.title", frame.language(request, desk.center)), *_shown(request, item, secret)
            )
        except ChangedStatement as error:
            return changed_statement(error)

    def _shown(request: Request, item: Statement, secret: str) -> list[Child]:
        lang, content = frame.language(request, desk.center), desk.content(item)
        sheet = statement_sheet(content, lang, item.digest)
        files = [
            el("a", f"PDF {one}", href=f"{link_of(secret)}/pdf?lang={one}", download="", cls="quiet-link") for one in LANGUAGES
        ]  # fmt: skip
        check = el(
            "a",
            say("statement.check.title", lang),
            href=outside(f"/statement/check?digest={item.digest}"),
            cls="quiet-link",
        )
        mark = watermark_of(content, lang)
        under: Markup = el("div", *(el("span", mark) for _ in range(6)), cls="watermark", aria_hidden="true")
        head = el("div", el("h1", sheet.title), cls="admin-head")
        foot = el("p", *files, check, cls="files")
        return [
            head,
            el("p", sheet.subtitle, cls="soft"),
            el("div", under, page_content(sheet), cls="month statement"),
            foot,
        ]

    @app.get("/statement/{secret}/pdf", include_in_schema=False)
    def file(request: Request, secret: str, lang: _Lang = "vi") -> Response:
        """Its PDF, to whoever has the link."""
        item, state = desk.opened_by(secret[:_LONGEST], "pdf", address_of(request))
        if item is None or state != "valid":
            return state_page(request, state)
        try:
            answer = pdf_answer(item, desk.file(item, lang), lang)
        except ChangedStatement as error:
            return changed_statement(error)
        answer.headers.update(_UNSEEN)
        return answer
