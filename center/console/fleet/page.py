"""The fleet: every site's machines, what they are doing now and how the shift is going."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from nicegui import ui

from center.api.outside import outside
from center.console import frame
from center.console.draw import alert_rows, live_state
from center.console.draw.glyphs import GLYPHS
from center.console.draw.markup import el, join
from center.console.draw.names import (
    benchmark_page,
    delivery_page,
    machine_page,
    months_page,
    named,
    report_page,
    targets_page,
)
from center.console.fleet import cards as fleet_cards
from center.console.fleet.hall import HALL, add_clock, turn_pages
from center.console.fleet.numbers import site_numbers
from center.queries import sites as queries
from center.queries.question import zone_of
from words import say

NUMBERS_EVERY_S: Final = 15.0
CARDS: Final = 48
"""Cards per page: a browser redraws them every second. The summary counts all machines."""
_EMPTY_RECHECK_S: Final = 3.0
_GROUPS: Final = (
    ("running", "s-running"),
    ("stopped", "s-unplanned_stop"),
    ("resting", "s-planned_stop"),
    ("unknown", "hatched"),
)
Row = Mapping[str, Any]


@dataclass
class _Card:
    """The elements of one card and what they show, so that only what changed is sent."""

    box: ui.element
    chip: ui.html
    since: ui.label
    under: ui.html
    score: ui.html
    hours: ui.html


@dataclass
class _Page:
    """One open fleet page."""

    visit: frame.Visit
    sites: list[queries.SiteAnswer]
    worst: bool
    machine_keys: set[tuple[str, str]]
    cards: dict[tuple[str, str], _Card] = field(default_factory=dict)
    gates: dict[str, ui.html] = field(default_factory=dict)
    details: dict[str, Row] = field(default_factory=dict)

    @property
    def lang(self) -> str:
        """The language of the page."""
        return self.visit.lang


async def show(
    visit: frame.Visit,
    site: str,
    order: str,
    number: int = 1,
    alerts: frame.OpenAlerts | None = None,
    *,
    hall: bool = False,
) -> None:
    """Builds the page. site: only this one ("" is all); order: `worst` puts the worst first; number: of the part that is
    shown, from 1, where there are too many cards for one; alerts: None where none are raised; hall: for a screen in the hall.
    """
    center, viewer, cache, lang = visit.center, visit.viewer, visit.cache, visit.lang
    site_rows = await cache.ask(1, queries.sites, center, viewer)
    chosen = [row for row in site_rows if row["id"] == site] if site else site_rows
    with frame.frame(center, lang, say("console.fleet", lang)):
        if not chosen:
            frame.show_no_site(site, lang)
            ui.timer(_EMPTY_RECHECK_S, lambda: _reload_when_known(visit, site), immediate=False)
            return
        known = [row for item in chosen for row in await cache.ask(1, queries.machines, center, viewer, item["id"])]
        machines = [row for row in known if not row.get("retired")]
        if order == "worst":
            rows = await cache.ask(frame.LIVE_EVERY_S * 0.9, queries.live, center, viewer)
            machines = fleet_cards.worst_first(machines, rows)
        else:
            machines.sort(key=lambda row: (row["site"], row["line"], row["id"]))
        parts = [machines[first : first + CARDS] for first in range(0, len(machines), CARDS)] or [[]]
        shown = parts[min(max(number, 1), len(parts)) - 1]
        page = _Page(visit, [], order == "worst", {(row["site"], row["id"]) for row in machines})
        set_clock = add_clock(visit, zone_of(center, viewer, chosen[0]["id"])) if hall else None
        store_banner = ui.html("", sanitize=False)
        alert_band = ui.html("", sanitize=False)
        summary = ui.html("", sanitize=False).classes("summary")
        _filters(site_rows, site, order, lang)
        for row in chosen:
            if machines_here := [machine for machine in shown if machine["site"] == row["id"]]:
                page.sites.append(row)
                page.details[row["id"]] = await asyncio.to_thread(queries.site, center, viewer, row["id"])
                _section(page, row, machines_here)
        if hall:
            turn_pages(lambda part: _address(site, order, part, HALL), parts.index(shown) + 1, len(parts))
        elif len(parts) > 1:
            ui.html(_pager(len(parts), parts.index(shown) + 1, site, order, lang), sanitize=False)
        ui.html(live_state.legend(GLYPHS, lang), sanitize=False)
        if retired := [row for row in known if row.get("retired")]:
            ui.html(_retired(retired, lang), sanitize=False)
    refresh_live = _live_refresher(page, summary, set_clock)
    refresh_numbers = _numbers_refresher(page, store_banner)
    await refresh_live()
    await frame.wait_briefly(refresh_numbers())
    ui.timer(frame.LIVE_EVERY_S, refresh_live, immediate=False)
    ui.timer(NUMBERS_EVERY_S, refresh_numbers, immediate=False)
    if alerts:
        drawn = alert_rows.hall_list if hall else alert_rows.band
        await frame.follow_alerts(visit, alerts, site, alert_band, drawn)


async def _reload_when_known(visit: frame.Visit, site: str) -> None:
    """Reloads an empty page once there is something to show."""
    rows = await visit.cache.ask(1, queries.sites, visit.center, visit.viewer)
    if any(row["id"] == site for row in rows) or (rows and not site):
        ui.navigate.reload()


def _retired(machines: list[queries.MachineAnswer], lang: str) -> str:
    """Where the history of machines is found that no site file names any more."""
    rows = [
        el(
            "li",
            el("a", named(row["name"], lang, row["id"]), href=machine_page(row["site"], row["id"])),
            " ",
            el("span", row["id"], cls="soft"),
        )
        for row in machines
    ]
    return el("details", el("summary", say("console.retired", lang, n=len(rows))), el("ul", *rows), cls="fold retired")


def _pager(parts: int, shown: int, site: str, order: str, lang: str) -> str:
    links = [
        el("a", str(number), href=_address(site, order, number), cls=f"pill{' on' if number == shown else ''}")
        for number in range(1, parts + 1)
    ]
    return el("nav", *links, cls="pills parts", aria_label=say("console.parts", lang))


def _address(site: str, order: str, number: int = 1, screen: str = "") -> str:
    part = str(number) if number > 1 else ""
    chosen = {"site": site, "order": order, "part": part, "screen": screen}
    query = urlencode({key: value for key, value in chosen.items() if value})
    return outside(f"/?{query}" if query else "/")


def _filters(sites: list[queries.SiteAnswer], site: str, order: str, lang: str) -> None:
    choices = [
        ("", say("console.all_sites", lang)),
        *((row["id"], named(row["name"], lang, row["id"])) for row in sites),
    ]
    pills = [
        el("a", text, href=_address(key, order), cls=f"pill{' on' if key == site else ''}") for key, text in choices
    ]
    orders = [
        el("a", say(f"console.order.{key or 'line'}", lang), href=_address(site, key), cls="on" if key == order else "")
        for key in ("", "worst")
    ]
    hall = el("a", say("console.hall", lang), href=_address(site, order, 1, HALL), cls="quiet-link")
    content = join(
        el("nav", *(pills if len(sites) > 1 else ()), cls="pills"),
        el("div", hall, el("div", *orders, cls="seg"), cls="orders"),
    )
    ui.html(content, sanitize=False).classes("filters")


def _section(page: _Page, site: Row, machines: list[queries.MachineAnswer]) -> None:
    with ui.element("section").classes("site"):
        with ui.element("div").classes("site-head"):
            ui.html(el("h2", named(site["name"], page.lang, site["id"])), sanitize=False)
            report = el("a", say("report.title", page.lang), href=report_page(site["id"]), cls="quiet-link")
            goal = el("a", say("target.link", page.lang), href=targets_page(site["id"]), cls="quiet-link")
            month = el("a", say("months.link", page.lang), href=months_page(site["id"]), cls="quiet-link")
            bench = el("a", say("benchmark.link", page.lang), href=benchmark_page(site["id"]), cls="quiet-link")
            ui.html(join(report, month, goal, bench), sanitize=False).classes("site-links")
            page.gates[site["id"]] = ui.html("", sanitize=False)
        with ui.element("div").classes("cards"):
            for machine in machines:
                page.cards[site["id"], machine["id"]] = _card(machine, page.lang)


def _card(machine: Row, lang: str) -> _Card:
    head = join(
        el("h3", named(machine["name"], lang, machine["id"]), title=machine["id"]),
        el("span", named(machine["line_name"], lang, machine["line"]), cls="line"),
    )
    box = ui.element("a").classes("card s-unknown")
    box.props["href"] = machine_page(machine["site"], machine["id"], span="shift")  # what the card shows
    with box:
        ui.html(head, sanitize=False).classes("card-head")
        with ui.element("div").classes("now"):
            chip, since = ui.html("", sanitize=False).classes("clip"), ui.label().classes("since")
        return _Card(
            box,
            chip,
            since,
            ui.html("", sanitize=False).classes("under"),
            ui.html("", sanitize=False).classes("numbers"),
            ui.html("", sanitize=False).classes("hours"),
        )


def _live_refresher(page: _Page, summary: ui.html, set_clock: Callable[[], None] | None) -> Callable[[], Any]:
    shown: dict[tuple[str, str], str] = {}

    async def refresh() -> None:
        rows = await page.visit.cache.ask(frame.LIVE_EVERY_S * 0.9, queries.live, page.visit.center, page.visit.viewer)
        rows_here = [row for row in rows if (row["site"], row["machine"]) in page.machine_keys]
        now_ns = page.visit.center.now_ns()
        for row in rows_here:
            key = (row["site"], row["machine"])
            if key not in page.cards:
                continue
            _put_live(page, page.cards[key], row, now_ns)
            state = live_state.state_of(row)
            if shown.get(key) != state:
                page.cards[key].box.classes(remove=f"s-{shown.get(key, 'unknown')}", add=f"s-{state}")
                shown[key] = state
                if page.worst:
                    page.cards[key].box.style(f"order: {fleet_cards.WORST_FIRST.index(state)}")
        if set_clock:
            set_clock()
        if _has_new_machine(page, rows):
            ui.navigate.reload()
        summary.set_content(_summary(rows_here, page.lang))
        for site in await page.visit.cache.ask(
            frame.LIVE_EVERY_S * 0.9, queries.sites, page.visit.center, page.visit.viewer
        ):
            if site["id"] in page.gates:
                page.gates[site["id"]].set_content(_gateways(site, page.lang))

    return refresh


def _has_new_machine(page: _Page, rows: list[queries.LiveAnswer]) -> bool:
    """Whether a machine has been added to one of the sites shown."""
    sites = {site["id"] for site in page.sites}
    return any(row["site"] in sites and (row["site"], row["machine"]) not in page.machine_keys for row in rows)


def _put_live(page: _Page, card: _Card, row: Row, now_ns: int) -> None:
    details = page.details[row["site"]]
    card.chip.set_content(live_state.chip(row, details["reasons"], page.lang))
    card.since.set_text(live_state.since(row, now_ns, page.lang))
    card.under.set_content(live_state.under(row, details["products"], page.lang))


def _summary(rows: list[queries.LiveAnswer], lang: str) -> str:
    groups = [fleet_cards.group_of(row) for row in rows]
    tallies = []
    for group, css in _GROUPS:
        count = groups.count(group)
        label = el("span", el("i", cls=css), say(f"console.group.{group}", lang))
        tallies.append(el("div", el("b", str(count)), label, cls=f"tally{'' if count else ' zero'}", id=f"n-{group}"))
    return join(*tallies)


def _gateways(site: Row, lang: str) -> str:
    marks = []
    for gateway in site["gateways"]:
        text = gateway["id"] if gateway["online"] else say("console.gateway_away", lang, gateway=gateway["id"])
        waiting = gateway["waiting"]
        if gateway["online"] and waiting and waiting > 1:
            text += " · " + say("console.waiting", lang, count=waiting)
        if gateway["trouble"]:
            text += " · " + say(f"console.gateway_{gateway['trouble']}", lang)
        away = "" if gateway["online"] and not gateway["trouble"] else " away"
        marks.append(el("a", el("i"), text, cls=f"gate{away}", href=delivery_page(site["id"])))
    return join(*marks)


def _numbers_refresher(page: _Page, store_banner: ui.html) -> Callable[[], Any]:
    async def put(site: str) -> None:
        machines = tuple(machine for owner, machine in page.cards if owner == site)
        numbers = await page.visit.cache.ask(
            NUMBERS_EVERY_S * 0.9, site_numbers, page.visit.center, page.visit.viewer, site, machines, page.lang
        )
        for machine, drawn in numbers.items():
            card = page.cards[site, machine]
            card.score.set_content(drawn.score)
            card.hours.set_content(drawn.hours)

    async def refresh() -> None:
        with frame.troubles(store_banner.set_content, page.lang):
            await asyncio.gather(*(put(site["id"]) for site in page.sites))
            store_banner.set_content("")

    return refresh
