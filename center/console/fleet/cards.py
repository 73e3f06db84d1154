"""A machine's card in the fleet: what it is doing, the shift's numbers, the last 24 hours. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from markupsafe import Markup

from center.console import clock
from center.console.glyphs import GLYPHS
from center.console.markup import el, join, share
from center.console.names import Row, product_name, reason_name
from center.queries.sites import MachineAnswer
from oee.model.states import State
from words import duration, number, percent, say

# From what keeps the floor going to what does not, as a column is stacked.
STACK: Final = (
    "running",
    "minor_stop",
    "setup",
    "planned_stop",
    "starved",
    "blocked",
    "unplanned_stop",
    "breakdown",
)
WORST_FIRST: Final = (
    "breakdown",
    "unplanned_stop",
    "unknown",
    "blocked",
    "starved",
    "setup",
    "minor_stop",
    "running",
    "planned_stop",
)
FULLY_COVERED: Final = 0.95
"""Below this coverage a number is shown with its bounds: the data cannot be trusted yet."""
_WORDS: Final = frozenset(state.word for state in State)
_HOUR_MS: Final = 3_600_000
_FACTORS: Final = (("availability", "A"), ("performance", "P"), ("quality", "Q"))


def state_of(live: Row) -> str:
    """The state to show; a word that this version does not know is unknown."""
    return live["state"] if live["state"] in _WORDS else "unknown"


def resting(live: Row) -> bool:
    """Nobody wants the machine to run, and it does not."""
    state = state_of(live)
    return state == "planned_stop" or (
        live["calendar"] in ("break", "outside") and state not in ("running", "unknown", "breakdown")
    )


def group_of(live: Row) -> str:
    """Which of the summary's four numbers counts this machine."""
    state = state_of(live)
    if state in ("running", "unknown"):
        return state
    return "resting" if resting(live) else "stopped"


def worst_first(machines: Sequence[MachineAnswer], rows: Sequence[Row]) -> list[MachineAnswer]:
    """The machines by what they are doing, those that need somebody first."""
    place = {(row["site"], row["machine"]): WORST_FIRST.index(state_of(row)) for row in rows}
    return sorted(
        machines, key=lambda row: (place.get((row["site"], row["id"]), 0), row["site"], row["line"], row["id"])
    )


def since(live: Row, now_ns: int, lang: str) -> str:
    """How long it has been so; of a silent gateway how long nothing has been heard."""
    start = live["since"] if live["gateway_online"] else live["at"]
    if start is None:
        return say("console.never_heard", lang)
    length = duration(max(now_ns - clock.ns(start), 0) // 1_000_000_000 * 1000, lang)
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


def why_null(row: Row, kpi: str, lang: str) -> str:
    """The sentence that says why a KPI has no value."""
    return say(f"why_null.{row['why_null'][kpi]}", lang)


def big(ratio: float | None, lang: str) -> Markup:
    """A ratio as a large number with a small sign; null is a dash."""
    if ratio is None:
        return Markup("–")
    text = percent(ratio, lang)
    return join(text.rstrip("%\u00a0"), el("small", "%"))


def bounds(kpis: Row, lang: str) -> Markup:
    """The range in which OEE lies, drawn on a line from 0 to 100 %, with the value as a mark."""
    low, high, value = kpis["oee_low"], kpis["oee_high"], kpis["oee"]
    if low is None or high is None:
        return el("div", cls="bounds")
    note = say("console.bounds_note", lang, low=percent(low, lang), high=percent(high, lang))
    return el(
        "div",
        el("i", style=f"left:{share(low)};right:{share(1 - high)}"),
        el("b", style=f"left:{share(value)}") if value is not None else None,
        cls="bounds",
        data_tip=note,
    )


def lies_between(kpis: Row, lang: str) -> str | None:
    """The bounds of OEE in words; None where they are unknown or the same to the last digit shown."""
    low, high = percent(kpis["oee_low"], lang), percent(kpis["oee_high"], lang)
    if kpis["oee_low"] is None or low == high:
        return None
    return say("console.lies_between", lang, low=low, high=high)


def score(row: Row | None, label: str, lang: str) -> Markup:
    """The shift's OEE, its three factors, and how far to trust them."""
    if row is None:
        return el("div", el("div", el("div", "–", cls="big"), el("div", say("console.no_shift", lang), cls="of")))
    kpis = row["kpis"]
    note = why_null(row, "oee", lang) if kpis["oee"] is None else None
    untrusted = kpis["coverage"] is not None and kpis["coverage"] < FULLY_COVERED
    return el(
        "div",
        el("div", el("div", big(kpis["oee"], lang), cls="big"), el("div", label, cls="of")),
        el("div", *(factor(row, kpi, letter, lang) for kpi, letter in _FACTORS), cls="factors"),
        el("div", note, cls="why") if note else None,
        trust(kpis, lang) if untrusted else None,
        cls=f"score{' untrusted' if kpis['coverage'] == 0 else ''}",
    )


def factor(row: Row, kpi: str, letter: str, lang: str) -> Markup:
    """One factor as a letter, a bar and a number."""
    value = row["kpis"][kpi]
    name = say(f"kpi.{kpi}", lang)
    note = f"{name}: {percent(value, lang)}" if value is not None else f"{name}: – \n{why_null(row, kpi, lang)}"
    return el(
        "div",
        el("b", letter),
        el("div", el("i", style=f"width:{share(value or 0)}"), cls="bar"),
        el("span", "–" if value is None else percent(value, lang, 0)),
        cls=f"factor f-{kpi}",
        data_tip=note,
    )


def trust(kpis: Row, lang: str) -> Markup:
    """Coverage and bounds of a number that does not stand on all of the time."""
    return el(
        "div",
        el("span", say("console.coverage_short", lang, coverage=percent(kpis["coverage"], lang, 0))),
        bounds(kpis, lang),
        el(
            "span",
            say("console.range", lang, low=percent(kpis["oee_low"], lang, 0), high=percent(kpis["oee_high"], lang, 0)),
        ),
        cls="trust",
    )


def hours(edges: Sequence[tuple[str, int]], rows: Mapping[int, Row], lang: str) -> Markup:
    """The last hours as columns of time by state; edges: label and start [ns] of each. Hatched is unknown, a line at
    the foot was not planned.
    """
    columns = [
        _column(index, len(edges), label, rows.get(start_ns), lang) for index, (label, start_ns) in enumerate(edges)
    ]
    first, middle, last = edges[0][0], edges[len(edges) // 2][0], say("console.now", lang)
    return join(
        el("svg", *columns, role="img", aria_label=say("console.last_24h", lang)),
        el("div", el("span", first), el("span", middle), el("span", last), cls="scale"),
    )


def _column(index: int, count: int, label: str, row: Row | None, lang: str) -> Markup:
    left, width = 100 * index / count, 100 / count
    x, wide = f"{left + width * 0.1:.3f}%", f"{width * 0.8:.3f}%"
    if row is None or not row["scheduled_ms"]:
        return el("rect", x=x, width=wide, y="32", height="2", rx="1", cls="off")
    parts = _parts(row)
    rects, y = [], 100.0
    for state, ms in parts:
        height = 100 * ms / _HOUR_MS
        y -= height
        rects.append(el("rect", x=x, width=wide, y=f"{y:.2f}%", height=f"{height:.2f}%", cls=f"s s-{state}"))
    told = "\n".join(f"{say(f'state.{state}', lang)}: {duration(ms, lang)}" for state, ms in reversed(parts))
    oee = row["kpis"]["oee"]
    return el("g", *rects, data_tip=f"{label} · OEE {'–' if oee is None else percent(oee, lang)}\n{told}")


def _parts(row: Row) -> list[tuple[str, int]]:
    """Time by state in the order of the stack [ms]; unknown is what the calendar planned and nobody accounts for."""
    parts = [(state, int(row["sums"][f"{state}_ms"])) for state in STACK]
    unknown_ms = row["scheduled_ms"] - sum(ms for _, ms in parts)
    return [(state, ms) for state, ms in [*parts, ("unknown", unknown_ms)] if ms > 0]
