"""The greatest losses across machines, lines and sites; each bar leads to where it is lost, with the same dates and filter."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from center.api.access import Viewing
from center.console import frame, windows
from center.console.document import document
from center.console.draw.markup import el
from center.console.draw.names import machine_page, named, product_name, reason_name
from center.console.draw.pareto import ParetoBar, pareto
from center.console.fleet import period as across
from center.model.times import iso
from center.model.viewer import Viewer
from center.queries import sites as queries
from center.queries.across.compare import machines_of
from center.queries.across.top_losses import LossFilter, top_losses
from center.queries.question import Question
from center.runtime.answer_cache import AnswerCache
from center.runtime.state import CenterState
from oee.model.facts import NO_SHIFT
from oee.model.states import STATE_BY_WORD
from words import hours, say
from words.catalogue import catalogue

Row = Mapping[str, Any]
PATH: Final = "/losses"
GROUPS: Final = {
    "reason": ("state", "reason"),
    "state": ("state",),
    "product": ("site", "product"),
    "shift": ("site", "shift"),
    "machine": ("site", "machine"),
    "line": ("site", "line"),
    "site": ("site",),
}
"""What the bars are, and the columns that make one."""
_FILTERS: Final = ("line", "state", "reason", "product", "shift")
_KEPT_S: Final = 60.0
_BARS, _WORST = 20, 4


def add_losses_page(app: FastAPI, center: CenterState) -> None:
    """The route; it returns a page, so the API's description leaves it out."""
    cache: AnswerCache = app.state.answers
    frame.link_in_header(PATH, "losses.title")

    @app.get(PATH, include_in_schema=False)
    async def losses(request: Request, viewer: Viewing) -> Response:
        lang = frame.language(request, center)
        period = across.period_of(PATH, request.query_params, ("by", "site", *_FILTERS))
        by = period.words.get("by", "reason")
        by = by if by in GROUPS else "reason"
        wanted = loss_filter(period.words)
        found = await cache.ask(
            _KEPT_S, losses_of, center, viewer, period.view, period.words.get("site", ""), by, wanted
        )
        sites = await run_in_threadpool(queries.sites, center, viewer)
        return _page(center, viewer, Shown(period, by, wanted, found, lang), sites)


def loss_filter(words: Mapping[str, str]) -> LossFilter:
    """The filter that an address names; an empty `reason` asks for losses without one."""
    return LossFilter(
        lines=(words["line"],) if words.get("line") else (),
        states=(words["state"],) if words.get("state") else (),
        reasons=(words["reason"],) if "reason" in words else (),
        products=(words["product"],) if "product" in words else (),
        shifts=(words["shift"],) if words.get("shift") else (),
    )


@dataclass(frozen=True)
class FoundLosses:
    """Losses by group and machine. names: of each site's things."""

    window: tuple[int, int]
    zone: Any
    rows: list[Row]
    total_us: int
    names: Mapping[str, Row]


def losses_of(
    center: CenterState, viewer: Viewer, view: windows.View, site: str, by: str, wanted: LossFilter
) -> FoundLosses:
    """What was lost, by the page's groups and by machine. Queries the store. Raises as the queries do."""
    machines = machines_of(center, viewer, [site] if site else [], [])
    window, zone = across.window_of(center, viewer, site, view)
    question = Question(viewer, "", start_ns=window[0], end_ns=window[1])
    groups = tuple(dict.fromkeys((*GROUPS[by], "site", "machine")))
    answer = top_losses(center, question, machines, zone, groups, wanted)
    names = across.site_names(center, viewer, machines)
    return FoundLosses(window, zone, [{**row} for row in answer["rows"]], answer["total_us"], names)


@dataclass
class _Group:
    """A bar: what it is, what was lost, and where."""

    cell: Row
    us: int = 0
    machines: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True)
class Shown:
    """What one opened page shows."""

    period: across.AskedPeriod
    by: str
    wanted: LossFilter
    found: FoundLosses
    lang: str

    def groups(self) -> list[_Group]:
        """The bars, the longest first."""
        out: dict[tuple[str, ...], _Group] = {}
        for row in self.found.rows:
            key = tuple(row[name] for name in GROUPS[self.by])
            group = out.setdefault(key, _Group(dict(zip(GROUPS[self.by], key, strict=True))))
            group.us += row["us"]
            machine = (row["site"], row["machine"])
            group.machines[machine] = group.machines.get(machine, 0) + row["us"]
        return sorted(out.values(), key=lambda group: (-group.us, *group.cell.values()))

    def bars(self) -> list[ParetoBar]:
        """What is drawn of them; what is negative is no bar."""
        shown = [group for group in self.groups() if group.us > 0]
        out = [self._bar(group) for group in shown[:_BARS]]
        if rest := shown[_BARS:]:
            name = say("losses.others", self.lang, count=len(rest))
            out.append(ParetoBar(name, sum(group.us for group in rest), "planned_stop"))
        return out

    def _bar(self, group: _Group) -> ParetoBar:
        name, state = self._name(group.cell), group.cell.get("state", "all")
        if self.by == "machine":
            return ParetoBar(
                name, group.us, state, self._machine_page(group.cell["site"], group.cell["machine"], group.cell)
            )
        address = self.period.with_words(**group.cell, by="machine")
        return ParetoBar(name, group.us, state, address, below=self._worst(group))

    def _name(self, cell: Row) -> str:
        site, lang = cell.get("site", ""), self.lang
        names = self.found.names.get(site, {})
        of_site = named(names.get("name", {}), lang, site)
        if self.by in ("reason", "state"):
            return loss_title(cell, self.found.names.values(), lang)
        text = {
            "product": lambda: product_name(cell["product"], names["products"], lang),
            "shift": lambda: shift_name(cell["shift"], lang),
            "machine": lambda: named(names["machines"].get(cell["machine"], {}), lang, cell["machine"]),
            "line": lambda: line_title(cell["line"], names["lines"], lang),
            "site": lambda: of_site,
        }[self.by]()
        return text if self.by == "site" or len(self.found.names) == 1 else f"{text} · {of_site}"

    def _worst(self, group: _Group) -> Markup:
        """The machines that lost the most of it, each with the way to its page."""
        ordered = sorted(group.machines.items(), key=lambda item: (-item[1], item[0]))
        links = []
        for (site, machine), us in ordered[:_WORST]:
            if us > 0:
                name = named(self.found.names[site]["machines"].get(machine, {}), self.lang, machine)
                href = self._machine_page(site, machine, group.cell)
                links.append(el("a", name, " ", el("b", hours(us / 1000, self.lang)), href=href))
        return el("div", *links, cls="worst")

    def _machine_page(self, site: str, machine: str, cell: Row) -> str:
        """The machine's page with the same dates, and the stops of what is lost."""
        wanted = self.wanted
        states = [cell["state"]] if "state" in cell else [*wanted.states]
        words = {
            "states": ",".join(state for state in states if state in STATE_BY_WORD),
            "product": str(cell.get("product") or "".join(wanted.products)),
            "shift": str(cell.get("shift") or "".join(wanted.shifts)),
        }
        words = {name: text for name, text in words.items() if text}
        if words.get("states") and ("reason" in cell or wanted.reasons):
            words["reason"] = cell["reason"] if "reason" in cell else wanted.reasons[0]
        return machine_page(
            site, machine, **self.period.range_words, **words, **({"stops": "longest"} if words else {})
        )

    def chips(self) -> Markup:
        """What is filtered by, each with a link that takes it away."""
        lang, links = self.lang, []
        for name, text in self._chosen().items():
            label = say("console.stops.any", lang, what=text)
            cross = el("span", " ✕", aria_hidden="true")
            without: dict[str, str | None] = dict.fromkeys(("reason", "state") if name == "reason" else (name,))
            href = self.period.with_words(**without)
            links.append(el("a", text, cross, cls="pill on", href=href, aria_label=label, title=label))
        return el("div", *links, cls="pills picked") if links else Markup("")

    def _chosen(self) -> dict[str, str]:
        """The words of the filter, as people read them."""
        words, lang = self.period.words, self.lang
        site = self.found.names.get(words.get("site", ""), {"products": {}, "lines": {}})
        out = {}
        if "reason" in words or "state" in words:
            key = "reason" if "reason" in words else "state"
            out[key] = loss_title(words, self.found.names.values() if key == "reason" else (), lang)
        if "product" in words:
            out["product"] = product_name(words["product"], site["products"], lang)
        if words.get("shift"):
            out["shift"] = shift_name(words["shift"], lang)
        if words.get("line"):
            out["line"] = line_title(words["line"], site["lines"], lang)
        return out


def shift_name(shift: str, lang: str) -> str:
    """A shift in words, also what is outside of all."""
    return say("calendar.outside", lang) if shift in ("", NO_SHIFT) else say("console.shift", lang, name=shift)


def line_title(line: str, lines: Mapping[str, Mapping[str, str]], lang: str) -> str:
    """A line in words, also that of machines without one."""
    return named(lines.get(line, {}), lang, line) if line else say("across.no_line", lang)


def loss_title(cell: Row, sites: Iterable[Row], lang: str) -> str:
    """A reason, or the state or step of the waterfall where none was given."""
    if cell.get("reason"):
        for site in sites:
            if cell["reason"] in site["reasons"]:
                return reason_name(cell["reason"], site["reasons"], lang)
        return str(cell["reason"])
    state = f"state.{cell.get('state', '')}"
    if state not in catalogue():
        state = f"waterfall.{cell.get('state', '')}"
    return say(state, lang) if state in catalogue() else say("reason.none", lang)


def _page(center: CenterState, viewer: Viewer, shown: Shown, sites: Iterable[Row]) -> Response:
    lang, found, period = shown.lang, shown.found, shown.period
    title, bars = say("losses.title", lang), shown.bars()
    begin, end = (iso(t_ns, found.zone) for t_ns in found.window)
    asked = {name: text for name, text in period.words.items() if name in ("site", *_FILTERS)}
    file = across.excel("top-losses", {"from": begin, "to": end, "by": ",".join(GROUPS[shown.by]), **asked}, lang)
    negative = any(group.us < 0 for group in shown.groups())
    lost = say("losses.total", lang, length=hours(found.total_us / 1000, lang))
    head = el("div", el("div", el("h2", say(f"losses.by.{shown.by}", lang)), el("span", lost, cls="note"), cls="said-first"), file, cls="panel-head")  # fmt: skip
    return document(
        center,
        viewer,
        lang,
        title,
        across.page_head(title, say("losses.note", lang)),
        across.chosen_range(period, found.window, found.zone, lang),
        across.chosen_site(period, sites, period.words.get("site", ""), lang),
        across.chosen_by(period, GROUPS, shown.by, lang),
        shown.chips(),
        el(
            "section",
            head,
            pareto(bars, lang) if bars else el("div", say("console.no_losses", lang), cls="empty"),
            el("p", say("flag.slow_cycles_negative", lang), cls="flag") if negative else None,
            cls="panel top-losses",
        ),
    )
