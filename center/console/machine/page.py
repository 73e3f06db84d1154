"""One machine: its KPIs, how they went, where the time went, and every stop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode

from nicegui import events, ui

from center.api.outside import outside
from center.console import frame, windows
from center.console.draw import alert_rows, live_state, time_labels
from center.console.draw.glyphs import GLYPHS
from center.console.draw.markup import el, join
from center.console.draw.names import declare_page, machine_page, named, report_page, targets_page
from center.console.draw.pareto import pareto
from center.console.machine import charts, tiles, timeline, trend_chart, value_charts, waterfall
from center.console.machine.controls import Controls
from center.console.machine.numbers import (
    MachineNumbers,
    MachineStops,
    machine_numbers,
    machine_stops,
    machine_values,
)
from center.console.machine.stop_filter import filter_of, filter_words
from center.console.machine.stops_panel import StopsPanel
from center.console.machine.value_charts import ValuesShown
from center.model.times import iso
from center.queries import sites as queries
from center.queries.question import UnknownSite
from center.queries.stops import ALL_STOPS, StopFilter
from oee.model.facts import STATE_COLUMNS
from words import moment, say

NUMBERS_EVERY_S: Final = 30.0
_FIRST_PICTURE_S: Final = 0.08
"""So long the stops wait after the first numbers: the browser draws these, and then reads its scripts for longer than stops take."""
_DETAIL: Final = "(event) => emit(event.detail)"
Row = Mapping[str, Any]
T = TypeVar("T")


@dataclass
class _Page:
    """One open machine page: what is shown and the elements that show it. spans: of the trend's buckets [ns]."""

    visit: frame.Visit
    site: str
    machine: str
    view: windows.View
    main: ui.element
    may_declare: bool = False
    wanted: StopFilter = ALL_STOPS
    parts: dict[str, ui.html] = field(default_factory=dict)
    spans: Sequence[tuple[int, int]] = ()
    window: tuple[int, int] = (0, 0)
    story: MachineStops | None = None
    has_numbers: asyncio.Event = field(default_factory=asyncio.Event)

    @cached_property
    def values_panel(self) -> ui.element:
        """The box of process values, which is there for machines that send some."""
        return _panel("console.values", self.lang, "block")

    @cached_property
    def controls(self) -> Controls:
        """What selects the range."""
        return Controls(self.lang, self.view, partial(_choose, self))

    @cached_property
    def stops_panel(self) -> StopsPanel:
        """The list of stops."""
        explain = partial(declare_page, self.site, self.machine) if self.may_declare else None
        return StopsPanel(self.visit.center, self.lang, explain, self.remember, self.address)

    def address(self, words: Mapping[str, str]) -> str:
        """Of this page in the selected range with these words of a filter."""
        return machine_page(self.site, self.machine, **self.view.words, **words)

    def remember(self, wanted: StopFilter | None = None) -> None:
        """Puts the selection into the address, so that a reload, a link and the way back show the same."""
        self.wanted = wanted or self.wanted
        ui.navigate.history.push(self.address(filter_words(self.wanted)))

    @property
    def lang(self) -> str:
        """The language of the page."""
        return self.visit.lang

    def begin(self, query: Callable[..., T], *more: str) -> Future[T]:
        """The answer for the selected range, which is computed now unless the cache has it."""
        ttl_s, visit = NUMBERS_EVERY_S * 0.5, self.visit
        return visit.cache.begin(ttl_s, query, visit.center, visit.viewer, self.site, self.machine, self.view, *more)

    def put(self, part: str, content: str) -> None:
        """Shows content; only what changed is sent."""
        self.parts[part].set_content(content)


async def show(
    visit: frame.Visit,
    which: tuple[str, str],
    selection: Mapping[str, str],
    alerts: frame.OpenAlerts | None = None,
    *,
    may_declare: bool = False,
) -> None:
    """Builds the page. which: site and machine; selection: range, bucket and which stops, as the URL has them; alerts: None
    where none are raised; may_declare: whether the viewer may declare reasons of stops.
    """
    (site, machine), lang = which, visit.lang
    try:
        details = await asyncio.to_thread(queries.site, visit.center, visit.viewer, site)
        rows = await asyncio.to_thread(queries.machines, visit.center, visit.viewer, site)
    except UnknownSite:
        details, rows = None, []
    machine_row = next((row for row in rows if row["id"] == machine), None)
    name = (
        named(machine_row["name"], lang, machine)
        if machine_row
        else say("console.unknown_machine", lang, machine=machine)
    )
    with frame.frame(visit.center, lang, name):
        if machine_row is None or details is None:
            ui.context.client.status_code = 404
            help_key = "console.unknown_machine.help" if details else "console.unknown_site.help"
            frame.show_error(name, say(help_key, lang, site=site), lang)
            return
        view = _view_of(selection)
        main = ui.element("div").classes("loading machine-page")
        page = _Page(visit, site, machine, view, main, may_declare, filter_of(selection))
        page.begin(machine_numbers, lang)
        for name in ("pick", "back"):
            main.on(name, partial(_follow, page, name), js_handler=_DETAIL)
        main.on("zoom", partial(_zoom, page), js_handler=_DETAIL)
        with page.main:
            for build in (_build_head, _build_numbers, _build_stops):
                build(page, details, machine_row)
                await frame.let_others()
    refresh_live = _live_refresher(page, details)
    await refresh_live()
    await frame.wait_briefly(_refresh(page), page.has_numbers)
    ui.timer(frame.LIVE_EVERY_S, refresh_live, immediate=False)
    ui.timer(NUMBERS_EVERY_S, lambda: _refresh(page), immediate=False)
    if alerts:
        own = partial(alert_rows.of_machine, machine=machine, gateway=machine_row["gateway"])
        await frame.follow_alerts(visit, alerts, site, page.parts["alerts"], own)


def _view_of(words: Mapping[str, str]) -> windows.View:
    return windows.view(*(words.get(name, "") for name in ("span", "bucket", "first", "last", "over")))


async def _follow(page: _Page, event_name: str, event: events.GenericEventArguments) -> None:
    """Shows what was picked on a picture, or what the browser's way back leads to: `console.js` sends its words."""
    words = dict(parse_qsl(str(event.args or ""), keep_blank_values=True))
    wanted = filter_of(words)
    if event_name == "pick":
        page.remember(wanted)
    page.wanted = wanted
    view = _view_of(words) if event_name == "back" else page.view
    is_other, page.view = view != page.view, view
    await page.stops_panel.change(wanted)
    if is_other:
        await _show_selected(page, view)


async def _zoom(page: _Page, event: events.GenericEventArguments) -> None:
    """Selects what somebody has drawn across: from and to, as parts of the width, and of what: the trend's buckets, or time."""
    *parts, axis = str(event.args).split(" ")
    try:
        low, high = sorted(min(max(float(part), 0.0), 1.0) for part in parts)
    except ValueError:
        return
    count, (start_ns, end_ns) = len(page.spans), page.window
    if axis == "time":
        await page.controls.zoom_to(
            (start_ns + int((end_ns - start_ns) * low), start_ns + int((end_ns - start_ns) * high))
        )
    elif count:
        first, last = min(int(low * count), count - 1), min(int(high * count), count - 1)
        await page.controls.zoom_to((page.spans[first][0], page.spans[last][1]))


def _past(machine_row: Row, lang: str) -> list[str]:
    """What is not as it is now: the machine is retired, or belonged to another line."""
    out = []
    if retired := machine_row["retired"]:
        when = time_labels.day(time_labels.parse(retired).date(), lang)
        out.append(say("console.retired_since", lang, when=when) + " " + say("console.retired.note", lang))
    for span in machine_row["lines"][:-1]:
        if span["line"]:
            when = time_labels.day(time_labels.parse(span["to"]).date(), lang)
            line = named(span["line_name"], lang, span["line"])
            out.append(say("console.line_until", lang, line=line, when=when))
    return out


def _part(page: _Page, name: str, cls: str = "") -> None:
    page.parts[name] = ui.html("", sanitize=False).classes(cls)


def _build_head(page: _Page, details: Row, machine_row: Row) -> None:
    lang = page.lang
    crumbs = (
        el("a", say("console.fleet", lang), href=outside("/")),
        el("span", "›"),
        el("a", named(details["name"], lang, page.site), href=outside(f"/?{urlencode({'site': page.site})}")),
        *(
            (el("span", "›"), el("span", named(machine_row["line_name"], lang, machine_row["line"])))
            if machine_row["line"]
            else ()
        ),
    )
    query = urlencode({"line": machine_row["line"]}) if machine_row["line"] else ""
    links = el(
        "span",
        el("a", say("report.title", lang), href=f"{report_page(page.site)}?{query}"),
        el("a", say("target.link", lang), href=targets_page(page.site)),
        cls="aside",
    )
    ui.html(join(*crumbs, links), sanitize=False, tag="nav").classes("crumbs")
    with ui.element("div").classes("title"):
        ui.html(el("h1", named(machine_row["name"], lang, page.machine)), sanitize=False)
        _part(page, "now", "now")
    if past := _past(machine_row, lang):
        ui.html(el("p", *past, cls="soft"), sanitize=False).classes("past")
    _part(page, "alerts")
    with ui.element("div").classes("controls"):
        page.controls.build()
        _part(page, "window", "window")


def _build_numbers(page: _Page, _details: Row, _machine_row: Row) -> None:
    lang = page.lang
    _part(page, "away")
    _part(page, "tiles", "tiles")
    _part(page, "minis", "minis")
    with _panel("console.trend", lang, "block", page, "trend"):
        page.controls.build_overlay()
        _part(page, "trend", "chart-trend")
    with _panel("console.timeline", lang, "block"):
        _part(page, "timeline", "drawn")
        ui.html(live_state.legend(GLYPHS, lang), sanitize=False)
    with page.values_panel:
        _part(page, "values_band", "band-of-values")
        _part(page, "values")
    page.values_panel.set_visibility(visible=False)
    with ui.element("div").classes("halves whole"):
        with _panel("console.waterfall", lang, "", page, "waterfall"):
            _part(page, "waterfall", "drawn")
        with _panel("console.six_losses", lang):
            _part(page, "six", "drawn")


def _build_stops(page: _Page, _details: Row, _machine_row: Row) -> None:
    lang = page.lang
    with ui.element("div").classes("halves"):
        with _panel("console.losses", lang, "", page, "losses"):
            _part(page, "losses", "drawn")
        with _panel("console.stops", lang, "", page, "stops").props("id=stops tabindex=-1"):
            page.stops_panel.build(page.wanted)


def _panel(key: str, lang: str, cls: str = "", page: _Page | None = None, file: str = "") -> ui.element:
    """A titled box. file: the API's name of the rows behind it, which can then be downloaded."""
    panel = ui.element("section").classes(f"panel {cls}")
    with panel, ui.element("div").classes("panel-head"):
        words = join(el("h2", say(key, lang)), el("span", say(f"{key}.note", lang), cls="note"))
        ui.html(words, sanitize=False).classes("said-first")
        if page:
            _part(page, f"file.{file}", "file")
    return panel


def _put_files(page: _Page, numbers: MachineNumbers) -> None:
    """Download links for what the page shows as Excel files: same window, same buckets."""
    begin, end = (iso(t_ns, numbers.zone) for t_ns in numbers.window)
    selection = {
        "site": page.site,
        "machine": page.machine,
        "from": begin,
        "to": end,
        "format": "xlsx",
        "lang": page.lang,
    }
    for file, more in (
        ("trend", {"bucket": page.view.bucket}),
        ("waterfall", {}),
        ("losses", {"by": "state,reason"}),
        ("stops", {}),
    ):
        address = outside(f"/api/v1/{file}?{urlencode(selection | more)}")
        page.put(f"file.{file}", el("a", "Excel", href=address, download="", title=say("console.excel", page.lang)))


async def _choose(page: _Page, view: windows.View) -> None:
    """Loads a range that somebody chose; what was picked in the one before is not in it."""
    page.view, page.wanted = view, replace(page.wanted, between=None)
    page.remember()
    await page.stops_panel.change(page.wanted)
    await _show_selected(page, view)


async def _show_selected(page: _Page, view: windows.View) -> None:
    """Loads a range, unless another one was selected meanwhile: events that come in quick succession overtake each other."""
    if page.view != view:
        return
    page.main.classes(add="loading")
    await _refresh(page)


def _live_refresher(page: _Page, details: Row) -> Callable[[], Any]:
    async def refresh() -> None:
        rows = await page.visit.cache.ask(frame.LIVE_EVERY_S * 0.9, queries.live, page.visit.center, page.visit.viewer)
        row = next((row for row in rows if (row["site"], row["machine"]) == (page.site, page.machine)), None)
        if row is None:
            return
        page.put("now", live_state.line(row, details, page.visit.center.now_ns(), page.lang))

    return refresh


async def _refresh(page: _Page) -> None:
    """Loads the selected range: first its numbers, which are few, then its stops, which may be many."""
    page.controls.mark(page.view)
    with frame.troubles(partial(page.put, "away"), page.lang):
        await _load(page, machine_numbers, page.lang, show=_put)
        if not page.has_numbers.is_set():
            page.has_numbers.set()
            await asyncio.sleep(_FIRST_PICTURE_S)
        await _load(page, machine_stops, page.lang, show=_put_stops)
        await _load(page, machine_values, show=_put_values)


async def _load(page: _Page, query: Callable[..., T], *more: str, show: Callable[[_Page, T], Awaitable[None]]) -> None:
    """Queries, and shows the answer if the same range is still selected when it arrives. Raises what the query raises."""
    view = page.view
    answer = await asyncio.wrap_future(page.begin(query, *more))
    if page.view == view:
        await show(page, answer)


async def _put_stops(page: _Page, found: MachineStops) -> None:
    drawn = await asyncio.to_thread(timeline.draw, found.story, found.strips, found.site["reasons"], page.lang)
    page.put("timeline", drawn)
    page.story = found
    page.main.classes(remove="loading")
    await page.stops_panel.show(found)


async def _put_values(page: _Page, shown: ValuesShown | None) -> None:
    page.values_panel.set_visibility(shown is not None)
    if shown is None:
        return
    page.put("values", await asyncio.to_thread(value_charts.draw, shown, page.lang))
    if page.story is not None:
        reasons = page.story.site["reasons"]
        drawn = await asyncio.to_thread(value_charts.band, page.story.story, shown.zone, reasons, page.lang)
        page.put("values_band", drawn)


async def _put(page: _Page, numbers: MachineNumbers) -> None:
    """Shows numbers, all at once; between its pictures others are answered."""
    view, drawn = page.view, dict[str, str]()
    for draw in (_draw_words, _draw_tiles, _draw_trend, _draw_losses):
        drawn |= draw(page, numbers)
        await frame.let_others()
    if page.view != view:
        return
    page.controls.locate((numbers.window[0], numbers.whole_end_ns), numbers.zone, page.visit.center.now_ns())
    page.window = numbers.window
    page.spans = [point.span for point in numbers.points]
    for part, content in drawn.items():
        page.put(part, content)
    _put_files(page, numbers)


def _draw_words(page: _Page, numbers: MachineNumbers) -> dict[str, str]:
    lang = page.lang
    begin, end = (time_labels.local(t_ns, numbers.zone) for t_ns in numbers.window)
    words = [say("console.shift", lang, name=numbers.shift)] if numbers.shift else []
    words.append(f"{moment(begin, lang)} – {moment(end, lang)}")
    if numbers.known_ns > numbers.window[0]:
        when = moment(time_labels.local(numbers.known_ns, numbers.zone), lang)
        words.append(say("console.known_since", lang, when=when))
    return {"away": "", "window": el("span", " · ".join(words))}


def _draw_tiles(page: _Page, numbers: MachineNumbers) -> dict[str, str]:
    drawn = tiles.tiles(numbers.total, numbers.before, page.lang, _declares(page, numbers))
    return {"tiles": drawn, "minis": tiles.minis(numbers.total, page.lang)}


def _draw_trend(page: _Page, numbers: MachineNumbers) -> dict[str, str]:
    earlier = " – ".join(moment(time_labels.local(t_ns, numbers.zone), page.lang) for t_ns in numbers.earlier)
    return {"trend": trend_chart.draw(numbers.points, page.view.over, earlier, page.lang, page.address)}


def _draw_losses(page: _Page, numbers: MachineNumbers) -> dict[str, str]:
    lang, reasons = page.lang, numbers.site["reasons"]
    known = any(numbers.total["sums"][name] for name in STATE_COLUMNS)
    nothing = say("console.no_losses" if known else "why_null.no_minute", lang)
    bars = charts.pareto_bars(numbers.losses, reasons, lang, page.address)
    return {
        "waterfall": waterfall.draw(numbers.steps, lang, page.address),
        "six": waterfall.six(numbers.steps, lang, page.address),
        "losses": pareto(bars, lang) if bars else el("div", nothing, cls="empty"),
    }


def _declares(page: _Page, numbers: MachineNumbers) -> Callable[[str], str] | None:
    """The address at which a field is declared for the window shown; None where the viewer may not."""
    if not page.may_declare:
        return None
    begin, end = (iso(t_ns, numbers.zone) for t_ns in numbers.window)
    return lambda field: declare_page(page.site, page.machine, **{"from": begin, "to": end, "field": field})
