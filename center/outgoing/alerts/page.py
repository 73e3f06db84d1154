"""The page of alerts: what waits for somebody, what somebody sees to, what is over, the rules in force, and how the channels
fare."""

from datetime import datetime
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from center.api.access import Viewing, Writing, address_of
from center.api.outside import outside
from center.console import frame
from center.console.document import button, document, form, notice
from center.console.draw.markup import Child, el
from center.console.draw.names import alert_anchor, alerts_page, delivery_page, machine_page, named
from center.model.viewer import Viewer
from center.outgoing.alerts.api import AlertAnswer, AlertDesk, OutletAnswer
from center.outgoing.alerts.rules import rules_in_force
from center.queries import sites as queries
from center.runtime.state import CenterState
from words import duration, moment, say

_REFRESH_S = 20
_PAST = 50


def add_alert_page(app: FastAPI, center: CenterState, desk: AlertDesk) -> None:
    """The routes; they return pages, so the API's description leaves them out."""
    frame.link_in_header("/alerts", "alert.title")

    @app.get("/alerts", include_in_schema=False)
    def show(request: Request, viewer: Viewing, site: str = "") -> Response:
        return _page(center, request, viewer, desk, site)

    @app.post("/alerts/{number}", include_in_schema=False)
    async def take(request: Request, viewer: Writing, number: str) -> Response:
        site = str((await request.form()).get("site", ""))
        taken = await run_in_threadpool(desk.acknowledge, viewer, address_of(request), number)
        if taken:
            return RedirectResponse(alerts_page(site), 303)
        lang = frame.language(request, center)
        message = notice(say("alert.gone", lang), "bad")
        return await run_in_threadpool(_page, center, request, viewer, desk, site, message, 404)


def _page(
    center: CenterState,
    request: Request,
    viewer: Viewer,
    desk: AlertDesk,
    site: str,
    message: Child = None,
    status: int = 200,
) -> HTMLResponse:
    lang = frame.language(request, center)
    names = {row["id"]: named(row["name"], lang, row["id"]) for row in queries.sites(center, viewer)}
    shown = {key: name for key, name in names.items() if site in ("", key)}
    rows = {key: queries.machines(center, viewer, key) for key in shown}
    machines = {(key, row["id"]): named(row["name"], lang, row["id"]) for key, of in rows.items() for row in of}
    lines = {
        key: {row["line"]: named(row.get("line_name") or {}, lang, row["line"]) for row in of if row["line"]}
        for key, of in rows.items()
    }
    draw = _Rows(names, machines, lang, site, may_take=viewer.may("write"))
    found = desk.open(viewer, site)
    waiting = [row for row in found if not row["acknowledged"]]
    taken = [row for row in found if row["acknowledged"]]
    title = say("alert.title", lang)
    return document(
        center,
        viewer,
        lang,
        title,
        el("div", el("h1", title, cls="title"), el("p", say("alert.note", lang), cls="soft"), cls="opening"),
        message,
        _sites(names, site, lang) if len(names) > 1 else None,
        draw.section("open", waiting, say("alert.open.none", lang)),
        draw.section("taken", taken, "") if taken else None,
        draw.section("past", desk.past(viewer, site, _PAST), say("alert.past.none", lang)),
        rules_in_force(desk.settings, shown, lines, lang, center=viewer.sites is None and not site),
        _outlets(desk.outlets(viewer), lang) if viewer.may("aim") else None,
        status=status,
        refresh_s=_REFRESH_S,
    )


def _sites(names: dict[str, str], site: str, lang: str) -> Markup:
    choices = {"": say("console.all_sites", lang), **names}
    links = (
        el("a", text, href=alerts_page(key), cls=f"pill{' on' if key == site else ''}") for key, text in choices.items()
    )
    return el("div", el("nav", *links, cls="pills"), cls="filters")


class _Rows:
    """Rows of alerts in the language of the page. names: of sites; machines: by site and id; site: that is chosen."""

    def __init__(
        self, names: dict[str, str], machines: dict[tuple[str, str], str], lang: str, site: str, *, may_take: bool
    ) -> None:
        self._names, self._machines, self._lang, self._site, self._may_take = names, machines, lang, site, may_take

    def section(self, group: str, rows: list[AlertAnswer], none: str) -> Markup:
        """A group of alerts. none: what is said where there are none."""
        head = el("h2", say(f"alert.{group}", self._lang), " ", el("span", str(len(rows)), cls="count"))
        content = el("ul", *(self._row(row) for row in rows), cls="rows alerts") if rows else el("p", none, cls="empty")
        return el("section", head, content, cls="panel work", id=group)

    def _row(self, row: AlertAnswer) -> Markup:
        lang = self._lang
        site = self._names.get(row["site"], row["site"]) or say("alert.who.center", lang)
        who = self._machines.get((row["site"], row["machine"]), row["machine"]) or row["gateway"] or site
        page = machine_page(row["site"], row["machine"]) if row["machine"] else delivery_page(row["site"])
        name = el("b", el("a", who, href=page)) if row["site"] else el("b", who)
        return el(
            "li",
            el("div", name, el("span", site, cls="soft") if who != site else None, cls="who"),
            el("div", el("span", row["text"][lang], cls="what"), el("span", self._when(row), cls="faint")),
            self._act(row),
            cls=f"alert-{row['kind']}{' over' if row['ended'] else ''}",
            id=alert_anchor(row["id"]),
        )

    def _when(self, row: AlertAnswer) -> str:
        lang, begin = self._lang, datetime.fromisoformat(row["since"])
        if row["ended"]:
            end = datetime.fromisoformat(row["ended"])
            length = duration((end - begin).total_seconds() * 1000, lang)
            text = say("alert.lasted", lang, begin=moment(begin, lang), end=f"{end:%H:%M}", length=length)
        else:
            text = say("alert.since", lang, when=moment(begin, lang)).removesuffix(".")
        if row["acknowledged"]:
            when = datetime.fromisoformat(row["acknowledged"])
            text += " · " + say("alert.taken_by", lang, by=row["by"], when=f"{when:%H:%M}")
        if row["waiting"]:
            text += " · " + say("alert.waits.short", lang)
        return text

    def _act(self, row: AlertAnswer) -> Markup:
        if row["ended"] or row["acknowledged"] or not self._may_take:
            return el("span")
        hidden = el("input", type="hidden", name="site", value=self._site)
        take = button(say("alert.take", self._lang))
        return form(outside(f"/alerts/{quote(row['id'], safe='')}"), hidden, take, cls="take")


def _outlets(rows: list[OutletAnswer], lang: str) -> Markup | None:
    if not rows:
        return None
    lines = []
    for row in rows:
        if row["works"] is None:
            told, css = say("alert.outlet.never", lang), "soft"
        elif row["works"]:
            told, css = say("alert.outlet.works", lang, when=_moment(row["sent"], lang)), "good"
        else:
            why, since = row["why"][lang], _moment(row["failing"], lang)
            told, css = say("alert.outlet.broken", lang, when=since, n=row["tries"], why=why), "bad"
        lines.append(el("li", el("div", el("b", row["outlet"]), cls="who"), el("div", told, cls=css), el("span")))
    head = el("h2", say("alert.outlets", lang))
    return el("section", head, el("ul", *lines, cls="rows"), cls="panel work", id="channels")


def _moment(text: str | None, lang: str) -> str:
    return moment(datetime.fromisoformat(text) if text else None, lang)
