"""The page on which an administrator decides about a second box that runs as a gateway."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from center.api.access import Administering, address_of
from center.api.quarantine import BoxDecisions, Undecided
from center.console import frame
from center.console.document import button, document, error_page, field, form, notice
from center.console.draw import time_labels
from center.console.draw.markup import Child, el
from center.console.draw.names import decision_page, delivery_page
from center.contract.store import StoreUnavailable
from center.ingest.boxes import held_streams
from center.model.viewer import Viewer
from center.queries import gateways
from center.queries.question import zone_of
from center.runtime.state import CenterState
from words import moment, number, say

_ACTS = ("accept", "discard")


def add_decision_pages(app: FastAPI, center: CenterState, decisions: BoxDecisions) -> None:
    """The routes; they return pages, so the API's description leaves them out. `add_error_pages` answers where they raise."""

    @app.get("/delivery/{site}/{gateway}", include_in_schema=False)
    def show(viewer: Administering, request: Request, site: str, gateway: str) -> Response:
        return _page(center, request, viewer, (site, gateway))

    @app.post("/delivery/{site}/{gateway}", include_in_schema=False)
    async def decide(viewer: Administering, request: Request, site: str, gateway: str) -> Response:
        fields = {name: str(value) for name, value in (await request.form()).items()}
        who, lang = (viewer.name, address_of(request)), frame.language(request, center)
        zone_of(center, viewer, site)
        message, status = await run_in_threadpool(_decide, decisions, who, (site, gateway), fields, lang)
        return await run_in_threadpool(_page, center, request, viewer, (site, gateway), message, status)


def _decide(
    decisions: BoxDecisions, who: tuple[str, str], which: tuple[str, str], fields: Mapping[str, str], lang: str
) -> tuple[Child, int]:
    """The message to show, and the status of the page."""
    act, gateway = fields.get("act", ""), which[1]
    if act not in _ACTS or fields.get("confirm", "").strip() != gateway:
        return notice(say("boxes.not_confirmed", lang, id=gateway), "bad"), 422
    try:
        done = decisions(act, *who, (*which, ""), fields.get("streams", "").split())  # type: ignore[arg-type]
    except (LookupError, Undecided):
        return notice(say("boxes.changed", lang), "bad"), 409
    except (StoreUnavailable, TimeoutError) as error:
        return notice(say("boxes.not_done", lang, detail=error), "bad"), 503
    count, kept = number(done.envelopes, lang), number(done.kept, lang)
    return notice(say(f"boxes.done.{act}", lang, count=count, kept=kept), "good"), 200


def _page(
    center: CenterState,
    request: Request,
    viewer: Viewer,
    which: tuple[str, str],
    message: Child = None,
    status: int = 200,
) -> HTMLResponse:
    lang, (site, gateway) = frame.language(request, center), which
    zone = zone_of(center, viewer, site)
    row = next((item for item in gateways.gateways(center, viewer, site) if item["gateway"] == gateway), None)
    if row is None:
        title = say("boxes.unknown", lang, gateway=gateway)
        return error_page(center, request, title, say("boxes.unknown.help", lang, site=site), 404)
    title = say("boxes.title", lang, gateway=gateway)
    streams = " ".join(sorted(key.stream for key in held_streams(center.ledger_cache, site, gateway)))
    crumbs = el("nav", el("a", f"‹ {say('delivery.title', lang)}", href=delivery_page(site)), cls="crumbs")
    running = say("delivery.trouble.boxes", lang, count=row["boxes"]) if row["boxes"] > 1 else ""
    content: list[Child] = [crumbs, el("div", el("h1", title), cls="admin-head"), message]
    if held := row["held"]:
        since = moment(time_labels.local(time_labels.parse_ns(held["since"]), zone), lang)
        waits = say("boxes.waits", lang, count=number(held["envelopes"], lang), since=since)
        content += [el("p", waits), el("p", running, cls="soft") if running else None]
        content.append(el("div", *(_choice(act, which, streams, lang) for act in _ACTS), cls="decisions"))
    else:
        content += [el("p", say("boxes.nothing", lang)), el("p", running, cls="soft") if running else None]
    return document(center, viewer, lang, title, *content, status=status)


def _choice(act: str, which: tuple[str, str], streams: str, lang: str) -> Markup:
    """One of the two decisions, with what follows from it."""
    return el(
        "section",
        el("h2", say(f"boxes.{act}", lang)),
        el("p", say(f"boxes.{act}.so", lang), cls="soft"),
        form(
            decision_page(*which),
            el("input", type="hidden", name="act", value=act),
            el("input", type="hidden", name="streams", value=streams),
            field(
                say("admin.confirm_id", lang, id=which[1]),
                "confirm",
                required="",
                autocapitalize="none",
                autocomplete="off",
            ),
            button(say(f"boxes.{act}.go", lang), "go" if act == "accept" else "quiet danger"),
        ),
        cls="panel decision",
    )
