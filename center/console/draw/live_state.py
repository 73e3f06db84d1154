"""The current state of a machine as symbols and words, on its card and on its own page. Pure."""

from collections.abc import Iterable, Mapping
from typing import Final

from markupsafe import Markup

from center.console.draw import time_labels
from center.console.draw.glyphs import GLYPHS
from center.console.draw.markup import el, join
from center.console.draw.names import Row, product_name, reason_name
from oee.model.states import State
from words import duration, number, say
from words.catalogue import catalogue

_WORDS: Final = frozenset(state.word for state in State)


def state_of(live: Row) -> str:
    """The state to show; states that this version does not know are shown as unknown."""
    return live["state"] if live["state"] in _WORDS else "unknown"


def resting(live: Row) -> bool:
    """Whether the machine is stopped while it is not scheduled to run."""
    state = state_of(live)
    return state == "planned_stop" or (
        live["calendar"] in ("break", "outside") and state not in ("running", "unknown", "breakdown")
    )


def since(live: Row, now_ns: int, lang: str) -> str:
    """How long the state has lasted; for a silent gateway the time since its last message."""
    start = live["since"] if live["gateway_online"] else live["at"]
    if start is None:
        return say("console.never_heard", lang)
    length = duration(max(now_ns - time_labels.parse_ns(start), 0) // 1_000_000_000 * 1000, lang)
    return length if live["gateway_online"] else say("console.silent_for", lang, duration=length)


def chip(live: Row, reasons: Mapping[str, Row], lang: str) -> Markup:
    """The state as a symbol and a word, or the reason where one is known."""
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
    """The line under the state: product and pieces in this shift; for a silent gateway the last known state."""
    if not live["gateway_online"]:
        if live["at"] is None:
            return Markup()
        last = live["last_state"] if live["last_state"] in _WORDS else "unknown"
        return el("span", say("console.last_seen", lang, state=say(f"state.{last}", lang)))
    pieces = live["pieces"]
    count = join(el("b", number(pieces, lang)), " ", say("console.pieces", lang)) if pieces is not None else None
    calls = [el("b", call_text(call, lang), cls="calling") for call in live.get("calls", ())]
    return join(el("span", product_name(live["product"], products, lang)), el("span", count, cls="nowrap"), *calls)


def line(live: Row, details: Row, now_ns: int, lang: str) -> Markup:
    """State, since when, and what is under it in one line. details: of the site, with its reasons and products."""
    below = under(live, details["products"], lang)
    dot = el("span", "·", cls="faint") if below else None
    return join(chip(live, details["reasons"], lang), el("span", since(live, now_ns, lang), cls="since"), dot, below)


def call_text(call: Row, lang: str) -> str:
    """An open call for help: what for, and how far it has come."""
    kind, step = (
        say(f"{subject}.{call[key]}", lang) if f"{subject}.{call[key]}" in catalogue() else str(call[key])
        for subject, key in (("andon.call", "kind"), ("andon.step", "step"))
    )
    return say("console.calls", lang, what=kind, step=step)


def legend(states: Iterable[str], lang: str) -> Markup:
    """The symbols of the states, and how unscheduled time looks."""
    items = [el("span", GLYPHS[state], say(f"state.{state}", lang), cls=f"s-{state}") for state in states]
    veil = el("span", el("i", cls="veiled"), say("console.veiled", lang))
    return el("div", *items, veil, cls="legend")
