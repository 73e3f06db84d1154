"""Forms for declarations about a machine, and the list of recent ones. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final

from markupsafe import Markup

from center.console.document import button, field, form, hidden
from center.console.draw import time_labels
from center.console.draw.glyphs import GLYPHS
from center.console.draw.markup import el, join
from center.console.draw.names import named, product_name, reason_name
from oee.model.declarations import ENTRIES
from oee.model.states import State
from words import duration, moment, refusal, say

_STATES: Final = (State.PLANNED_STOP, State.BREAKDOWN, State.SETUP, State.STARVED, State.BLOCKED, State.UNPLANNED_STOP)
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Choices:
    """Keys that may be chosen. first: of this machine, most used first, and those that nobody has used yet; others: used by
    other machines only.
    """

    first: tuple[str, ...]
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """stop: the one with exactly the span asked for, as `/api/v1/stops` has it; None for any other span."""

    stop: Row | None
    reasons: Choices
    products: Choices


def choices(known: Iterable[str], uses: Iterable[tuple[str, str, int]], machine: str) -> Choices:
    """known: keys of the site file, in its order; uses: machine, key and how much of it (time or pieces)."""
    here: dict[str, int] = {}
    elsewhere: set[str] = set()
    for user, key, amount in uses:
        if user == machine:
            here[key] = here.get(key, 0) + amount
        else:
            elsewhere.add(key)
    first = sorted((key for key in known if key in here or key not in elsewhere), key=lambda key: -here.get(key, 0))
    return Choices(tuple(first), tuple(key for key in known if key not in first))


@dataclass(frozen=True)
class FormContext:
    """What all forms of a page share. here: where they are sent; key: of the declaration that they make, so that it is made
    once however often the form is sent; window: preset start and end in site time, to the millisecond, "" to leave them
    empty.
    """

    site: Row
    here: str
    key: str
    window: tuple[str, str]
    lang: str


def question(context: FormContext, asked: Asked) -> Markup:
    """The stop that is asked about, and one question: why it was, or what the machine did meanwhile."""
    stop, lang = asked.stop, context.lang
    assert stop is not None
    begin, end = time_labels.parse(stop["start"]), time_labels.parse(stop["end"])
    length = duration((time_labels.parse_ns(stop["end"]) - time_labels.parse_ns(stop["start"])) // 1_000_000, lang)
    span = f"{time_labels.weekday(begin, lang)}, {begin:%H:%M} – {end:%H:%M}"
    known = reason_name(stop["reason"], context.site["reasons"], lang) if stop["reason"] else None
    head = el(
        "div",
        el(
            "span",
            GLYPHS[stop["state"]],
            el("span", say(f"state.{stop['state']}", lang)),
            cls=f"chip s-{stop['state']}",
        ),
        el("b", length),
        el("span", span, cls="soft"),
        el("span", product_name(stop["product"], context.site["products"], lang), cls="soft"),
        el("span", say("console.declare.so_far", lang, reason=known), cls="soft") if known else None,
        cls="asked",
    )
    field_name = "state" if stop["state"] == State.UNKNOWN.word else "reason"
    return el("section", head, _form(context, field_name, asked, is_title=True), cls="panel ask")


def forms(context: FormContext, asked: Asked, opened: str = "") -> Markup:
    """A form for each kind of declaration, folded but for that of the field `opened`."""
    names = ["reason", "planned_stop", "rejects", "rework", "product", "state"]
    folds = [
        el(
            "details",
            el("summary", say(f"console.declare.{name}", context.lang)),
            _form(context, name, asked),
            cls="fold add",
            open="" if name == opened else None,
        )
        for name in names
        if name not in ("reason", "product") or context.site[f"{name}s"]
    ]
    return el("div", *folds, cls="says")


def _form(context: FormContext, name: str, asked: Asked, *, is_title: bool = False) -> Markup:
    lang = context.lang
    sent = {"field": name, "key": context.key, "exact_from": context.window[0], "exact_to": context.window[1]}
    times = join(
        _time(say("console.declare.from", lang), "from", context.window[0]),
        _time(
            say("console.declare.to_open" if name == "product" else "console.declare.to", lang), "to", context.window[1]
        ),
    )
    return form(
        context.here,
        hidden(sent),
        el("h2", say(f"console.declare.ask.{name}", lang)) if is_title else None,
        _value(context, name, asked),
        el("details", el("summary", say("console.declare.other_times", lang)), times, cls="fold")
        if is_title
        else times,
        button(say("console.declare.send", lang)),
    )


def confirmation(here: str, fields: Mapping[str, str], doubt: str, lang: str) -> Markup:
    """What should be looked at again before it counts, and a form that sends the same all the same. fields: as they were
    sent; doubt: what is odd, in words."""
    sent = form(
        here,
        hidden({**fields, "confirmed": "1"}),
        button(say("console.declare.confirm", lang), "quiet"),
        cls="",
    )
    return el("section", el("p", doubt), sent, cls="panel doubted", role="alert")


def _time(label: str, name: str, exact: str) -> Markup:
    """A time in minutes: what a person changes is a minute; what is left as it is stays exact."""
    return field(label, name, "datetime-local", exact[:16])


def _value(context: FormContext, name: str, asked: Asked) -> Markup:
    lang = context.lang
    if name == "reason":
        return picks(asked.reasons, lambda key: reason_name(key, context.site["reasons"], lang), lang)
    if name == "product":
        return picks(asked.products, lambda key: product_name(key, context.site["products"], lang), lang)
    if name == "state":
        return picks(Choices(tuple(state.word for state in _STATES)), lambda key: say(f"state.{key}", lang), lang)
    if name == "planned_stop":
        return field(say("console.declare.what", lang), "value", maxlength="200")
    return field(say("console.declare.pieces", lang), "value", "number", min="0", inputmode="numeric")


def picks(offered: Choices, name_of: Callable[[str], str], lang: str) -> Markup:
    """The values that may be chosen, as large buttons of which one is chosen; none is at first."""

    def pick(key: str) -> Markup:
        return el("label", el("input", type="radio", name="value", value=key), el("span", name_of(key)), cls="pick")

    first = el("fieldset", *map(pick, offered.first), cls="picks")
    if not offered.others:
        return first
    others = el("fieldset", *map(pick, offered.others), cls="picks")
    return join(first, el("details", el("summary", say("console.declare.others", lang)), others, cls="fold"))


def recent_declarations(
    rows: Sequence[Row], site: Row, zone: tzinfo, lang: str, now_ns: int | None = None, here: str = ""
) -> Markup:
    """rows: as `GET /api/v1/declarations` has them, the newest first; now_ns: tells entries whose period is not over, None
    to leave it; here: where it is sent that one is taken back, "" where it cannot be.
    """
    head = el("h2", say("console.declare.said", lang), cls="lately")
    if not rows:
        return join(head, el("p", say("console.declare.nothing", lang), cls="soft"))
    replaced = {row["replaces"] for row in rows if row["state"] != "refused"}
    items = [
        _declaration_row(row, site, zone, lang, now_ns, is_replaced=row["id"] in replaced, here=here) for row in rows
    ]
    return join(head, el("ul", *items, cls="rows"))


def _declaration_row(
    row: Row, site: Row, zone: tzinfo, lang: str, now_ns: int | None, *, is_replaced: bool, here: str
) -> Markup:
    begin = moment(time_labels.local(time_labels.parse_ns(row["start"]), zone), lang)
    end = moment(time_labels.local(time_labels.parse_ns(row["end"]), zone), lang) if row["end"] else "…"
    can_go = here and row["value"] and row["state"] != "refused" and not is_replaced
    key = el("input", type="hidden", name="withdraw", value=row["id"])
    return el(
        "li",
        el(
            "div",
            el("b", say(f"declare.field.{row['field']}", lang)),
            el("span", value_name(row, site, lang) or say("console.declare.taken_back", lang)),
            cls="who",
        ),
        el("div", f"{begin} – {end}", cls="soft"),
        el("div", row["who"], cls="soft"),
        el("div", outcome(row, zone, lang, now_ns, is_replaced=is_replaced)),
        form(here, key, button(say("console.declare.take_back", lang), "quiet"), cls="") if can_go else None,
    )


def value_name(row: Row, site: Row, lang: str) -> str:
    """What was declared, in words; "" where something was taken back."""
    if row["field"] == "state" and row["value"]:
        return say(f"state.{row['value']}", lang)
    names = {"reason": site["reasons"], "product": site["products"]}.get(row["field"], {})
    return named(names[row["value"]]["name"], lang, row["value"]) if row["value"] in names else row["value"]


def _waits(row: Row, now_ns: int | None) -> bool:
    """An accepted number of pieces is applied when its period is over."""
    if now_ns is None or row["state"] != "done" or row["field"] not in ENTRIES or not row["value"] or not row["end"]:
        return False
    return time_labels.parse_ns(row["end"]) > now_ns


def outcome(row: Row, zone: tzinfo, lang: str, now_ns: int | None, *, is_replaced: bool = False) -> Markup:
    """What became of a declaration."""
    if is_replaced:
        return el("span", say("console.declared.replaced", lang), cls="plate")
    if _waits(row, now_ns):
        until = moment(time_labels.local(time_labels.parse_ns(row["end"]), zone), lang)
        return el("span", say("console.declared.waits", lang, until=until), cls="plate")
    bad = row["state"] == "refused"
    plate = el("span", say(f"console.declared.{row['state']}", lang), cls="plate bad" if bad else "plate")
    if not bad:
        return plate
    return join(plate, el("span", refusal(row["why"], zone, lang), cls="soft"))
