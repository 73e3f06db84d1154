"""The pages of advice, plain HTML: the worklist, one finding, and its dismissal."""

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from center.api.access import Viewing, Writing, address_of
from center.api.advice.finding_routes import DISMISSIBLE, FindingsDesk
from center.api.outside import outside
from center.console import frame
from center.console.advice import cards
from center.console.document import document, error_page, notice
from center.console.draw import time_labels
from center.console.draw.markup import el
from center.console.draw.names import named
from center.model.times import BadQuestion
from center.model.viewer import Viewer
from center.queries import sites as queries
from center.queries.question import UnknownSite, zone_of
from center.runtime.state import CenterState
from words import moment, say


def add_advice_pages(app: FastAPI, center: CenterState, desk: FindingsDesk) -> None:
    """The routes; they return pages, so the API's description leaves them out. `add_error_pages` answers where they raise."""
    frame.link_in_header(cards.HOME, "advice_list.title")

    @app.get(cards.HOME, include_in_schema=False)
    def worklist(viewer: Viewing, request: Request, site: str = "", machine: str = "") -> Response:
        return _worklist(center, desk, viewer, request, site, machine)

    @app.get(f"{cards.HOME}/{{finding}}", include_in_schema=False)
    def one(viewer: Viewing, request: Request, finding: str) -> Response:
        return _one(center, desk, viewer, request, finding)

    @app.post(f"{cards.HOME}/{{finding}}/dismiss", include_in_schema=False)
    async def dismiss(viewer: Writing, request: Request, finding: str) -> Response:
        reason = str((await request.form()).get("reason", ""))
        return await run_in_threadpool(_dismiss, center, desk, viewer, request, finding, reason)


def _worklist(
    center: CenterState, desk: FindingsDesk, viewer: Viewer, request: Request, site: str, machine: str
) -> Response:
    lang = frame.language(request, center)
    answer = desk.listed(viewer, site, machine)
    sites = {row["id"]: row["name"] for row in queries.sites(center, viewer)}
    if answer["night"]:
        note = say("advice_list.note", lang, night=moment(time_labels.parse(answer["night"]), lang))
    else:
        note = say("advice_list.no_night", lang)
    title = say("advice_list.title", lang)
    return document(
        center,
        viewer,
        lang,
        title,
        el("div", el("h1", title, cls="title"), el("p", note, cls="soft"), cls="opening"),
        cards.worklist(answer["rows"], sites, lang),
        cards.untrusted(answer["untrusted"], sites, lang),
    )


def _one(
    center: CenterState,
    desk: FindingsDesk,
    viewer: Viewer,
    request: Request,
    finding: str,
    message: str = "",
    status: int = 200,
) -> Response:
    lang = frame.language(request, center)
    try:
        row = desk.one(viewer, finding)
    except UnknownSite:
        return error_page(center, request, say("advice_page.gone", lang), say("advice_page.gone.help", lang), 404)
    site_name = named(queries.site(center, viewer, row["site"])["name"], lang, row["site"])
    may_dismiss = viewer.may("write") and row["stage"] in DISMISSIBLE
    back = el("a", f"‹ {say('advice_list.title', lang)}", href=outside(cards.HOME))
    return document(
        center,
        viewer,
        lang,
        f"{row['name'][lang]} · {named(row['machine_name'], lang, row['machine'])}",
        el("nav", back, cls="crumbs"),
        notice(message, "bad" if status != 200 else "good"),
        cards.page(
            row,
            site_name,
            zone_of(center, viewer, row["site"]),
            may_dismiss=may_dismiss,
            may_act=viewer.may("aim"),
            lang=lang,
        ),
        status=status,
    )


def _dismiss(
    center: CenterState, desk: FindingsDesk, viewer: Viewer, request: Request, finding: str, reason: str
) -> Response:
    lang = frame.language(request, center)
    try:
        desk.dismiss(viewer, address_of(request), finding, reason)
    except BadQuestion:
        return _one(center, desk, viewer, request, finding, say("advice_page.no_reason", lang), 422)
    except UnknownSite:
        return _one(center, desk, viewer, request, finding)
    return RedirectResponse(outside(f"{cards.HOME}/{finding}"), 303)
