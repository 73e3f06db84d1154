"""The page of a site's monthly reports: those that were issued, the one that would be issued now, to issue and to sign."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from center.api.access import Forbidden, Viewing, Writing, address_of
from center.api.outside import outside
from center.console.document import button, choice, document, field, form, hidden, notice
from center.console.draw import time_labels
from center.console.draw.markup import Child, el, join
from center.console.draw.names import maintenance_page, months_page, named, papers_page, report_page, targets_page
from center.database.month_issues import ChangedIssue, IssuedMeanwhile, IssuedMonth, SignedAlready
from center.model.times import BadQuestion
from center.outgoing.apart import NoPdf
from center.outgoing.monthly.api import IssuedMonthAnswer, issued_answer
from center.outgoing.monthly.content import LANGUAGES, MONTHS, is_month, month_after
from center.outgoing.monthly.desk import MonthDesk
from center.outgoing.monthly.sheet import SIGNATURES, month_sheet
from center.outgoing.page_request import SitePageRequest
from center.outgoing.reports.html import page_content
from center.queries import sites as queries
from center.queries.question import UnknownSite, zone_of
from oee.model.calendars import local_date
from words import moment, say

_SHORT: Final = 12
"""So many digits of a digest are shown in a list."""


def add_month_pages(app: FastAPI, desk: MonthDesk) -> None:
    """The routes; they return pages, so the API's description leaves them out."""

    @app.get("/months/{site}", include_in_schema=False)
    def show(request: Request, viewer: Viewing, site: str) -> Response:
        return _Months(request, desk, viewer, site).page()

    @app.post("/months/{site}", include_in_schema=False)
    async def change(request: Request, viewer: Writing, site: str) -> Response:
        fields = {name: str(value) for name, value in (await request.form()).items()}
        at = _Months(request, desk, viewer, site)
        return await run_in_threadpool(at.sign if fields.get("act") == "sign" else at.issue, fields)


@dataclass(frozen=True)
class _Months(SitePageRequest[MonthDesk]):
    """One request of a viewer about one site's monthly reports. Raises `UnknownSite` and `StoreUnavailable`, which become pages."""

    WORDS = "months."

    def issue(self, fields: Mapping[str, str]) -> Response:
        """Issues what the draft shows; only the center's people may."""
        if not self.viewer.may("aim"):
            raise Forbidden("this needs the right 'aim': the center's engineers and administrators issue reports")
        month = fields.get("month", "")
        try:
            item = self.desk.issue(self.viewer, address_of(self.request), self.site, month, fields.get("why", ""))
        except (BadQuestion, IssuedMeanwhile, NoPdf) as error:
            status = 422 if isinstance(error, BadQuestion) else 409 if isinstance(error, IssuedMeanwhile) else 503
            return self.page(notice(self.tell("not_issued", detail=error), "bad"), {"draft": month}, status)
        told = notice(self.tell("issued", n=item.revision, digest=item.digest), "good")
        return self.page(told, {"month": month, "revision": str(item.revision)})

    def sign(self, fields: Mapping[str, str]) -> Response:
        """Signs the issue that is shown."""
        chosen = {"month": fields.get("month", ""), "revision": fields.get("revision", "")}
        item = self.desk.one(self.viewer, self.site, chosen["month"], _number(chosen["revision"]))
        meaning = fields.get("meaning", "")
        try:
            self.desk.sign(self.viewer, address_of(self.request), item, meaning, fields.get("position", ""))
        except BadQuestion as error:
            return self.page(notice(str(error), "bad"), chosen, 422)
        except SignedAlready:
            told = self.tell("signed_already", meaning=say(f"monthly.sign.{meaning}", self.lang))
            return self.page(notice(told, "bad"), chosen, 409)
        return self.page(notice(self.tell("signed", digest=item.digest[:_SHORT]), "good"), chosen)

    def page(self, message: Child = None, chosen: Mapping[str, str] | None = None, status: int = 200) -> HTMLResponse:
        """The page. message: about the last change; chosen: which month, as in the address."""
        asked = self.request.query_params if chosen is None else chosen
        center, lang = self.desk.center, self.lang
        issues = self.desk.listed(self.viewer, self.site)
        site = named(queries.site(center, self.viewer, self.site)["name"], lang, self.site)
        parts: list[Child] = [message]
        try:
            if asked.get("draft"):
                parts += self._draft(asked["draft"])
            elif asked.get("month") or issues:
                parts += self._issue(asked, issues)
            else:
                parts.append(el("p", self.tell("none"), cls="empty"))
        except BadQuestion as error:
            parts.append(notice(self.tell("cannot", detail=error), "bad"))
            status = max(status, 422)
        except ChangedIssue as error:
            parts.append(notice(self.tell("changed", detail=error), "bad"))
            status = 500
        title = self.tell("of_site", site=site)
        crumbs = el(
            "nav", el("a", say("console.fleet", lang), href=outside("/")), el("span", "›"), el("span", site),
            el("a", say("report.title", lang), href=report_page(self.site), cls="aside"),
            el("a", say("target.link", lang), href=targets_page(self.site)),
            el("a", say("papers.link", lang), href=papers_page(self.site)),
            el("a", say("maintenance.link", lang), href=maintenance_page(self.site)), cls="crumbs no-print",
        )  # fmt: skip
        head = el("div", el("h1", title), cls="admin-head no-print")
        content = el("div", *parts, cls="month")
        listed = self._list(issues)
        return document(
            center, self.viewer, lang, title, crumbs, head, self._chooser(asked), content, listed, status=status
        )

    def _chooser(self, asked: Mapping[str, str]) -> Markup:
        today = local_date(zone_of(self.desk.center, self.viewer, self.site), self.desk.center.now_ns())
        months = [month_after(f"{today:%Y-%m}", -back) for back in range(1, MONTHS + 1)]
        options = [(month, say("monthly.month", self.lang, year=month[:4], month=month[5:])) for month in months]
        items = (
            el("option", text, value=key, selected="" if key == asked.get("draft") else None) for key, text in options
        )
        pick = el("select", *items, name="draft", aria_label=self.tell("month"))
        show = el("button", self.tell("show_draft"), cls="quiet-link", type="submit")
        return el("form", pick, show, method="get", action=months_page(self.site), cls="controls pick-day no-print")

    def _draft(self, month: str) -> list[Child]:
        content = self.desk.draft(self.viewer, self.site, month)
        parts: list[Child] = []
        if self.viewer.may("aim"):
            why = field(self.tell("why"), "why", required="", maxlength="500") if content.revision > 1 else None
            label = self.tell("issue", n=content.revision)
            asked = hidden({"act": "issue", "month": month})
            parts.append(form(months_page(self.site), asked, why, button(label), cls="form no-print"))
        else:
            parts.append(el("p", self.tell("only_center"), cls="soft"))
        sheet = month_sheet(content, self.lang, draft=True)
        return [*parts, el("p", sheet.subtitle, cls="soft"), page_content(sheet)]

    def _issue(self, asked: Mapping[str, str], issues: list[IssuedMonth]) -> list[Child]:
        month = asked.get("month") or issues[0].month
        if not is_month(month):
            raise UnknownSite(f"month {month[:10]!r} of site {self.site[:64]!r} has no issue")
        item = self.desk.one(self.viewer, self.site, month, _number(asked.get("revision", "")))
        sheet = month_sheet(self.desk.content(self.viewer, item), self.lang)
        acts = el(
            "div",
            *self._files(item),
            el("button", say("report.print", self.lang), cls="quiet-link", data_print="1", type="button"),
            cls="acts no-print",
        )
        told = issued_answer(self.desk, self.viewer, item)
        return [
            el("div", el("p", sheet.subtitle, cls="soft"), acts, cls="admin-head"),
            page_content(sheet),
            self._signatures(told),
        ]

    def _files(self, item: IssuedMonth) -> list[Markup]:
        def address(path: str, more: str = "") -> str:
            return outside(f"/api/v1/months/{path}?site={item.site}&month={item.month}&revision={item.revision}{more}")

        files = [
            el("a", self.tell(f"pdf.{lang}"), href=address("pdf", f"&lang={lang}"), download="", cls="quiet-link")
            for lang in LANGUAGES
        ]
        sums = el("a", self.tell("sums"), href=address("sums"), download=f"{item.month}.json", cls="quiet-link")
        return [*files, sums]

    def _signatures(self, told: IssuedMonthAnswer) -> Markup:
        lang = self.lang
        signed = {one["meaning"]: one for one in told["signatures"]}
        rows = []
        for meaning in SIGNATURES:
            one = signed.get(meaning)
            text = f"{one['who']}{', ' + one['position'] if one['position'] else ''}" if one else "–"
            when = moment(time_labels.parse(one["at"]), lang) if one else ""
            rows.append(
                el(
                    "li",
                    el("div", el("b", say(f"monthly.sign.{meaning}", lang)), cls="who"),
                    el("div", text),
                    el("div", when, cls="faint"),
                )
            )
        open_ones = [(key, say(f"monthly.sign.{key}", lang)) for key in SIGNATURES if key not in signed]
        sign = None
        if open_ones and self.viewer.may("write"):
            sign = form(
                months_page(self.site),
                hidden({"act": "sign", "month": told["month"], "revision": str(told["revision"])}),
                choice(self.tell("meaning"), "meaning", open_ones),
                field(self.tell("position"), "position", maxlength="80"),
                button(self.tell("sign")),
                cls="form fold",
            )
        title = el("h2", self.tell("signatures"), cls="lately")
        return el(
            "section",
            title,
            el("p", self.tell("signatures.note"), cls="soft"),
            el("ul", *rows, cls="rows goals-set"),
            sign,
            cls="no-print",
        )

    def _list(self, issues: list[IssuedMonth]) -> Markup | None:
        if not issues:
            return None
        rows = []
        zone = zone_of(self.desk.center, self.viewer, self.site)
        for item in issues:
            month = say("monthly.month", self.lang, year=item.month[:4], month=item.month[5:])
            link = el("a", month, href=months_page(self.site, month=item.month, revision=str(item.revision)))
            made = moment(time_labels.local(item.made_ns, zone), self.lang)
            by = say("monthly.issue.by", self.lang, when=made, who=item.made_by)
            rows.append(
                el(
                    "li",
                    el(
                        "div",
                        el("b", link),
                        el("span", say("monthly.revision", self.lang, n=item.revision), cls="soft"),
                        cls="who",
                    ),
                    el("div", item.why or "–"),
                    el("div", by, cls="soft"),
                    el("div", el("code", item.digest[:_SHORT]), cls="faint"),
                )
            )
        return join(el("h2", self.tell("all"), cls="lately no-print"), el("ul", *rows, cls="rows goals-set no-print"))


def _number(text: Any) -> int:
    """A revision as in an address, 0 for the last one."""
    return int(text) if str(text).isdecimal() and len(str(text)) < 6 else 0
