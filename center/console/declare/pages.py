"""The page for declarations about a machine: plain forms that work well on a phone."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from center.api.access import Writing
from center.api.declarations import OPEN_ENDED, DeclarationAnswer, DeclarationRequest, declaration_answer, validate
from center.console.declare.asked import asked
from center.console.declare.desk import DeclareDesk
from center.console.declare.form import (
    FormContext,
    confirmation,
    forms,
    outcome,
    question,
    recent_declarations,
    value_name,
)
from center.console.document import document, error_page, notice
from center.console.draw import time_labels
from center.console.draw.markup import el
from center.console.draw.names import declare_page, machine_page, named
from center.database import declarations
from center.ingest.declaration_sender import DeclarationSender
from center.model.times import BadQuestion
from center.queries import sites as queries
from center.queries.entries import doubt
from center.queries.question import UnknownSite
from center.runtime.state import CenterState
from oee.model.declarations import ENTRIES, Declaration, is_count
from words import moment, say

_ROWS: Final = 20
_WITHDRAWABLE: Final = 1000
_REFRESH_S: Final = 3
_YEARS: Final = range(1970, 2200)
_KEY: Final = re.compile("[0-9a-f]{32}")


def add_declare_pages(app: FastAPI, center: CenterState, declaring: DeclarationSender) -> None:
    """The routes; they return pages, so the API's description leaves them out. `add_error_pages` answers where they raise."""

    @app.get("/declare/{site}/{machine}", include_in_schema=False)
    def declare_page_of(request: Request, viewer: Writing, site: str, machine: str) -> Response:
        window = (request.query_params.get("from", ""), request.query_params.get("to", ""))
        return _page(DeclareDesk(request, center, declaring, viewer, site, machine), window)

    @app.post("/declare/{site}/{machine}", include_in_schema=False)
    async def declare(request: Request, viewer: Writing, site: str, machine: str) -> Response:
        fields = {name: str(value) for name, value in (await request.form()).items()}
        desk = DeclareDesk(request, center, declaring, viewer, site, machine)
        return await run_in_threadpool(_withdraw if "withdraw" in fields else _declare, desk, fields)


def _declare(desk: DeclareDesk, fields: dict[str, str]) -> Response:
    """Makes a declaration and leads to the page that shows what becomes of it: reloading that declares nothing again."""
    zone, (begin, end) = desk.zone, (_exact(fields, "from"), _exact(fields, "to"))
    mistake = _mistake(fields, begin, end)
    if mistake:
        return _page(desk, (_with_zone(begin, zone), _with_zone(end, zone)), say(mistake, desk.lang), 422)
    body: dict[str, str | None] = {"site": desk.site, "machine": desk.machine, "from": _with_zone(begin, zone)}
    body |= {
        "to": _with_zone(end, zone) or None,
        "field": fields.get("field"),
        "value": fields.get("value", "").strip(),
    }
    try:
        gateway, declaration = validate(desk.center, desk.viewer, DeclarationRequest.model_validate(body))
    except UnknownSite:
        return _page(desk, ("", ""))  # which says so
    except (BadQuestion, ValidationError) as error:
        text = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        return _page(desk, (_with_zone(begin, zone), _with_zone(end, zone)), text, 422)
    found = None if "confirmed" in fields else doubt(desk.center, desk.viewer, desk.site, declaration)
    if found is not None:
        start_at, end_at = (
            moment(time_labels.local(t_ns, zone), desk.lang) for t_ns in (declaration.start_ns, declaration.end_ns or 0)
        )
        why = say("declare.above_pieces", desk.lang, made=found.made, bad=found.bad, start=start_at, end=end_at)
        again = confirmation(declare_page(desk.site, desk.machine), fields, why, desk.lang)
        return _page(desk, (_with_zone(begin, zone), _with_zone(end, zone)), status=409, confirm=again)
    return _made(desk, gateway, replace(declaration, id=_key(fields) or declaration.id))


def _withdraw(desk: DeclareDesk, fields: dict[str, str]) -> Response:
    """Takes a declaration back: another one with an empty value replaces it."""
    rows = declarations.listed(desk.declaring.engine, [desk.site], desk.machine, _WITHDRAWABLE)
    record = next((item for item in rows if item.row.id == fields["withdraw"]), None)
    if record is None or not desk.viewer.sees(desk.site):
        return _page(desk, ("", ""), say("console.declare.gone", desk.lang), 422)
    row = record.row
    item = Declaration(
        declarations.new_id(), desk.center.now_ns(), row.machine, row.start_ns, row.end_ns, row.field, "",
        desk.viewer.name, row.product, row.id,
    )  # fmt: skip
    return _made(desk, record.gateway, item)


def _made(desk: DeclareDesk, gateway: str, item: Declaration) -> Response:
    record = desk.declaring.declare(desk.site, gateway, item)
    answer = declaration_answer(desk.center, desk.viewer, record)
    presets = {"from": answer["start"], "to": answer["end"] or "", "sent": record.row.id}
    return RedirectResponse(declare_page(desk.site, desk.machine, **presets), 303)


def _mistake(fields: dict[str, str], begin: str, end: str) -> str:
    """The key of the sentence about the first thing that is missing or cannot be; "" if there is none."""
    name, value = fields.get("field", ""), fields.get("value", "").strip()
    times = [_time(text) for text in (begin, end) if text]
    if not value and name != "planned_stop":
        return "console.declare.no_value"
    if name in ENTRIES and not is_count(value):
        return "console.declare.no_count"
    if any(when is not None and when.year not in _YEARS for when in (_written(begin), _written(end))):
        return "console.declare.far_time"
    if not begin or None in times:
        return "console.declare.no_time"
    if not end and name not in OPEN_ENDED:
        return "console.declare.no_end"
    if end and not _before(times[0], times[1]):
        return "console.declare.ends_first"
    return ""


def _before(begin: datetime | None, end: datetime | None) -> bool:
    return begin is not None and end is not None and begin.replace(tzinfo=None) < end.replace(tzinfo=None)


def _time(text: str) -> datetime | None:
    """None for what is no time that a machine can have had: not even a zone's offset reaches into the year 0 or 10000."""
    when = _written(text)
    return when if when is not None and when.year in _YEARS else None


def _written(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _exact(fields: dict[str, str], name: str) -> str:
    """The time as it was before it was shown in minutes, unless it was changed."""
    shown, exact = fields.get(name, ""), fields.get(f"exact_{name}", "")
    return exact if shown and exact[:16] == shown[:16] and len(shown) <= len(exact) else shown


def _key(fields: dict[str, str]) -> str:
    """The declaration's key that the form brought along, if it is one of ours."""
    key = fields.get("key", "")
    return key if _KEY.fullmatch(key) else ""


def _with_zone(text: str, zone: ZoneInfo) -> str:
    """The value of a browser's time field with the site's offset."""
    when = _time(text)
    if when is None:
        return text
    return (when if when.tzinfo else when.replace(tzinfo=zone)).isoformat()


def _in_field(text: str, zone: ZoneInfo) -> str:
    """A time for a browser's time field: site time without offset, to the millisecond."""
    when = _time(text)
    if when is None:
        return ""
    local = when.astimezone(zone) if when.tzinfo else when
    return local.replace(tzinfo=None).isoformat(timespec="milliseconds" if local.microsecond else "seconds")


def _page(
    desk: DeclareDesk, window: tuple[str, str], message: str = "", status: int = 200, confirm: Markup | None = None
) -> HTMLResponse:
    center, viewer, lang, (site, machine) = desk.center, desk.viewer, desk.lang, (desk.site, desk.machine)
    details, zone = queries.site(center, viewer, site), desk.zone
    machine_row = next((row for row in queries.machines(center, viewer, site) if row["id"] == machine), None)
    if machine_row is None:
        title = say("console.unknown_machine", lang, machine=machine)
        return error_page(center, desk.request, title, say("console.unknown_machine.help", lang, site=site), 404)
    rows = [
        declaration_answer(center, viewer, row)
        for row in declarations.listed(desk.declaring.engine, [site], machine, _ROWS)
    ]
    here = declare_page(site, machine)
    title = say("console.declare.machine", lang, machine=named(machine_row["name"], lang, machine))
    made = next((row for row in rows if row["id"] == desk.request.query_params.get("sent")), None)
    found = asked(center, viewer, (site, machine), window, details)
    preset = (_in_field(window[0], zone), _in_field(window[1], zone)) if made is None else ("", "")
    context = FormContext(details, here, declarations.new_id(), preset, lang)
    has_question = found.stop is not None and made is None
    opened = desk.request.query_params.get("field", "" if has_question or made else "reason")
    back = el("a", f"‹ {say('console.declare.back', lang)}", href=machine_page(site, machine))
    content = (
        el("nav", back, cls="crumbs"),
        el("div", el("h1", title), cls="admin-head"),
        notice(message, "bad" if status != 200 else ""),
        confirm,
        _became(made, desk, zone, details) if made else el("p", say("console.declare.note", lang), cls="soft"),
        question(context, found) if has_question else None,
        el("h2", say("console.declare.more", lang), cls="lately") if has_question or made else None,
        forms(context, found, opened),
        recent_declarations(rows, details, zone, lang, center.now_ns(), here),
    )
    refresh_s = _REFRESH_S if made and made["state"] == "sent" else None
    return document(center, viewer, lang, title, *content, status=status, refresh_s=refresh_s)


def _became(made: DeclarationAnswer, desk: DeclareDesk, zone: ZoneInfo, details: Mapping[str, Any]) -> Markup:
    """What was just declared, and what became of it; the page shows it anew until the gateway has answered."""
    gateway = next((item for item in details["gateways"] if item["id"] == made["gateway"]), None)
    silent = made["state"] == "sent" and gateway is not None and not gateway["online"]
    return el(
        "section",
        el("b", say(f"declare.field.{made['field']}", desk.lang)),
        el("span", value_name(made, details, desk.lang) or say("console.declare.taken_back", desk.lang)),
        outcome(made, zone, desk.lang, desk.center.now_ns()),
        el("span", say("console.declare.silent", desk.lang, gateway=made["gateway"]), cls="soft") if silent else None,
        cls="panel became",
        role="status",
    )
