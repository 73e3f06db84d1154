"""A machine's card in the fleet: what it is doing, the shift's numbers, the last 24 hours. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from markupsafe import Markup

from center.console.draw.goals import goals, mark
from center.console.draw.kpis import at_most, big, bounds, headline, uncertain, why_null
from center.console.draw.live_state import resting, state_of
from center.console.draw.markup import el, join, share
from center.console.draw.names import Row
from center.queries.sites import MachineAnswer
from words import duration, percent, say

# Order in which a column is stacked, from productive to worst.
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
_HOUR_MS: Final = 3_600_000
_FACTORS: Final = (("availability", "A"), ("performance", "P"), ("quality", "Q"))


def group_of(live: Row) -> str:
    """Which of the four groups of the summary the machine belongs to."""
    state = state_of(live)
    if state in ("running", "unknown"):
        return state
    return "resting" if resting(live) else "stopped"


def worst_first(machines: Sequence[MachineAnswer], rows: Sequence[Row]) -> list[MachineAnswer]:
    """The machines ordered by state, those that need attention first."""
    place = {(row["site"], row["machine"]): WORST_FIRST.index(state_of(row)) for row in rows}
    return sorted(
        machines, key=lambda row: (place.get((row["site"], row["id"]), 0), row["site"], row["line"], row["id"])
    )


def score(row: Row | None, label: str, lang: str) -> Markup:
    """The shift's OEE (A × P where quality is not known) and its factors; where it is uncertain also its bounds."""
    if row is None:
        why = say("console.no_minute" if label else "console.no_shift", lang)
        return el("div", el("div", el("div", "–", cls="big"), el("div", why, cls="of", title=label or None)))
    kpis = row["kpis"]
    shown = headline(row)
    missing = [why_null(row, "oee", lang)] if kpis["oee"] is None else []
    missing += [best] if (best := at_most(row, lang)) else []
    return el(
        "div",
        el(
            "div",
            el("div", big(kpis[shown], lang), cls="big"),
            el("div", label, cls="of"),
        ),
        el("div", *(factor(row, kpi, letter, lang) for kpi, letter in _FACTORS), cls="factors"),
        goals(row, lang),
        el("div", " ".join(missing), cls="why") if missing else None,
        trust(kpis, lang) if uncertain(kpis) else None,
        cls=f"score{' untrusted' if kpis['coverage'] == 0 else ''}",
    )


def factor(row: Row, kpi: str, letter: str, lang: str) -> Markup:
    """One factor as a letter, a bar and a number."""
    value = row["kpis"][kpi]
    name, (aim, aimed) = say(f"kpi.{kpi}", lang), mark(row, kpi, lang)
    note = f"{name}: {percent(value, lang)}" if value is not None else f"{name}: – \n{why_null(row, kpi, lang)}"
    note += f"\n{aimed}" if aimed else ""
    return el(
        "div",
        el("b", letter),
        el("div", el("i", style=f"width:{share(value or 0)}"), aim, cls="bar"),
        el("span", "–" if value is None else percent(value, lang, 0)),
        cls=f"factor f-{kpi}",
        data_tip=note,
    )


def trust(kpis: Row, lang: str) -> Markup:
    """Coverage and bounds of an OEE that does not cover all of the scheduled time."""
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
    """The last hours as columns of time by state; edges: label and start [ns] of each. Hatched: unknown; a line at the
    bottom: not planned.
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
    times = "\n".join(f"{say(f'state.{state}', lang)}: {duration(ms, lang)}" for state, ms in reversed(parts))
    oee = row["kpis"]["oee"]
    return el("g", *rects, data_tip=f"{label} · OEE {'–' if oee is None else percent(oee, lang)}\n{times}")


def _parts(row: Row) -> list[tuple[str, int]]:
    """Time by state in the order of the stack [ms]; unknown is scheduled time without facts."""
    parts = [(state, int(row["sums"][f"{state}_ms"])) for state in STACK]
    unknown_ms = row["scheduled_ms"] - sum(ms for _, ms in parts)
    return [(state, ms) for state, ms in [*parts, ("unknown", unknown_ms)] if ms > 0]
