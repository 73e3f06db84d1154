"""Forms for declarations about a machine, and the list of recent ones. Pure."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any, Final

from markupsafe import Markup

from center.console.document import button, choice, field, form
from center.console.draw import time_labels
from center.console.draw.markup import Child, el, join
from center.console.draw.names import named, product_name, reason_name
from oee.model.declarations import ENTRIES
from oee.model.states import State
from words import moment, refusal, say

_STATES: Final = (State.PLANNED_STOP, State.BREAKDOWN, State.SETUP, State.STARVED, State.BLOCKED, State.UNPLANNED_STOP)
Row = Mapping[str, Any]


def forms(site: Row, here: str, window: tuple[str, str], lang: str, opened: str = "reason") -> Markup:
    """A form for each kind of declaration. window: preset start and end as text, "" to leave them empty; opened: the field
    whose form is open.
    """
    reasons = [(key, reason_name(key, site["reasons"], lang)) for key in site["reasons"]]
    products = [(key, product_name(key, site["products"], lang)) for key in site["products"]]
    states = [(state.word, say(f"state.{state.word}", lang)) for state in _STATES]
    what, pieces = say("console.declare.what", lang), say("console.declare.pieces", lang)
    parts = [
        ("reason", choice(what, "value", reasons)) if reasons else None,
        ("planned_stop", field(what, "value", maxlength="200")),
        ("rejects", field(pieces, "value", "number", min="0", required="")),
        ("rework", field(pieces, "value", "number", min="0", required="")),
        ("product", choice(what, "value", products)) if products else None,
        ("state", choice(what, "value", states)),
    ]
    folds = [_fold(*part, here, window, lang, is_open=part[0] == opened) for part in parts if part]
    return el("div", *folds, cls="says")


def _fold(name: str, value: Markup, here: str, window: tuple[str, str], lang: str, *, is_open: bool) -> Markup:
    ends = "console.declare.to_open" if name == "product" else "console.declare.to"
    times = join(
        field(say("console.declare.from", lang), "from", "datetime-local", window[0], step="1", required=""),
        field(say(ends, lang), "to", "datetime-local", window[1], step="1", required=None if name == "product" else ""),
    )
    field_name = el("input", type="hidden", name="field", value=name)
    content = form(here, field_name, value, times, button(say("console.declare.send", lang)))
    summary = el("summary", say(f"console.declare.{name}", lang))
    return el("details", summary, content, cls="fold add", open="" if is_open else None)


def recent_declarations(rows: Sequence[Row], site: Row, zone: tzinfo, lang: str, now_ns: int | None = None) -> Markup:
    """rows: as `GET /api/v1/declarations` has them; now_ns: tells entries whose period is not over, None to leave it."""
    head = el("h2", say("console.declare.said", lang), cls="lately")
    if not rows:
        return join(head, el("p", say("console.declare.nothing", lang), cls="soft"))
    return join(head, el("ul", *(_declaration_row(row, site, zone, lang, now_ns) for row in rows), cls="rows"))


def _declaration_row(row: Row, site: Row, zone: tzinfo, lang: str, now_ns: int | None) -> Markup:
    begin = moment(time_labels.local(time_labels.parse_ns(row["start"]), zone), lang)
    end = moment(time_labels.local(time_labels.parse_ns(row["end"]), zone), lang) if row["end"] else "…"
    values = {"reason": site["reasons"], "product": site["products"]}.get(row["field"], {})
    value = named(values[row["value"]]["name"], lang, row["value"]) if row["value"] in values else row["value"]
    if row["field"] == "state" and row["value"]:
        value = say(f"state.{row['value']}", lang)
    return el(
        "li",
        el("div", el("b", say(f"declare.field.{row['field']}", lang)), el("span", value or "—"), cls="who"),
        el("div", f"{begin} – {end}", cls="soft"),
        el("div", row["who"], cls="soft"),
        el("div", _outcome(row, zone, lang, end if _waits(row, now_ns) else "")),
    )


def _waits(row: Row, now_ns: int | None) -> bool:
    """An accepted number of pieces is applied when its period is over."""
    if now_ns is None or row["state"] != "done" or row["field"] not in ENTRIES or not row["value"] or not row["end"]:
        return False
    return time_labels.parse_ns(row["end"]) > now_ns


def _outcome(row: Row, zone: tzinfo, lang: str, waits_until: str) -> Child:
    if waits_until:
        return el("span", say("console.declared.waits", lang, until=waits_until), cls="plate")
    bad = row["state"] == "refused"
    plate = el("span", say(f"console.declared.{row['state']}", lang), cls="plate bad" if bad else "plate")
    if not bad:
        return plate
    return join(plate, el("span", refusal(row["why"], zone, lang), cls="soft"))
