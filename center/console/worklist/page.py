"""The worklist: what of all that a viewer may see needs somebody, over the last seven days."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from center.api.access import Viewing
from center.api.outside import outside
from center.console import frame, windows
from center.console.delivery.cards import troubles
from center.console.document import document
from center.console.draw import time_labels
from center.console.draw.markup import el, join
from center.console.draw.names import delivery_page, named
from center.console.worklist import rows as work
from center.model.viewer import Viewer
from center.queries import gateways as gateway_queries
from center.queries import sites as queries
from center.queries.question import Question, zone_of
from center.queries.stops import StopFilter, stops
from center.queries.trend import trend
from center.runtime.answer_cache import AnswerCache
from center.runtime.state import CenterState
from words import say

_KEPT_S: Final = 60.0
_REFRESH_S: Final = 120
_SHOWN: Final = 12
_MOST_STOPS: Final = 5000
_SPAN: Final = "7d"
_KPIS: Final = ("oee", "performance", "quality", "coverage")
_UNEXPLAINED: Final = StopFilter(unexplained=True, order="longest")


def add_worklist_page(
    app: FastAPI, center: CenterState, alerts: frame.OpenAlerts | None = None, *, declares: bool
) -> None:
    """The route; it returns a page, so the API's description leaves it out. alerts: None where none are raised."""
    cache: AnswerCache = app.state.answers

    @app.get("/work", include_in_schema=False)
    async def worklist(request: Request, viewer: Viewing, site: str = "") -> Response:
        lang = frame.language(request, center)
        may_declare = declares and viewer.may("write")
        sites = await run_in_threadpool(queries.sites, center, viewer)
        chosen = [row["id"] for row in sites if site in ("", row["id"])]
        found = [
            await cache.ask(_KEPT_S, site_work, center, viewer, name, lang, outside("/"), may_declare)
            for name in chosen
        ]
        names = {row["id"]: named(row["name"], lang, row["id"]) for row in sites}
        listed = [item for rows in found for item in rows]
        if alerts:
            waiting = await run_in_threadpool(alerts, viewer, site if site in names else "")
            listed += work.alert_work(waiting, lang)
        groups = work.GROUPS if alerts else work.GROUPS[1:]
        return _page(center, request, viewer, work.in_order(listed, groups), names, site)


def site_work(
    center: CenterState, viewer: Viewer, site: str, lang: str, _root: str, may_declare: bool
) -> list[work.Work]:
    """What needs somebody at one site. _root: of the addresses in it, so that answers for another one are others."""
    return list(_site_work(center, viewer, site, lang, may_declare=may_declare))


def _site_work(center: CenterState, viewer: Viewer, site: str, lang: str, *, may_declare: bool) -> Iterator[work.Work]:
    zone, now_ns = zone_of(center, viewer, site), center.now_ns()
    boxes = gateway_queries.gateways(center, viewer, site)
    yield from work.gateway_work(boxes, lambda row: troubles(row, zone, lang), delivery_page(site), lang)
    machines = work.machines_of(queries.machines(center, viewer, site), lang, may_declare=may_declare)
    if not machines:
        return
    ids = tuple(machine.id for machine in machines)
    question = Question(viewer, site, ids, windows.start_of(_SPAN, zone, now_ns), by=("machine",), kpis=_KPIS)
    rows = {row["machine"]: row for row in trend(center, question)["rows"]}
    unexplained = stops(center, question, _MOST_STOPS, _UNEXPLAINED)
    lengths_ms: dict[str, list[int]] = {}
    for stop in unexplained["rows"]:
        lengths_ms.setdefault(stop["machine"], []).append(_length_ms(stop, now_ns))
    for machine in machines:
        if machine.id in rows:
            yield from work.machine_work(machine, rows[machine.id], lang)
        whole = not unexplained["truncated"]
        yield from work.reasons_work(machine, lengths_ms.get(machine.id, ()), lang, all_of_them=whole)
    yield from work.without_target(machines, rows.values(), lang)


def _length_ms(stop: Mapping[str, Any], now_ns: int) -> int:
    end_ns = now_ns if stop["end"] is None else time_labels.parse_ns(stop["end"])
    return (end_ns - time_labels.parse_ns(stop["start"])) // 1_000_000


def _page(
    center: CenterState,
    request: Request,
    viewer: Viewer,
    found: Mapping[str, list[work.Work]],
    names: Mapping[str, str],
    site: str,
) -> Response:
    lang = frame.language(request, center)
    title = say("work.title", lang)
    groups = [_group(group, rows, names, lang) for group, rows in found.items()]
    return document(
        center,
        viewer,
        lang,
        title,
        el("div", el("h1", title, cls="title"), el("p", say("work.note", lang), cls="soft"), cls="opening"),
        _sites(names, site, lang) if len(names) > 1 else None,
        *groups,
        refresh_s=_REFRESH_S,
    )


def _sites(names: Mapping[str, str], site: str, lang: str) -> Markup:
    choices = {"": say("console.all_sites", lang), **names}
    links = (
        el(
            "a",
            text,
            href=outside(f"/work?{urlencode({'site': key})}" if key else "/work"),
            cls=f"pill{' on' if key == site else ''}",
        )
        for key, text in choices.items()
    )
    return el("div", el("nav", *links, cls="pills"), cls="filters")


def _group(group: str, rows: list[work.Work], names: Mapping[str, str], lang: str) -> Markup:
    head = el("h2", say(f"work.group.{group}", lang), " ", el("span", str(len(rows)), cls="count"))
    note = el("p", say(f"work.group.{group}.note", lang), cls="soft")
    if not rows:
        return el("section", head, el("p", say(f"work.group.{group}.none", lang), cls="empty"), cls="panel work")
    shown = el("ul", *(_row(item, names) for item in rows[:_SHOWN]), cls="rows")
    more = None
    if len(rows) > _SHOWN:
        rest = el("ul", *(_row(item, names) for item in rows[_SHOWN:]), cls="rows")
        more = el("details", el("summary", say("work.more", lang, count=len(rows) - _SHOWN)), rest, cls="fold")
    return el("section", join(head, note), shown, more, cls="panel work")


def _row(item: work.Work, names: Mapping[str, str]) -> Markup:
    where = names.get(item.site, item.site)
    who = el("div", el("b", item.whose or where), el("span", where, cls="soft") if item.whose else None, cls="who")
    return el("li", who, el("span", item.sentence), el("a", item.act, href=item.url, cls="act"))
