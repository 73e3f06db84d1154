"""One reason for many stops of a machine: choose among those that a filter finds, declare each, see what became of each."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from center.api.access import Writing
from center.api.declarations import DeclarationRequest, declaration_answer, validate
from center.console.declare.asked import asked
from center.console.declare.desk import DeclareDesk
from center.console.declare.form import picks, recent_declarations
from center.console.document import button, document, form, notice
from center.console.draw import time_labels
from center.console.draw.glyphs import GLYPHS
from center.console.draw.markup import Child, el, join
from center.console.draw.names import declare_many_page, machine_page, named, reason_name
from center.console.machine.stop_filter import filter_of
from center.database import declarations
from center.database.declarations import DeclarationRecord
from center.ingest.declaration_sender import DeclarationSender
from center.model.times import BadQuestion, iso, parse_time
from center.queries import sites as queries
from center.queries.question import Question, check
from center.queries.stops import find_stops, stop_row
from center.runtime.state import CenterState
from oee.model.declarations import Declaration
from oee.model.facts import MS_NS
from oee.model.states import State
from words import duration, number, say

MOST: Final = 200
"""Stops of one form: each is a declaration that its gateway computes the past anew for."""
_EXPLAINED: Final = tuple(state.word for state in (State.UNPLANNED_STOP, State.BREAKDOWN, State.MINOR_STOP))
_REFRESH_S: Final = 3
_KEY: Final = re.compile("[0-9a-f]{12}")
_SPAN: Final = re.compile(r"\d{1,16}-\d{1,16}")
Row = Mapping[str, Any]


def _words(desk: DeclareDesk) -> dict[str, str]:
    """Window and filter, as the address has them."""
    return {name: text for name, text in desk.request.query_params.items() if name not in ("batch", "lang")}


def add_many_pages(app: FastAPI, center: CenterState, declaring: DeclarationSender) -> None:
    """The routes; they return pages, so the API's description leaves them out. `add_error_pages` answers where they raise."""

    @app.get("/declare/{site}/{machine}/many", include_in_schema=False)
    def many_page(request: Request, viewer: Writing, site: str, machine: str) -> Response:
        desk = DeclareDesk(request, center, declaring, viewer, site, machine)
        batch = request.query_params.get("batch", "")
        return _outcome_page(desk, batch) if _KEY.fullmatch(batch) else _question_page(desk)

    @app.post("/declare/{site}/{machine}/many", include_in_schema=False)
    async def declare_many(request: Request, viewer: Writing, site: str, machine: str) -> Response:
        sent = await request.form()
        fields = {name: [str(value) for value in sent.getlist(name)] for name in sent}
        desk = DeclareDesk(request, center, declaring, viewer, site, machine)
        return await run_in_threadpool(_withdraw if "withdraw" in fields else _declare, desk, fields)


def _declare(desk: DeclareDesk, fields: Mapping[str, Sequence[str]]) -> Response:
    """Declares each chosen stop and leads to the page that shows what becomes of them. The ids follow from the form, so
    that sending it again declares nothing again.
    """
    value, key = "".join(fields.get("value", ())[:1]), "".join(fields.get("key", ())[:1])
    chosen = fields.get("listed" if "all" in fields else "stop", ())
    spans = [tuple(map(int, text.split("-"))) for text in dict.fromkeys(chosen) if _SPAN.fullmatch(text)]
    if not value or not spans or not _KEY.fullmatch(key):
        return _question_page(desk, say("console.many.no_reason" if spans else "console.many.no_stop", desk.lang), 422)
    made: dict[str, list[Declaration]] = {}
    for start_ms, end_ms in spans[:MOST]:
        begin, end = (iso(t_ms * MS_NS, desk.zone) for t_ms in (start_ms, end_ms))
        asked_for = {"site": desk.site, "machine": desk.machine, "field": "reason", "value": value}
        body = DeclarationRequest.model_validate(asked_for | {"from": begin, "to": end})
        try:
            gateway, item = validate(desk.center, desk.viewer, body)
        except BadQuestion as error:
            return _question_page(desk, str(error), 422)
        made.setdefault(gateway, []).append(_with_id(item, key, f"{desk.machine} {start_ms}-{end_ms}"))
    for gateway, items in made.items():
        desk.declaring.declare_all(desk.site, gateway, items)
    return RedirectResponse(declare_many_page(desk.site, desk.machine, **_words(desk), batch=key), 303)


def _with_id(item: Declaration, key: str, what: str) -> Declaration:
    """The same with an id that begins with the key of the form and follows from what it is about."""
    return replace(item, id=key + hashlib.blake2b(what.encode(), digest_size=10).hexdigest())


def _withdraw(desk: DeclareDesk, fields: Mapping[str, Sequence[str]]) -> Response:
    """Takes all declarations of a form back that still count; again that is done once."""
    batch = "".join(fields["withdraw"][:1])
    desk.zone  # noqa: B018  # raises for a site that the viewer may not see
    made: dict[str, list[Declaration]] = {}
    for record in _counting(_records(desk, batch) if _KEY.fullmatch(batch) else []):
        row = record.row
        item = Declaration(
            "", desk.center.now_ns(), row.machine, row.start_ns, row.end_ns, row.field, "",
            desk.viewer.name, row.product, row.id,
        )  # fmt: skip
        made.setdefault(record.gateway, []).append(_with_id(item, batch, f"withdraws {row.id}"))
    for gateway, items in made.items():
        desk.declaring.declare_all(desk.site, gateway, items)
    return RedirectResponse(declare_many_page(desk.site, desk.machine, **_words(desk), batch=batch), 303)


def _records(desk: DeclareDesk, batch: str) -> list[DeclarationRecord]:
    return declarations.of_form(desk.declaring.engine, desk.site, desk.machine, batch)


def _counting(records: Sequence[DeclarationRecord]) -> list[DeclarationRecord]:
    """Those that declare something, were not refused and are not taken back."""
    replaced = {record.row.supersedes for record in records if record.state != "refused"}
    return [item for item in records if item.row.value and item.state != "refused" and item.row.id not in replaced]


def _question_page(desk: DeclareDesk, message: str = "", status: int = 200) -> Response:
    """The stops that the address's filter finds, with one question about those that are chosen."""
    lang, details = desk.lang, queries.site(desk.center, desk.viewer, desk.site)
    found, total = _found(desk)
    reasons = asked(desk.center, desk.viewer, (desk.site, desk.machine), ("", ""), details).reasons
    if not found:
        content: Child = el("p", say("console.many.none", lang), cls="soft")
    else:
        every = say("console.many.all" if total <= MOST else "console.many.all_shown", lang, n=number(len(found), lang))
        content = form(
            declare_many_page(desk.site, desk.machine, **_words(desk)),
            el("input", type="hidden", name="key", value=declarations.new_id()[:12]),
            el(
                "fieldset",
                el("legend", say("console.many.why", lang)),
                picks(reasons, lambda key: reason_name(key, details["reasons"], lang), lang),
            ),
            el(
                "fieldset",
                el("legend", say("console.many.which", lang)),
                el("label", el("input", type="checkbox", name="all", value="1"), el("b", every), cls="tick"),
                el("ul", *(_choice(row, details, lang) for row in found), cls="rows many"),
            ),
            button(say("console.declare.send", lang)),
        )
    note = say("console.many.found", lang, n=number(total, lang), most=number(MOST, lang))
    return _page(desk, notice(message, "bad"), el("p", note, cls="soft") if total > MOST else None, content, status)


def _found(desk: DeclareDesk) -> tuple[list[Row], int]:
    """The stops as answers have them, those first that come first in the list, and how many there are."""
    words, zone = _words(desk), desk.zone
    start_ns, end_ns = (parse_time(name, words[name], zone) if words.get(name) else None for name in ("from", "to"))
    wanted = filter_of(words)
    states = tuple(state for state in wanted.states or _EXPLAINED if state in _EXPLAINED)
    if not states:
        return [], 0
    asked_for = Question(desk.viewer, desk.site, (desk.machine,), start_ns, end_ns, until_now=end_ns is None)
    checked = check(desk.center, asked_for)
    page = find_stops(checked, replace(wanted, states=states, scheduled=True), 0, MOST)
    return [stop_row(stop, checked) for stop in page.stops if stop.end_ns is not None], page.total


def _choice(row: Row, details: Row, lang: str) -> Markup:
    begin, end = time_labels.parse(row["start"]), time_labels.parse(row["end"])
    start_ms, end_ms = (time_labels.parse_ns(row[name]) // MS_NS for name in ("start", "end"))
    span = f"{start_ms}-{end_ms}"
    reason = reason_name(row["reason"], details["reasons"], lang) if row["reason"] else say("reason.none", lang)
    return el(
        "li",
        el(
            "label",
            el("input", type="checkbox", name="stop", value=span),
            el("span", f"{time_labels.day(begin, lang)} {begin:%H:%M:%S} – {end:%H:%M:%S}"),
            cls="tick",
        ),
        el("b", duration(end_ms - start_ms, lang)),
        el("span", GLYPHS[row["state"]], say(f"state.{row['state']}", lang), cls=f"what s-{row['state']}"),
        el("span", reason, cls="soft"),
        el("input", type="hidden", name="listed", value=span),
    )


def _outcome_page(desk: DeclareDesk, batch: str) -> Response:
    """What became of each declaration of a form, and a button that takes back all that count."""
    lang, zone = desk.lang, desk.zone
    records = _records(desk, batch)
    rows = [declaration_answer(desk.center, desk.viewer, record) for record in records]
    tally = Counter(record.state for record in records)
    said = " · ".join(
        say(f"console.many.{state}", lang, n=number(tally[state], lang))
        for state in ("sent", "done", "refused")
        if tally[state]
    )
    here = declare_many_page(desk.site, desk.machine, **_words(desk))
    counting = len(_counting(records))
    back = form(
        here,
        el("input", type="hidden", name="withdraw", value=batch),
        button(say("console.many.take_back", lang, n=number(counting, lang)), "quiet"),
        cls="",
    )
    content = join(
        el("section", el("b", said or say("console.declare.nothing", lang)), cls="panel became", role="status"),
        back if counting else None,
        el("p", el("a", say("console.many.more", lang), href=here)),
        recent_declarations(rows, queries.site(desk.center, desk.viewer, desk.site), zone, lang, desk.center.now_ns()),
    )
    return _page(desk, None, None, content, refresh_s=_REFRESH_S if tally["sent"] else None)


def _page(
    desk: DeclareDesk, said: Markup | None, note: Child, content: Child, status: int = 200, refresh_s: int | None = None
) -> Response:
    lang, row = desk.lang, desk.machine_row
    words = {name: text for name, text in _words(desk).items() if name not in ("from", "to")}
    back = el("a", f"‹ {say('console.declare.back', lang)}", href=machine_page(desk.site, desk.machine, **words))
    title = say("console.many.machine", lang, machine=named(row["name"], lang, desk.machine))
    head = (el("nav", back, cls="crumbs"), el("div", el("h1", title), cls="admin-head"))
    return document(
        desk.center, desk.viewer, lang, title, *head, said, note, content, status=status, refresh_s=refresh_s
    )
