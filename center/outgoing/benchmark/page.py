"""The page of a site in the benchmark: the owner's consent, and its own figures beside the quartiles."""

from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from center.api.access import Owning, Viewing, address_of
from center.api.outside import outside
from center.console.document import button, document, form, hidden, notice
from center.console.draw import time_labels
from center.console.draw.markup import Child, el
from center.console.draw.names import benchmark_page, months_page, named, statements_page
from center.database.benchmark import ChangedTable
from center.model.times import BadQuestion
from center.outgoing.benchmark.api import BenchmarkAnswer, BenchmarkDesk, OwnRow, changed_table
from center.outgoing.page_request import SitePageRequest
from center.queries import sites as queries
from words import moment, number, percent, say

_LITTLE_MIN: Final = 0.5


def add_benchmark_pages(app: FastAPI, desk: BenchmarkDesk) -> None:
    """The routes; they return pages, so the API's description leaves them out."""

    @app.get("/benchmark/{site}", include_in_schema=False)
    def show(request: Request, viewer: Viewing, site: str) -> Response:
        try:
            return _Benchmark(request, desk, viewer, site).page()
        except ChangedTable as error:
            return changed_table(error)

    @app.post("/benchmark/{site}", include_in_schema=False)
    async def change(request: Request, viewer: Owning, site: str) -> Response:
        fields = await request.form()
        given = fields.get("given") == "yes"
        return await run_in_threadpool(_Benchmark(request, desk, viewer, site).change, given=given)


@dataclass(frozen=True)
class _Benchmark(SitePageRequest[BenchmarkDesk]):
    """One request of a viewer about one site. Raises `UnknownSite` and `StoreUnavailable`, which become pages."""

    WORDS = "benchmark."

    def change(self, *, given: bool) -> Response:
        """Gives or withdraws the consent."""
        try:
            self.desk.consent(self.viewer, address_of(self.request), self.site, given=given)
        except BadQuestion as error:
            return self.page(notice(self.tell("not_saved", detail=error), "bad"), 422)
        return self.page(notice(self.tell("given" if given else "withdrawn"), "good"))

    def page(self, message: Child = None, status: int = 200) -> HTMLResponse:
        """The page. message: about the last change. Raises `ChangedTable`."""
        center, lang = self.desk.center, self.lang
        site = named(queries.site(center, self.viewer, self.site)["name"], lang, self.site)
        told = self.desk.own(self.viewer, self.site, self.request.query_params.get("quarter", ""))
        title = self.tell("of_site", site=site)
        crumbs = el(
            "nav", el("a", say("console.fleet", lang), href=outside("/")), el("span", "›"), el("span", site),
            el("a", say("months.link", lang), href=months_page(self.site), cls="aside"),
            el("a", say("statement.link", lang), href=statements_page(self.site)) if self.viewer.may("own") else None,
            cls="crumbs",
        )  # fmt: skip
        return document(
            center, self.viewer, lang, title, crumbs, el("div", el("h1", title), cls="admin-head"), message,
            el("p", self.tell("note"), cls="soft"), self._consent(told), *self._quarter(told), status=status,
        )  # fmt: skip

    def _consent(self, told: BenchmarkAnswer) -> Markup:
        consent = told["consent"]
        given = consent is not None and consent["given"]
        if consent is None:
            state = self.tell("never")
        else:
            when = moment(time_labels.parse(consent["at"]), self.lang)
            state = self.tell("takes_part" if given else "left", who=consent["by"], when=when)
        parts: list[Child] = [el("p", el("b", state))]
        if given and told["quarter"]:
            parts.append(el("p", self.tell("member" if told["member"] else "no_member"), cls="soft"))
        if self.viewer.may("own"):
            act = "withdraw" if given else "give"
            asked = hidden({"given": "no" if given else "yes"})
            css = "quiet danger" if given else "go"
            parts += [
                el("p", self.tell(f"{act}.note"), cls="soft"),
                form(benchmark_page(self.site), asked, button(self.tell(act), css), cls=""),
            ]
        return el("section", *parts, cls="panel consent")

    def _quarter(self, told: BenchmarkAnswer) -> list[Child]:
        if not told["quarter"]:
            return [el("p", self.tell("no_quarter"), cls="empty")]
        pills = [
            el("a", self._named(one), href=benchmark_page(self.site, quarter=one), cls=f"pill{' on' if one == told['quarter'] else ''}")
            for one in told["quarters"][:8]
        ]  # fmt: skip
        parts: list[Child] = [el("nav", *pills, cls="pills")]
        kinds = dict.fromkeys(row["kind"] for row in told["rows"])
        for kind in kinds:
            rows = [row for row in told["rows"] if row["kind"] == kind]
            heading = say(f"machine_kind.{kind}", self.lang)
            trade = say(f"trade.{told['trade']}", self.lang)
            parts.append(el("section", el("h2", f"{heading} · {trade}"), self._table(rows), cls="panel"))
        if not kinds:
            parts.append(el("p", self.tell("nothing"), cls="empty"))
        table = self.desk.table(told["quarter"])
        files = [
            el("a", form_.upper(), href=outside(f"/api/v1/benchmark/table?quarter={told['quarter']}&format={form_}&lang={self.lang}"),
               cls="quiet-link", download="")
            for form_ in ("csv", "xlsx")
        ]  # fmt: skip
        digest = el("span", self.tell("digest", digest=table["digest"]), cls="faint digest")
        parts.append(el("p", el("b", self.tell("table")), " ", *files, " ", digest, cls="files"))
        return parts

    def _named(self, quarter: str) -> str:
        return self.tell("quarter", number=quarter[6], year=quarter[:4])

    def _table(self, rows: list[OwnRow]) -> Markup:
        keys = ("measure", "own", "place", "p25", "p50", "p75", "sites", "all", "minutes")
        heads = [
            el("th", self.tell(f"head.{key}"), cls="num" if key in ("own", "p25", "p50", "p75", "minutes") else "")
            for key in keys
        ]
        body = [self._row(row) for row in rows]
        return el("div", el("table", el("thead", el("tr", *heads)), el("tbody", *body), cls="bench"), cls="scroll", tabindex="0",
                  role="region", aria_label=self.tell("table"))  # fmt: skip

    def _row(self, row: OwnRow) -> Markup:
        def text(value: float | None) -> str:
            if value is None:
                return "–"
            return number(value, self.lang, 1) if row["measure"] == "changeover_min" else percent(value, self.lang)

        low, high = row["low"], row["high"]
        below = el("small", f"{text(low)} – {text(high)}") if low is not None and high is not None else None
        gap = row["weekly_minutes"]
        quartiles = [row["p25"], row["p50"], row["p75"]]
        whole = row["all_trades"]
        hidden_text = self.tell("hidden") if row["p50"] is None else None
        return el(
            "tr",
            el("td", self.tell(f"measure.{row['measure']}"), cls="strong"),
            el("td", text(row["value"]), below, cls="num"),
            el("td", _strip(row) if row["p50"] is not None else el("span", hidden_text, cls="faint")),
            *(el("td", text(value), cls="num") for value in quartiles),
            el("td", row["sites"] or "–"),
            el("td", " · ".join(text(value) for value in whole) if whole else "–", cls="soft"),
            el("td", "–" if gap is None else number(-gap, self.lang, 0), cls=f"num {_tone(gap)}"),
        )  # fmt: skip


def _tone(gap: float | None) -> str:
    """Whether a gap is worth a colour: from half a minute a week on."""
    return "" if gap is None or abs(gap) < _LITTLE_MIN else "bad" if gap > 0 else "good"


def _strip(row: OwnRow) -> Markup:
    """The quartiles as a band with the median, and the own figure as a dot."""
    p25, p50, p75 = row["p25"] or 0.0, row["p50"] or 0.0, row["p75"] or 0.0
    spread = max(p75 - p25, 0.02 * max(abs(p50), 0.5))
    low, high = min(p25 - spread, row["value"]), max(p75 + spread, row["value"])

    def at(value: float) -> str:
        return f"{100 * (value - low) / (high - low):.1f}%"

    band = el("i", style=f"left:{at(p25)};right:{100 - 100 * (p75 - low) / (high - low):.1f}%", cls="band")
    return el(
        "div", band, el("i", style=f"left:{at(p50)}", cls="median"), el("i", style=f"left:{at(row['value'])}", cls="own"),
        cls="place", aria_hidden="true",
    )  # fmt: skip
