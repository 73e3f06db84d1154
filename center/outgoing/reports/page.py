"""The report's page: choose a shift or a day, read, print, take along as PDF."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final, get_args
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup

from center.api.access import Viewing
from center.api.outside import outside
from center.console import frame
from center.console.document import document, notice
from center.console.draw.markup import Child, el
from center.console.draw.names import named, report_page, targets_page
from center.model.times import BadQuestion
from center.model.viewer import Viewer
from center.outgoing.reports.answer import ReportAnswer
from center.outgoing.reports.asked import ReportQuestion, Which, planned_shifts, report
from center.outgoing.reports.html import page_content
from center.outgoing.reports.sheet import sheet
from center.queries import sites as queries
from center.queries.question import zone_of
from center.runtime.state import CenterState
from oee.model.calendars import local_date
from words import say

_RECENT: Final = timedelta(days=14)


def add_report_page(app: FastAPI, center: CenterState) -> None:
    """The route; it returns a page, so the API's description leaves it out."""

    @app.get("/report/{site}", include_in_schema=False)
    def show(request: Request, viewer: Viewing, site: str) -> Response:
        return _page(center, request, viewer, site)


def _page(center: CenterState, request: Request, viewer: Viewer, site: str) -> HTMLResponse:
    lang, asked = frame.language(request, center), request.query_params
    zone_of(center, viewer, site)
    question, mistake = _question(viewer, site, asked)
    answer: ReportAnswer | None = None
    try:
        answer = report(center, question) if not mistake else None
    except BadQuestion as error:
        mistake = str(error)
    details = queries.site(center, viewer, site)
    crumbs = el(
        "nav", el("a", say("console.fleet", lang), href=outside("/")), el("span", "›"), el("span", named(details["name"], lang, site)),
        el("a", say("target.link", lang), href=targets_page(site), cls="aside"), cls="crumbs no-print",
    )  # fmt: skip
    chooser = _chooser(center, question, answer, lang)
    if answer is None:
        title = say("report.title", lang)
        content: tuple[Child, ...] = (
            crumbs,
            el("div", el("h1", title), cls="admin-head"),
            chooser,
            notice(say("report.cannot", lang, detail=mistake), "bad"),
        )
        return document(center, viewer, lang, title, *content, status=422)
    shown = sheet(answer, lang)
    return document(
        center,
        viewer,
        lang,
        shown.title,
        crumbs,
        el("div", el("h1", shown.title), _acts(answer, lang), cls="admin-head"),
        el("p", shown.subtitle, cls="soft"),
        chooser,
        page_content(shown),
    )


def _question(viewer: Viewer, site: str, asked: Mapping[str, str]) -> tuple[ReportQuestion, str]:
    """The question in the address, and what is wrong with it."""
    question = ReportQuestion(viewer, site, None, asked.get("shift", ""), asked.get("line", ""))
    which: Any = asked.get("which", "last")
    if which in get_args(Which):
        question = replace(question, which=which)
    try:
        return replace(question, day=date.fromisoformat(asked["date"]) if asked.get("date") else None), ""
    except ValueError:
        return question, f"date: {asked['date'][:40]!r}"


def _address(site: str, **chosen: str) -> str:
    query = urlencode({key: value for key, value in chosen.items() if value})
    return f"{report_page(site)}?{query}" if query else report_page(site)


def _acts(answer: ReportAnswer, lang: str) -> Markup:
    chosen = {"date": answer["date"], "shift": answer["shift"], "line": answer["line"], "site": answer["site"]}
    query = urlencode({key: value for key, value in (chosen | {"format": "pdf", "lang": lang}).items() if value})
    return el(
        "div",
        el("a", say("report.pdf", lang), href=outside(f"/api/v1/report?{query}"), download="", cls="quiet-link"),
        el("button", say("report.print", lang), cls="quiet-link", data_print="1", type="button"),
        cls="acts no-print",
    )


def _chooser(center: CenterState, question: ReportQuestion, answer: ReportAnswer | None, lang: str) -> Markup:
    site, line = question.site, question.line
    rows = [row for row in queries.machines(center, question.viewer, site) if not row.get("retired")]
    zone = zone_of(center, question.viewer, site)
    today = local_date(zone, center.now_ns())
    recent = planned_shifts(center, site, [row["id"] for row in rows], today - _RECENT, today, zone)
    names = list(dict.fromkeys(item.name for item in recent))
    day = answer["date"] if answer else (question.day or today).isoformat()
    shift = answer["shift"] if answer else question.shift
    by_date = question.day is not None
    links = [
        el(
            "a",
            say(f"report.{which}", lang),
            href=_address(site, which=which, line=line),
            cls="on" if not by_date and which == question.which else "",
        )
        for which in get_args(Which)
    ]
    lines = {row["line"]: named(row.get("line_name") or {}, lang, row["line"]) for row in rows if row["line"]}
    pick = el(
        "form",
        el("input", type="date", name="date", value=day, max=today.isoformat(), aria_label=say("report.day", lang)),
        _select(
            say("report.shift", lang),
            "shift",
            [("", say("report.all_shifts", lang)), *((name, say("console.shift", lang, name=name)) for name in names)],
            shift,
        ),
        _select(say("report.line", lang), "line", [("", say("report.all_lines", lang)), *sorted(lines.items())], line)
        if lines
        else None,
        el("button", say("report.show", lang), cls="quiet-link", type="submit"),
        method="get",
        action=report_page(site),
        cls="pick-day",
    )
    return el("div", el("div", *links, cls="seg"), pick, cls="controls no-print")


def _select(label: str, name: str, options: list[tuple[str, str]], chosen: str) -> Markup:
    items = (el("option", text, value=key, selected="" if key == chosen else None) for key, text in options)
    return el("select", *items, name=name, aria_label=label)
