"""The page of a site's targets: what counts for each machine, every target, and a form to set one."""

import math
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from center.api.access import Aiming, Viewing, address_of
from center.api.outside import outside
from center.api.targets import TargetDesk, TargetPlace, TargetRequest
from center.console import frame
from center.console.document import button, choice, document, field, form, hidden, notice
from center.console.draw import time_labels
from center.console.draw.goals import kind_name, source_name, value_text
from center.console.draw.markup import Child, el
from center.console.draw.names import machine_page, named, product_name, targets_page
from center.model.targets import is_possible
from center.model.times import BadQuestion
from center.model.viewer import Viewer
from center.queries import sites as queries
from center.queries.targets import CountingTarget, TargetRow, targets
from center.runtime.state import CenterState
from oee.kpi.targets import KINDS, RATIOS
from words import day_text, moment, say

Row = Any
_PLACE: Final = ("line", "machine", "product", "since", "kind")


def add_target_pages(app: FastAPI, center: CenterState, desk: TargetDesk) -> None:
    """The routes; they return pages, so the API's description leaves them out."""

    @app.get("/targets/{site}", include_in_schema=False)
    def show(request: Request, viewer: Viewing, site: str) -> Response:
        return _Desk(request, center, desk, viewer, site).page()

    @app.post("/targets/{site}", include_in_schema=False)
    async def change(request: Request, viewer: Aiming, site: str) -> Response:
        fields = {name: str(value) for name, value in (await request.form()).items()}
        at = _Desk(request, center, desk, viewer, site)
        return await run_in_threadpool(at.withdraw if "withdraw" in fields else at.set, fields)


@dataclass(frozen=True)
class _Desk:
    """One request of a viewer about one site's targets. Raises `UnknownSite` and `StoreUnavailable`, which become pages."""

    request: Request
    center: CenterState
    desk: TargetDesk
    viewer: Viewer
    site: str

    @property
    def lang(self) -> str:
        """The language of the page."""
        return frame.language(self.request, self.center)

    def set(self, fields: dict[str, str]) -> Response:
        """Sets what the form says."""
        kind, written = fields.get("kind", ""), fields.get("value", "").strip()
        value = _number(written) / (100 if kind in RATIOS else 1)
        if not is_possible(kind, value):
            return self.page(notice(say("target.bad_value", self.lang, value=written), "bad"), 422)
        line, _, machine = fields.get("place", "").partition("/")
        place = {
            "site": self.site,
            "line": line,
            "machine": machine,
            "product": fields.get("product", ""),
            "kind": kind,
        }
        try:
            since = date.fromisoformat(fields["since"]) if fields.get("since") else None
        except ValueError:
            return self.page(notice(say("target.bad_day", self.lang, day=fields["since"][:20]), "bad"), 422)
        asked = TargetRequest.model_validate(place | {"since": since, "value": value})
        try:
            self.desk.set(self.viewer, address_of(self.request), asked)
        except BadQuestion as error:
            return self.page(notice(str(error), "bad"), 422)
        return self.page(notice(say("target.saved", self.lang), "good"))

    def withdraw(self, fields: dict[str, str]) -> Response:
        """Withdraws the target of a row."""
        place = {name: fields.get(name, "") for name in _PLACE} | {"since": fields.get("since") or None}
        asked = TargetPlace.model_validate(place | {"site": self.site})
        gone = not self.desk.withdraw(self.viewer, address_of(self.request), asked)
        text = notice(say("target.gone" if gone else "target.withdrawn", self.lang), "bad" if gone else "good")
        return self.page(text, 404 if gone else 200)

    def page(self, message: Child = None, status: int = 200) -> HTMLResponse:
        """The page. message: about the last change."""
        lang = self.lang
        details = queries.site(self.center, self.viewer, self.site)
        machines = [row for row in queries.machines(self.center, self.viewer, self.site) if not row.get("retired")]
        answer = targets(self.center, self.viewer, self.site)
        names = _Names(details, machines, lang)
        may_set = self.viewer.may("aim")
        title = say("target.of_site", lang, site=named(details["name"], lang, self.site))
        content = (
            el("nav", el("a", say("console.fleet", lang), href=outside("/")), el("span", "›"),
               el("span", named(details["name"], lang, self.site)), cls="crumbs"),
            el("div", el("h1", title), cls="admin-head"),
            message,
            el("p", say("target.note", lang), cls="soft"),
            _form(self.site, names) if may_set else el("p", say("target.only_center", lang), cls="soft"),
            el("h2", say("target.counting", lang), cls="lately"),
            _counting(self.site, answer["counting"], names),
            el("h2", say("target.all", lang), cls="lately"),
            _rows(self.site, answer["rows"], names, may_set=may_set),
        )  # fmt: skip
        return document(self.center, self.viewer, lang, title, *content, status=status)


def _number(text: str) -> float:
    """A number as people type it; not a number where it is none."""
    try:
        return float(text.removesuffix("%").strip().replace(",", "."))
    except ValueError:
        return math.nan


class _Names:
    """Names of a site's places and products in the page's language."""

    def __init__(self, details: Row, machines: list[queries.MachineAnswer], lang: str) -> None:
        self.lang, self.products = lang, details["products"]
        self.machines = {row["id"]: named(row["name"], lang, row["id"]) for row in machines}
        self.lines = {row["line"]: named(row["line_name"], lang, row["line"]) for row in machines if row["line"]}

    def place(self, line: str, machine: str) -> str:
        """What a target is about."""
        if machine:
            return self.machines.get(machine, machine)
        return (
            say("target.of_line", self.lang, line=self.lines.get(line, line))
            if line
            else say("target.whole_site", self.lang)
        )

    def product(self, key: str) -> str:
        """A product, or any."""
        return product_name(key, self.products, self.lang) if key else say("target.any_product", self.lang)

    def since(self, day: str | None) -> str:
        """Since when it holds."""
        if not day:
            return say("target.always", self.lang)
        return say("target.since_day", self.lang, day=day_text(date.fromisoformat(day), self.lang))


def _form(site: str, names: _Names) -> Markup:
    lang = names.lang
    places = [("/", say("target.whole_site", lang))]
    places += [(f"{key}/", names.place(key, "")) for key in sorted(names.lines)]
    places += [(f"/{key}", name) for key, name in names.machines.items()]
    products = [("", names.product("")), *((key, names.product(key)) for key in names.products)]
    content = form(
        targets_page(site),
        choice(say("target.place", lang), "place", places),
        choice(say("target.kind", lang), "kind", [(kind, say(f"target.kind.{kind}", lang)) for kind in KINDS]),
        field(say("target.value", lang), "value", required="", inputmode="decimal", autocomplete="off"),
        el("p", say("target.value.note", lang), cls="faint"),
        choice(say("target.product", lang), "product", products),
        field(say("target.since", lang), "since", "date"),
        button(say("target.add_submit", lang)),
    )
    return el("details", el("summary", say("target.add", lang)), content, cls="fold add")


def _counting(site: str, rows: list[CountingTarget], names: _Names) -> Markup:
    lang = names.lang
    if not rows:
        return el("p", say("target.none", lang), cls="empty")
    machines = list(dict.fromkeys(row["machine"] for row in rows))
    lines = []
    for machine in machines:
        plates = [
            el(
                "span",
                kind_name(row["kind"], lang) + " ",
                el("b", value_text(row["kind"], row["value"], lang)),
                f" · {names.product(row['product'])}" if row["product"] else None,
                cls="plate",
                data_tip=names.place(row["of_line"], row["of_machine"]) + " · " + source_name(row["source"], lang),
            )
            for row in rows
            if row["machine"] == machine
        ]
        link = el("a", names.machines.get(machine, machine), href=machine_page(site, machine))
        lines.append(el("li", el("div", el("b", link), cls="who"), el("div", *plates, cls="plates")))
    return el("ul", *lines, cls="rows aims")


def _rows(site: str, rows: list[TargetRow], names: _Names, *, may_set: bool) -> Markup:
    if not rows:
        return el("p", say("target.none", names.lang), cls="empty")
    return el("ul", *(_row(site, row, names, may_set=may_set) for row in rows), cls="rows goals-set")


def _row(site: str, row: TargetRow, names: _Names, *, may_set: bool) -> Markup:
    lang = names.lang
    place = el("b", names.place(row["line"], row["machine"]))
    what = f"{kind_name(row['kind'], lang)}: {value_text(row['kind'], row['value'], lang)}"
    when = moment(time_labels.parse(row["at"]), lang) if row["at"] else ""
    told = say("target.by", lang, by=row["by"], when=when) if row["at"] else say("target.in_file", lang)
    place_fields = {name: str(row.get(name) or "") for name in _PLACE}
    withdraw = form(
        targets_page(site),
        hidden(place_fields | {"withdraw": "1"}),
        button(say("target.withdraw", lang), "quiet danger"),
        cls="",
    )
    return el(
        "li",
        el("div", place, el("span", names.product(row["product"]), cls="soft"), cls="who"),
        el("div", what),
        el("div", names.since(row["since"]), cls="soft"),
        el("div", told, cls="faint"),
        withdraw if may_set and row["source"] == "center" else el("span"),
    )
