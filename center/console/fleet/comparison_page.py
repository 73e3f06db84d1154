"""Machines, lines, shifts, products or sites side by side: OEE with bounds and coverage, its factors, the target, the top loss."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from center.api.access import Viewing
from center.console import frame, windows
from center.console.document import document
from center.console.draw.goals import better, gap_of, gap_text
from center.console.draw.kpis import bounds, lies_between, uncertain
from center.console.draw.markup import el, share
from center.console.draw.names import machine_page, named, product_name
from center.console.fleet import losses_page
from center.console.fleet import period as across
from center.model.times import iso
from center.model.viewer import Viewer
from center.queries import sites as queries
from center.queries.across.compare import COMPARED, compare, machines_of
from center.queries.across.top_losses import NO_STOPS, top_losses
from center.queries.question import Question
from center.runtime.answer_cache import AnswerCache
from center.runtime.state import CenterState
from words import hours, percent, say
from words.catalogue import NOTHING

Row = Mapping[str, Any]
PATH: Final = "/comparison"
_ORDERS: Final = ("oee", "availability", "performance", "quality")
_FACTORS: Final = _ORDERS[1:]
_KEPT_S: Final = 60.0
_NO_LOSS: Final = "planned_stop"


def add_comparison_page(app: FastAPI, center: CenterState) -> None:
    """The route; it returns a page, so the API's description leaves it out."""
    cache: AnswerCache = app.state.answers
    frame.link_in_header(PATH, "compare.title")

    @app.get(PATH, include_in_schema=False)
    async def comparison(request: Request, viewer: Viewing) -> Response:
        lang = frame.language(request, center)
        period = across.period_of(PATH, request.query_params, ("by", "site", "order"))
        by, order = period.words.get("by", ""), period.words.get("order", "")
        by, order = by if by in COMPARED else COMPARED[0], order if order in _ORDERS else _ORDERS[0]
        site = period.words.get("site", "")
        found = await cache.ask(_KEPT_S, compared, center, viewer, period.view, site, by, order)
        sites = await run_in_threadpool(queries.sites, center, viewer)
        return _page(center, viewer, SideBySide(period, by, order, found, lang), sites)


@dataclass(frozen=True)
class FoundComparison:
    """Rows of the comparison, and of each the loss that cost the most. names: of each site's things."""

    window: tuple[int, int]
    zone: Any
    rows: list[Row]
    worst: Mapping[tuple[str, str], Row]
    names: Mapping[str, Row]


def compared(
    center: CenterState, viewer: Viewer, view: windows.View, site: str, by: str, order: str
) -> FoundComparison:
    """What stands side by side. Queries the store. Raises as the queries do."""
    machines = machines_of(center, viewer, [site] if site else [], [])
    window, zone = across.window_of(center, viewer, site, view)
    question = Question(viewer, "", start_ns=window[0], end_ns=window[1])
    rows = compare(center, question, machines, zone, order, by)["rows"]
    groups = tuple(dict.fromkeys(("site", by, "state", "reason")))
    worst: dict[tuple[str, str], Row] = {}
    for lost in top_losses(center, question, machines, zone, groups)["rows"]:
        if lost["us"] > 0 and lost["state"] != _NO_LOSS:
            worst.setdefault(_key(by, lost), {**lost})
    return FoundComparison(window, zone, [{**row} for row in rows], worst, across.site_names(center, viewer, machines))


def _key(by: str, row: Mapping[str, Any]) -> tuple[str, str]:
    return str(row["site"]), "" if by == "site" else str(row[by])


@dataclass(frozen=True)
class SideBySide:
    """What one opened page shows."""

    period: across.AskedPeriod
    by: str
    order: str
    found: FoundComparison
    lang: str

    def table(self) -> Markup:
        """A row for each of what is compared."""
        heads = [el("th", say(f"across.by.{self.by}", self.lang), scope="col")]
        heads += [self._head(kpi) for kpi in _ORDERS]
        heads += [el("th", say(f"compare.{name}", self.lang), scope="col") for name in ("gap", "worst")]
        body = (self._row(row) for row in self.found.rows)
        return el("table", el("thead", el("tr", *heads)), el("tbody", *body), cls="compared")

    def _head(self, kpi: str) -> Markup:
        name = "OEE" if kpi == "oee" else say(f"console.kpi.{kpi}", self.lang)
        link = el("a", name, " ↑" if kpi == self.order else None, href=self.period.with_words(order=kpi))
        return el("th", link, scope="col", aria_sort="ascending" if kpi == self.order else None)

    def _row(self, row: Row) -> Markup:
        kpis, lang = row["kpis"], self.lang
        cells = [el("th", el("a", self._name(row), href=self._address(row)), scope="row"), self._oee(row)]
        for kpi in _FACTORS:
            value, name = kpis[kpi], say(f"console.kpi.{kpi}", lang)
            bar = el("i", style=f"width:{share(value)}", cls=f"f-{kpi}") if value is not None else None
            shown = el("b", percent(value, lang))
            cells.append(el("td", shown, el("span", bar, cls="bar"), data_label=name, cls=f"c-{kpi}"))
        return el("tr", *cells, self._gap(row), self._worst(row))

    def _oee(self, row: Row) -> Markup:
        """OEE, and wherever it does not say everything its bounds and its coverage."""
        kpis, lang = row["kpis"], self.lang
        notes = [lies_between(kpis, lang)]
        if kpis["coverage"] is not None:
            notes.append(say("console.coverage_short", lang, coverage=percent(kpis["coverage"], lang)))
        told = [" · ".join(note for note in notes if note)] if uncertain(kpis) or kpis["oee"] is None else []
        if kpis["oee"] is None:
            told.insert(0, say(f"why_null.{row['why_null']['oee']}", lang))
        return el(
            "td",
            el("b", percent(kpis["oee"], lang)),
            bounds(kpis, lang),
            *(el("small", line) for line in told if line),
            cls="c-oee",
        )

    def _gap(self, row: Row) -> Markup:
        gap, name = gap_of(row, "oee"), say("compare.gap", self.lang)
        if gap is None:
            return el("td", NOTHING, data_label=name, cls="c-gap")
        css = {1: "up", -1: "down", 0: ""}[better(gap)]
        low, high = row["kpis"]["oee_low"], row["kpis"]["oee_high"]
        undecided = low is not None and uncertain(row["kpis"]) and low <= gap["target"] <= high
        text = el("b", gap_text(gap, self.lang), cls="" if undecided else css)
        of = say("target.beside", self.lang, target=percent(gap["target"], self.lang))
        return el("td", text, el("small", of), data_label=name, cls="c-gap goal")

    def _worst(self, row: Row) -> Markup:
        lost, name = self.found.worst.get(_key(self.by, row)), say("compare.worst", self.lang)
        if lost is None:
            return el("td", NOTHING, data_label=name, cls="c-worst")
        title = losses_page.loss_title(lost, self.found.names.values(), self.lang)
        length = hours(lost["us"] / 1000, self.lang)
        return el(
            "td",
            el("a", title, href=self._loss_address(row, lost)),
            el("small", length),
            data_label=name,
            cls="c-worst",
        )

    def _name(self, row: Row) -> str:
        names, lang = self.found.names[row["site"]], self.lang
        of_site = named(names["name"], lang, row["site"])
        if self.by == "site":
            return of_site
        text = {
            "machine": lambda: named(row["machine_name"], lang, row["machine"]),
            "line": lambda: losses_page.line_title(row["line"], names["lines"], lang),
            "shift": lambda: losses_page.shift_name(row["shift"], lang),
            "product": lambda: product_name(row["product"], names["products"], lang),
        }[self.by]()
        return text if len(self.found.names) == 1 else f"{text} · {of_site}"

    def _address(self, row: Row) -> str:
        """The machine's page, or the losses of what is compared, with the same dates."""
        if self.by == "machine":
            return machine_page(row["site"], row["machine"], **self.period.range_words)
        more = {} if self.by == "site" else {self.by: str(row[self.by])}
        return self._losses({"site": row["site"], **more})

    def _loss_address(self, row: Row, lost: Row) -> str:
        """The machine's page with these stops, or the machines on which this was lost."""
        if self.by == "machine":
            words = {"states": lost["state"], "reason": lost["reason"], "stops": "longest"}
            stops = words if lost["state"] not in NO_STOPS else {}
            return machine_page(row["site"], row["machine"], **self.period.range_words, **stops)
        more = {} if self.by == "site" else {self.by: str(row[self.by])}
        return self._losses(
            {"site": row["site"], **more, "state": lost["state"], "reason": lost["reason"], "by": "machine"}
        )

    def _losses(self, words: Mapping[str, str]) -> str:
        return across.AskedPeriod(losses_page.PATH, self.period.view, words).with_words()


def _page(center: CenterState, viewer: Viewer, shown: SideBySide, sites: Iterable[Row]) -> Response:
    lang, found, period = shown.lang, shown.found, shown.period
    title, chosen = say("compare.title", lang), period.words.get("site", "")
    begin, end = (iso(t_ns, found.zone) for t_ns in found.window)
    asked = {"from": begin, "to": end, "by": shown.by, "order": shown.order} | ({"site": chosen} if chosen else {})
    head = el(
        "div",
        el("span", say("compare.note", lang), cls="note said-first"),
        across.excel("compare", asked, lang),
        cls="panel-head",
    )
    return document(
        center,
        viewer,
        lang,
        title,
        across.page_head(title, say("compare.help", lang)),
        across.chosen_range(period, found.window, found.zone, lang),
        across.chosen_site(period, sites, chosen, lang),
        across.chosen_by(period, COMPARED, shown.by, lang),
        el("p", say("compare.by_product", lang), cls="soft") if shown.by == "product" else None,
        el(
            "section",
            head,
            shown.table() if found.rows else el("div", say("console.not_planned", lang), cls="empty"),
            cls="panel",
        ),
    )
