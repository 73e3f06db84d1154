"""The page for declarations about a machine: plain forms that work well on a phone."""

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from center.api.access import Writing
from center.api.declarations import DeclarationRequest, declaration_answer, validate
from center.console import frame
from center.console.declare.form import forms, recent_declarations
from center.console.document import document, error_page, notice
from center.console.draw.markup import el
from center.console.draw.names import declare_page, machine_page, named
from center.database import declarations
from center.ingest.declaration_sender import DeclarationSender
from center.model.times import BadQuestion
from center.model.viewer import Viewer
from center.queries import sites as queries
from center.queries.question import UnknownSite, zone_of
from center.runtime.state import CenterState
from words import say

_ROWS: Final = 20


def add_declare_pages(app: FastAPI, center: CenterState, declaring: DeclarationSender) -> None:
    """The routes; they return pages, so the API's description leaves them out. `add_error_pages` answers where they raise."""

    @app.get("/declare/{site}/{machine}", include_in_schema=False)
    def declare_page(request: Request, viewer: Writing, site: str, machine: str) -> Response:
        window = (request.query_params.get("from", ""), request.query_params.get("to", ""))
        return _page(request, center, declaring, viewer, (site, machine), window)

    @app.post("/declare/{site}/{machine}", include_in_schema=False)
    async def declare(request: Request, viewer: Writing, site: str, machine: str) -> Response:
        fields = {name: str(value) for name, value in (await request.form()).items()}
        return await run_in_threadpool(_declare, request, center, declaring, viewer, (site, machine), fields)


def _declare(
    request: Request,
    center: CenterState,
    declaring: DeclarationSender,
    viewer: Viewer,
    target: tuple[str, str],
    fields: dict[str, str],
) -> HTMLResponse:
    window = (fields.get("from", ""), fields.get("to", ""))
    lang = frame.language(request, center)
    try:
        zone = zone_of(center, viewer, target[0])
        begin, end = (_with_zone(text, zone) for text in window)
        body = {"site": target[0], "machine": target[1], "from": begin, "to": end or None}
        declaration = DeclarationRequest.model_validate(
            body | {"field": fields.get("field"), "value": fields.get("value", "")}
        )
        gateway, declared = validate(center, viewer, declaration)
        declaring.declare(target[0], gateway, declared)
    except (BadQuestion, ValidationError) as error:
        text = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        return _page(request, center, declaring, viewer, target, window, text, 422)
    except UnknownSite:
        return _page(request, center, declaring, viewer, target, window)  # which says so
    return _page(request, center, declaring, viewer, target, window, say("console.declare.sent", lang))


def _with_zone(text: str, zone: ZoneInfo) -> str:
    """The value of a browser's time field with the site's offset."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (when if when.tzinfo else when.replace(tzinfo=zone)).isoformat()


def _in_field(text: str, zone: ZoneInfo) -> str:
    """A time for a browser's time field: site time without offset, to the millisecond."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return ""
    local = when.astimezone(zone) if when.tzinfo else when
    return local.replace(tzinfo=None).isoformat(timespec="milliseconds" if local.microsecond else "seconds")


def _page(
    request: Request,
    center: CenterState,
    declaring: DeclarationSender,
    viewer: Viewer,
    target: tuple[str, str],
    window: tuple[str, str],
    message: str = "",
    status: int = 200,
) -> HTMLResponse:
    lang, (site, machine) = frame.language(request, center), target
    details, zone = queries.site(center, viewer, site), zone_of(center, viewer, site)
    machine_row = next((row for row in queries.machines(center, viewer, site) if row["id"] == machine), None)
    if machine_row is None:
        title = say("console.unknown_machine", lang, machine=machine)
        return error_page(center, request, title, say("console.unknown_machine.help", lang, site=site), 404)
    rows = [
        declaration_answer(center, viewer, row) for row in declarations.listed(declaring.engine, [site], machine, _ROWS)
    ]
    name = named(machine_row["name"], lang, machine)
    title = say("console.declare.machine", lang, machine=name)
    return document(
        center,
        viewer,
        lang,
        title,
        el(
            "nav",
            el("a", f"‹ {say('console.declare.back', lang)}", href=machine_page(site, machine)),
            cls="crumbs",
        ),
        el("div", el("h1", title), cls="admin-head"),
        el("p", say("console.declare.note", lang), cls="soft"),
        notice(message, "bad" if status != 200 else ""),
        forms(
            details,
            declare_page(site, machine),
            (_in_field(window[0], zone), _in_field(window[1], zone)),
            lang,
            request.query_params.get("field", "reason"),
        ),
        recent_declarations(rows, details, zone, lang, center.now_ns()),
        status=status,
    )
