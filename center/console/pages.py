"""Routes of the console's live pages, and NiceGUI mounted on the center's application."""

from functools import partial
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from nicegui import app as nicegui_app
from nicegui import core, ui
from nicegui.client import Client
from nicegui.page import page as page_settings
from nicegui.translations import translations

from center.api.outside import inside, outside
from center.console import frame
from center.console.delivery import page as delivery
from center.console.document import too_many_pages
from center.console.fleet import page as fleet
from center.console.fleet.hall import HALL
from center.console.machine import page as machine
from center.console.session.first_paint import add_first_paint
from center.console.session.live import LivePages
from center.runtime.answer_cache import AnswerCache
from center.runtime.state import CenterState
from words import say

_LIVE_PAGES: Final = 100
_PATIENCE_S: Final = 60.0
"""NiceGUI answers 500 for a page that is not built in this time: on a busy machine the first one takes some seconds."""
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#0b6e74"/>'
    '<path d="M4 17h6l3-8 5 15 4-11 2 4h4" fill="none" stroke="#fff" stroke-width="2.6" stroke-linecap="round"'
    ' stroke-linejoin="round"/></svg>'
)


def add_pages(
    app: FastAPI,
    center: CenterState,
    alerts: frame.OpenAlerts | None = None,
    *,
    declares: bool = False,
    decides: bool = False,
) -> None:
    """Adds the pages, as `center.console.mount` says. alerts: None where none are raised; declares: whether there is a page for declarations; decides: one for
    decisions about a second box.
    """
    cache: AnswerCache = app.state.answers
    frame.serve_assets()
    most = getattr(app.state, "live_pages", _LIVE_PAGES)
    nicegui_app.add_middleware(LivePages, refusal=partial(too_many_pages, center), most=most)
    core.sio.on("log", lambda _socket, _message: None)  # what a browser wants in our log
    translations["vi"] = {
        "connection_lost": say("console.connection_lost", "vi"),
        "trying_to_reconnect": say("console.reconnecting", "vi"),
        "message_too_long": say("console.too_long", "vi"),
        "message_too_long_body": "",
    }

    def visit_of(request: Request) -> frame.Visit:
        return frame.Visit(center, request.state.viewer, cache, frame.language(request, center))

    @ui.page("/", response_timeout=_PATIENCE_S)
    async def fleet_page(request: Request, site: str = "", order: str = "", part: str = "", screen: str = "") -> None:
        number = int(part) if part.isdecimal() and len(part) < 6 else 1
        await fleet.show(visit_of(request), site, order, number, alerts, hall=screen == HALL)
        add_first_paint()

    @ui.page("/machine/{site}/{machine_id:path}", response_timeout=_PATIENCE_S)
    async def machine_page(request: Request, site: str, machine_id: str) -> None:
        visit = visit_of(request)
        may_declare = declares and visit.viewer.may("write")
        await machine.show(visit, (site, machine_id), request.query_params, alerts, may_declare=may_declare)
        add_first_paint()

    @ui.page("/delivery", response_timeout=_PATIENCE_S)
    async def delivery_page(request: Request, site: str = "") -> None:
        visit = visit_of(request)
        decides_here = decides and visit.viewer.may("admin")
        await delivery.show(visit, site, getattr(app.state, "report_mails", None), decides=decides_here)
        add_first_paint()

    @nicegui_app.on_page_exception
    def broken() -> None:
        lang = frame.language(ui.context.client.request, center)
        title = say("console.broken", lang)
        with frame.frame(center, lang, title):
            frame.show_error(title, say("console.broken.help", lang), lang)

    @nicegui_app.exception_handler(404)
    async def nowhere(request: Request, _error: Exception) -> Response:
        if inside(request).startswith("/api/"):
            listed = outside("/api/v1/openapi.json")
            detail = f"there is no {request.url.path[:200]}; GET {listed} lists what there is"
            return JSONResponse({"error": "unknown", "detail": detail}, 404)
        lang = frame.language(request, center)
        with Client(page_settings(""), request=request) as client:
            title = say("console.no_page", lang)
            with frame.frame(center, lang, title):
                frame.show_error(title, say("console.no_page.help", lang, path=request.url.path), lang)
        return client.build_response(request, 404)

    nicegui_app.on_startup(partial(_build_once, center))
    ui.run_with(
        app,
        title="Nhịp",
        favicon=_ICON,
        tailwind=False,
        show_welcome_message=False,
        gzip_middleware_factory=None,  # the application that this is mounted on compresses
        reconnect_timeout=30,
    )


def _build_once(center: CenterState) -> None:
    """Builds a page for nobody when the center starts: else the first one waits for all sentences and the template of pages."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [],
        "state": {"viewer": None},
    }
    request = Request(scope)
    with Client(page_settings(""), request=request) as client:
        with frame.frame(center, center.language, ""):
            frame.show_error("", say("console.broken.help", center.language), center.language)
        add_first_paint()
        client.build_response(request)
    client.delete()
