"""The page of what a site's monthly reports aim at beside its targets, and of the papers that they refer to."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from center.api.access import Aiming, Viewing, address_of
from center.api.outside import outside
from center.console.document import button, choice, document, field, form, hidden, notice
from center.console.draw.markup import Child, el
from center.console.draw.names import months_page, named, papers_page, targets_page
from center.model.times import BadQuestion
from center.outgoing.monthly.content import OBJECTIVES, TOPICS
from center.outgoing.monthly.papers import (
    ObjectiveAnswer,
    ObjectiveRequest,
    PaperDesk,
    PapersAnswer,
    ReferenceAnswer,
    ReferenceRequest,
)
from center.outgoing.page_request import SitePageRequest
from center.queries import sites as queries
from words import number, percent, say

_UNITS = {"mtbf_s": 3600.0, "mttr_s": 60.0, "pm": 0.01, "planned_share": 0.01}
"""What people type is of these: hours, minutes, per cent."""


def add_paper_pages(app: FastAPI, desk: PaperDesk) -> None:
    """The routes; they return pages, so the API's description leaves them out."""

    @app.get("/months/{site}/papers", include_in_schema=False)
    def show(request: Request, viewer: Viewing, site: str) -> Response:
        return _Papers(request, desk, viewer, site).page()

    @app.post("/months/{site}/papers", include_in_schema=False)
    async def change(request: Request, viewer: Aiming, site: str) -> Response:
        fields = {name: str(value) for name, value in (await request.form()).items()}
        return await run_in_threadpool(_Papers(request, desk, viewer, site).change, fields)


@dataclass(frozen=True)
class _Papers(SitePageRequest[PaperDesk]):
    """One request of a viewer about one site. Raises `UnknownSite` and `StoreUnavailable`, which become pages."""

    WORDS = "papers."

    def change(self, fields: Mapping[str, str]) -> Response:
        """Writes what the form says."""
        address = address_of(self.request)
        try:
            if fields.get("act") == "refer":
                names = ("topic", "title", "place", "edition", "owner")
                told = {"site": self.site} | {key: fields.get(key, "") for key in names}
                self.desk.refer(self.viewer, address, ReferenceRequest.model_validate(told))
            else:
                kind, text = fields.get("kind", ""), fields.get("value", "").strip().replace(",", ".")
                value = float(text) * _UNITS.get(kind, 1.0) if text else None
                aimed = {key: fields.get(key, "") for key in ("machine", "since")}
                asked = ObjectiveRequest.model_validate({"site": self.site, "kind": kind, "value": value} | aimed)
                self.desk.aim(self.viewer, address, asked)
        except ValidationError as error:
            first = error.errors()[0]
            detail = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            return self.page(notice(say("maintenance.not_saved", self.lang, detail=detail), "bad"), 422)
        except (BadQuestion, ValueError) as error:
            return self.page(notice(say("maintenance.not_saved", self.lang, detail=error), "bad"), 422)
        return self.page(notice(self.tell("saved"), "good"))

    def page(self, message: Child = None, status: int = 200) -> HTMLResponse:
        """The page. message: about the last change."""
        center, lang = self.desk.center, self.lang
        site = named(queries.site(center, self.viewer, self.site)["name"], lang, self.site)
        rows = [row for row in queries.machines(center, self.viewer, self.site) if not row.get("retired")]
        names = {row["id"]: named(row["name"], lang, row["id"]) for row in rows}
        told, title = self.desk.listed(self.viewer, self.site), self.tell("of_site", site=site)
        crumbs = el(
            "nav", el("a", say("console.fleet", lang), href=outside("/")), el("span", "›"), el("span", site),
            el("a", say("months.link", lang), href=months_page(self.site), cls="aside"),
            el("a", say("target.link", lang), href=targets_page(self.site)), cls="crumbs",
        )  # fmt: skip
        head = el("div", el("h1", title), cls="admin-head")
        return document(
            center, self.viewer, lang, title, crumbs, head, message, el("p", self.tell("note"), cls="soft"),
            *self._objectives(told, names), *self._references(told), status=status,
        )  # fmt: skip

    def _objectives(self, told: PapersAnswer, names: Mapping[str, str]) -> list[Child]:
        everything = say("monthly.all", self.lang)
        rows = [self._objective(item, names.get(item["machine"], everything)) for item in told["objectives"]]
        parts: list[Child] = [el("h2", self.tell("objectives"), cls="lately")]
        parts.append(el("ul", *rows, cls="rows") if rows else el("p", self.tell("objectives.none"), cls="empty"))
        if self.viewer.may("aim"):
            kinds = [(key, self.tell(f"kind.{key}")) for key in OBJECTIVES]
            parts.append(
                form(
                    papers_page(self.site),
                    hidden({"act": "aim"}),
                    choice(say("monthly.head.objective", self.lang), "kind", kinds),
                    choice(
                        say("monthly.head.machine", self.lang), "machine", [("", everything), *sorted(names.items())]
                    ),
                    field(self.tell("value"), "value", inputmode="decimal", required="", maxlength="12"),
                    field(self.tell("since"), "since", "month", told["month"], required=""),
                    button(self.tell("set")),
                    cls="form fold add",
                )
            )
        return parts

    def _objective(self, item: ObjectiveAnswer, machine: str) -> Markup:
        value, kind = item["value"] / _UNITS[item["kind"]], item["kind"]
        unit = {"mtbf_s": "hours", "mttr_s": "minutes"}.get(kind)
        shown = (
            say(f"monthly.{unit}", self.lang, n=number(value, self.lang, 1))
            if unit
            else percent(item["value"], self.lang)
        )
        since = self.tell(
            "since_month", month=say("monthly.month", self.lang, year=item["since"][:4], month=item["since"][5:])
        )
        back = None
        if self.viewer.may("aim"):
            asked = {"act": "aim", "kind": kind, "machine": item["machine"], "since": item["since"], "value": ""}
            back = form(papers_page(self.site), hidden(asked), button(self.tell("withdraw"), "quiet danger"), cls="")
        who = el("div", el("b", say(f"monthly.figure.{kind}", self.lang)), el("span", machine, cls="soft"), cls="who")
        return el("li", who, el("div", shown), el("div", f"{since}, {item['by']}", cls="soft"), back)

    def _references(self, told: PapersAnswer) -> list[Child]:
        given = {item["topic"] for item in told["references"]}
        rows = [self._reference(item) for item in told["references"]]
        rows += [
            el("li", el("div", el("b", say(f"monthly.elsewhere.{topic}", self.lang)), cls="who"),
               el("div", say("monthly.elsewhere.missing", self.lang), cls="due-overdue"))
            for topic in TOPICS if topic not in given and topic != "other"
        ]  # fmt: skip
        parts: list[Child] = [el("h2", self.tell("references"), cls="lately"), el("ul", *rows, cls="rows")]
        if self.viewer.may("aim"):
            topics = [(key, say(f"monthly.elsewhere.{key}", self.lang)) for key in TOPICS]
            heads = {key: say(f"monthly.head.{key}", self.lang) for key in ("title", "place", "edition", "owner")}
            parts.append(
                form(
                    papers_page(self.site),
                    hidden({"act": "refer"}),
                    choice(self.tell("topic"), "topic", topics),
                    field(heads["title"], "title", required="", maxlength="200"),
                    field(heads["place"], "place", required="", maxlength="200"),
                    field(heads["edition"], "edition", maxlength="80"),
                    field(heads["owner"], "owner", maxlength="80"),
                    button(self.tell("refer")),
                    cls="form fold add",
                )
            )
        return parts

    def _reference(self, item: ReferenceAnswer) -> Markup:
        topic = say(f"monthly.elsewhere.{item['topic']}", self.lang)
        where = " · ".join(text for text in (item["place"], item["edition"], item["owner"]) if text)
        back = None
        if self.viewer.may("aim"):
            asked = {"act": "refer", "topic": item["topic"], "title": item["title"]}
            back = form(papers_page(self.site), hidden(asked), button(self.tell("withdraw"), "quiet danger"), cls="")
        who = el("div", el("b", item["title"]), el("span", topic, cls="soft"), cls="who")
        return el("li", who, el("div", where), el("div", item["by"], cls="soft"), back)
