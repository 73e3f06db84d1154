"""What a machine is doing now, as signs and words: on its card in the fleet and on its own page. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from markupsafe import Markup

from center.console.draw import time_labels
from center.console.draw.glyphs import GLYPHS
from center.console.draw.markup import el, join
from center.console.draw.names import Row, product_name, reason_name
from oee.model.states import State
from words import duration, number, say

_WORDS: Final = frozenset(state.word for state in State)


def state_of(live: Row) -> str:
    """The state to show; a word that this version does not know is unknown."""
    return live["state"] if live["state"] in _WORDS else "unknown"


def resting(live: Row) -> bool:
    """Nobody wants the machine to run, and it does not."""
    state = state_of(live)
    return state == "planned_stop" or (
        live["calendar"] in ("break", "outside") and state not in ("running", "unknown", "breakdown")
    )


def since(live: Row, now_ns: int, lang: str) -> str:
    """How long it has been so; of a silent gateway how long nothing has been heard."""
    start = live["since"] if live["gateway_online"] else live["at"]
    if start is None:
        return say("console.never_heard", lang)
    length = duration(max(now_ns - time_labels.parse_ns(start), 0) // 1_000_000_000 * 1000, lang)
    return length if live["gateway_online"] else say("console.silent_for", lang, duration=length)


def chip(live: Row, reasons: Mapping[str, Row], lang: str) -> Markup:
    """The state as a sign, a word and, where one is known, a reason."""
    state = state_of(live)
    text = say(f"state.{state}", lang)
    if not live["gateway_online"]:
        text = say("console.offline", lang)
    elif live["reason"]:
        text = reason_name(live["reason"], reasons, lang)
    elif live["calendar"] in ("break", "outside") and state != "running":
        text = say(f"calendar.{live['calendar']}", lang)
    return el("span", GLYPHS[state], el("span", text), cls=f"chip s-{state}{' rest' if resting(live) else ''}")


def under(live: Row, products: Mapping[str, Row], lang: str) -> Markup:
    """Product and pieces in this shift, or what the machine was doing when it was last heard."""
    if not live["gateway_online"]:
        if live["at"] is None:
            return Markup()
        last = live["last_state"] if live["last_state"] in _WORDS else "unknown"
        return el("span", say("console.last_seen", lang, state=say(f"state.{last}", lang)))
    pieces = live["pieces"]
    count = join(el("b", number(pieces, lang)), " ", say("console.pieces", lang)) if pieces is not None else None
    return join(el("span", product_name(live["product"], products, lang)), el("span", count, cls="nowrap"))


def legend(states: Iterable[str], lang: str) -> Markup:
    """The signs of the states that occur, and how unwanted time looks."""
    items = [el("span", GLYPHS[state], say(f"state.{state}", lang), cls=f"s-{state}") for state in states]
    veil = el("span", el("i", cls="veiled"), say("console.veiled", lang))
    return el("div", *items, veil, cls="legend")
