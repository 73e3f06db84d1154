"""The page on which a factory's owner makes and revokes capability statements, and sees who opened them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from center.api.access import Owning, address_of
from center.api.outside import outside
from center.console.document import button, document, field, form, hidden, notice
from center.console.draw import time_labels
from center.console.draw.markup import Child, el
from center.console.draw.names import benchmark_page, named, statements_page
from center.database.statements import Statement
from center.model.times import BadQuestion
from center.outgoing.apart import NoPdf
from center.outgoing.page_request import SitePageRequest
from center.outgoing.statement.api import link_of
from center.outgoing.statement.content import LANGUAGES, LINES, MEASURED, MOST_DAYS, VERIFIED, certificates_of
from center.outgoing.statement.desk import StatementAsked, StatementDesk
from center.queries import sites as queries
from center.queries.question import zone_of
from oee.model.calendars import local_date
from words import moment, number, say

_SHOWN: Final = 12
"""So many openings are listed."""
_TONES: Final = {"valid": "due-in_time", "revoked": "due-overdue", "expired": ""}


def add_statement_pages(app: FastAPI, desk: StatementDesk) -> None:
    """The routes; they return pages, so the API's description leaves them out."""

    @app.get("/statements/{site}", include_in_schema=False)
    def show(request: Request, viewer: Owning, site: str) -> Response:
        return _Statements(request, desk, viewer, site).page()

    @app.post("/statements/{site}", include_in_schema=False)
    async def change(request: Request, viewer: Owning, site: str) -> Response:
        fields = await request.form()
        at = _Statements(request, desk, viewer, site)
        return await run_in_threadpool(at.revoke if fields.get("act") == "revoke" else at.make, fields)


@dataclass(frozen=True)
class _Statements(SitePageRequest[StatementDesk]):
    """One request of an owner about one site. Raises `UnknownSite` and `StoreUnavailable`, which become pages."""

    WORDS = "statement."

    def make(self, fields: FormData) -> Response:
        """Makes what the form says."""
        typed = {name: str(fields.get(name, "")) for name in ("recipient", "purpose", "ends", "certificates")}
        lines: Any = tuple(line for line in LINES if line in fields.getlist("lines"))
        try:
            asked = StatementAsked(
                self.site, typed["recipient"][:120], typed["purpose"][:300], date.fromisoformat(typed["ends"]), lines,
                certificates_of(typed["certificates"]),
            )  # fmt: skip
            _, secret = self.desk.make(self.viewer, address_of(self.request), asked)
        except (BadQuestion, NoPdf, ValueError) as error:
            told = notice(self.tell("not_made", detail=error), "bad")
            return self.page(told, typed, 503 if isinstance(error, NoPdf) else 422)
        link = f"{str(self.request.base_url).rstrip('/')}{link_of(secret).removeprefix(outside(''))}"
        told = el("p", self.tell("made_link"), " ", el("code", link, cls="link"), cls="said good", role="status")
        return self.page(told)

    def revoke(self, fields: FormData) -> Response:
        """Revokes the statement that the form names."""
        try:
            item = self.desk.one(self.viewer, str(fields.get("number", "")))
            self.desk.revoke(self.viewer, address_of(self.request), item.id)
        except BadQuestion as error:
            return self.page(notice(self.tell("not_made", detail=error), "bad"), status=422)
        return self.page(notice(self.tell("revoked_now"), "good"))

    def page(self, message: Child = None, typed: Mapping[str, str] | None = None, status: int = 200) -> HTMLResponse:
        """The page. message: about the last change; typed: what the form keeps."""
        center, lang = self.desk.center, self.lang
        site = named(queries.site(center, self.viewer, self.site)["name"], lang, self.site)
        title = self.tell("of_site", site=site)
        crumbs = el(
            "nav", el("a", say("console.fleet", lang), href=outside("/")), el("span", "›"), el("span", site),
            el("a", say("benchmark.link", lang), href=benchmark_page(self.site), cls="aside"), cls="crumbs",
        )  # fmt: skip
        listed = self.desk.listed(self.viewer, self.site)
        rows = [self._statement(item) for item in listed]
        list_ = el("ul", *rows, cls="rows plan") if rows else el("p", self.tell("none"), cls="empty")
        return document(
            center, self.viewer, lang, title, crumbs, el("div", el("h1", title), cls="admin-head"), message,
            el("p", self.tell("note"), cls="soft"), self._new(typed or {}), el("h2", self.tell("all"), cls="lately"), list_,
            status=status,
        )  # fmt: skip

    def _new(self, typed: Mapping[str, str]) -> Markup:
        today = local_date(zone_of(self.desk.center, self.viewer, self.site), self.desk.center.now_ns())
        ends = (today + timedelta(days=30)).isoformat()
        last = (today + timedelta(days=MOST_DAYS)).isoformat()
        boxes = []
        for key in LINES:
            mark = "measured" if key in MEASURED else "verified" if key in VERIFIED else "declared"
            box = el("input", type="checkbox", name="lines", value=key)
            boxes.append(
                el(
                    "label",
                    box,
                    el("span", self.tell(f"line.{key}"), " ", el("em", self.tell(f"mark.{mark}"))),
                    cls="tick",
                )
            )
        area = el(
            "textarea",
            typed.get("certificates", ""),
            name="certificates",
            rows="3",
            placeholder="ISO 9001; VN-12345; 2027-01-31",
        )
        return form(
            statements_page(self.site),
            hidden({"act": "make"}),
            field(self.tell("for"), "recipient", value=typed.get("recipient", ""), required="", maxlength="120"),
            field(self.tell("purpose"), "purpose", value=typed.get("purpose", ""), required="", maxlength="300"),
            field(self.tell("until"), "ends", "date", typed.get("ends") or ends, required="", min=today.isoformat(), max=last),
            el("fieldset", el("legend", self.tell("choose")), *boxes, cls="ticks"),
            el("label", el("span", self.tell("certificates")), area),
            button(self.tell("make")),
            cls="form fold add",
        )  # fmt: skip

    def _statement(self, item: Statement) -> Markup:
        zone = zone_of(self.desk.center, self.viewer, self.site)

        def when(at_ns: int) -> str:
            return moment(time_labels.local(at_ns, zone), self.lang)

        state = item.state(self.desk.center.now_ns())
        openings = self.desk.openings(self.viewer, item.id)
        head = el("div", el("b", item.recipient), el("span", item.purpose, cls="soft"), cls="who")
        files = [
            el("a", f"PDF {lang}", href=outside(f"/api/v1/statements/{item.id}/pdf?lang={lang}"), download="", cls="quiet-link")
            for lang in LANGUAGES
        ]  # fmt: skip
        facts = el(
            "p", el("span", self.tell(f"state.{state}"), cls=f"plate {_TONES[state]}"), " ",
            self.tell("made_by", when=when(item.made_ns), who=item.made_by, until=when(item.ends_ns)), " ",
            self.tell("revoked_by", when=when(item.revoked_ns), who=item.revoked_by) if item.revoked_ns else "", " ", *files, cls="soft",
        )  # fmt: skip
        digest = el("p", el("code", item.digest), cls="faint digest")
        lines = [
            el("li", el("span", when(one.at_ns)), el("span", self.tell(f"opened.{one.what}")), el("span", one.address, cls="faint"))
            for one in openings[:_SHOWN]
        ]  # fmt: skip
        told = self.tell("openings", n=number(len(openings), self.lang)) if openings else self.tell("never_opened")
        opened = (
            el("details", el("summary", told), el("ul", *lines, cls="dues")) if lines else el("p", told, cls="soft")
        )
        end = None
        if state == "valid":
            asked = hidden({"act": "revoke", "number": item.id})
            end = form(statements_page(self.site), asked, button(self.tell("revoke"), "quiet danger"),
                       el("span", self.tell("revoke.note"), cls="faint"), cls="revoke")  # fmt: skip
        return el("li", head, facts, digest, opened, end)
