"""Comparison of the center's figures with the simulator's true ones. Pure.

Time by state is that of scheduled time. A state may differ by one polling period (and the answer's time) for each
of its transitions, since a poll sees a change up to one period late; pieces may not differ at all.

OEE is the ideal time of the good pieces over the busy time B, and the pieces are equal. So it may differ by a polling
period for each time that B begins or ends, and by one ideal time for each piece that was counted on the other side of a
gap's edge, or may have been at that of a break or a product; at least 0.5 points are allowed. Where that is more than 5
points, or B is shorter than two ideal times, so that OEE says little more than when a piece was counted, the window is too
short to judge it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

STATES: Final = (
    "running",
    "minor_stop",
    "unplanned_stop",
    "breakdown",
    "setup",
    "starved",
    "blocked",
    "planned_stop",
    "unknown",
)
ANSWER_S: Final = 0.1
"""From a register's change to a sample: the simulator shows changes every 20 ms, an answer takes some milliseconds."""
OEE_POINTS: Final = 0.005
MOST_OEE_POINTS: Final = 0.05
NOT_BUSY: Final = ("planned_stop", "unknown")
_TOTALS: Final = ("total", "good", "startup_reject", "process_reject", "ideal_total_us", "ideal_good_us")


@dataclass(frozen=True)
class Figures:
    """One machine in one window. ms: scheduled time by state [ms]; unwatched: pieces counted across an outage."""

    ms: Mapping[str, int]
    pieces: int
    good: int | None
    availability: float | None
    performance: float | None
    quality: float | None
    oee: float | None
    unwatched: int = 0


@dataclass(frozen=True)
class Comparison:
    """True and measured figures. tolerance_oee: None where the window is too short to judge it; complaints: what is out of
    tolerance, as sentences; empty if all agrees.
    """

    machine: str
    truth: Figures
    measured: Figures
    transitions: int
    tolerance_ms: Mapping[str, int]
    tolerance_oee: float | None
    complaints: tuple[str, ...] = field(default=())


def _ratio(top: float | None, bottom: float) -> float | None:
    return None if top is None or bottom == 0 else top / bottom


def _product(factors: Sequence[float | None]) -> float | None:
    """A x P x Q; 0 if a factor is 0 whatever an undefined other would be."""
    if any(factor == 0 for factor in factors):
        return 0.0
    out = 1.0
    for factor in factors:
        if factor is None:
            return None
        out *= factor
    return out


def truth_figures(parts: Sequence[Mapping[str, Any]], gap_ms: int, total: Mapping[str, Any]) -> Figures:
    """The true figures of a window, as an ideal observer would report them who missed `gap_ms` of it.

    parts: the simulator's figures for the observed parts; total: those for the whole window.
    """
    ms = dict.fromkeys(STATES, 0)
    sums: dict[str, int | None] = dict.fromkeys(_TOTALS, 0)
    for part in parts:
        for state, value in part["ms"]["scheduled"].items():
            ms["unknown" if state == "offline" else state] += value
        for name in _TOTALS:
            value = part["by_class"]["scheduled"][name]
            before = sums[name]
            sums[name] = None if value is None or before is None else before + value
    ms["unknown"] += gap_ms
    busy_ms = sum(ms.values()) - ms["planned_stop"] - ms["unknown"]
    operating_ms = ms["running"] + ms["minor_stop"]
    total_us = sums["ideal_total_us"] or 0
    availability = _ratio(operating_ms, busy_ms)
    performance = _ratio(total_us / 1000, operating_ms)
    quality = _ratio(sums["ideal_good_us"], total_us)
    watched = sum(part["pieces"]["total"] for part in parts)
    good = total["pieces"]["good"]
    return Figures(
        ms,
        total["pieces"]["total"],
        good,
        availability,
        performance,
        quality,
        _product((availability, performance, quality)),
        total["pieces"]["total"] - watched,
    )


def measured_figures(rows: Sequence[Mapping[str, Any]]) -> Figures:
    """One machine's rows of the API's `trend` (bucket all, by machine and calendar)."""
    scheduled = next((row for row in rows if row["calendar"] == "scheduled"), None)
    sums = scheduled["sums"] if scheduled else {}
    kpis = scheduled["kpis"] if scheduled else {}
    judged = sum(row["sums"]["pieces_judged"] for row in rows)

    def everywhere(name: str) -> int:
        return sum(int(row["sums"][name]) for row in rows)

    watched = everywhere("pieces_total")
    unwatched = everywhere("pieces_unwatched")
    good = everywhere("pieces_good") + everywhere("pieces_unwatched_good")
    return Figures(
        {state: int(sums.get(f"{state}_ms", 0)) for state in STATES},
        watched + unwatched,
        None if watched and not judged else good,
        kpis.get("availability"),
        kpis.get("performance"),
        kpis.get("quality"),
        kpis.get("oee"),
        unwatched,
    )


def compare(
    machine: str,
    truth: Figures,
    measured: Figures,
    *,
    transitions: Mapping[str, int],
    period_s: float,
    ideal_s: float,
    together: Sequence[tuple[str, ...]] = (),
    unwatched_slack: int = 0,
    busy_edges: int = 0,
    piece_edges: int = 0,
) -> Comparison:
    """Compares one machine's figures with the true ones.

    transitions: how many times each state began or ended in the window, and `all`; period_s: polling period;
    ideal_s: ideal time of a count; together: states that cannot be distinguished in this window (a stop that began before
    the agent ran, or that a gap interrupted); unwatched_slack: pieces that may fall on either side of a gap's edges;
    busy_edges: how often busy time, or running time with a known product, began or ended; piece_edges: at how many times within the window a piece
    may be counted before or after.
    """
    if not truth.pieces and not measured.pieces:  # of none, whether any was good is not a question
        measured = replace(measured, good=truth.good)
    complaints: list[str] = []
    tolerance = {}
    pairs = {name: pair for pair in together for name in pair}
    for state in STATES:
        group = pairs.get(state, (state,))
        allowed = round(sum(transitions.get(name, 0) for name in group) * (period_s + ANSWER_S) * 1000)
        tolerance[state] = allowed
        is_ms, was_ms = (sum(figures.ms[name] for name in group) for figures in (measured, truth))
        if abs(is_ms - was_ms) > allowed:
            said = f"{'+'.join(group)}: {is_ms} ms measured, {was_ms} ms true, tolerance {allowed} ms"
            complaints += [] if said in complaints else [said]
    if measured.pieces != truth.pieces:
        complaints.append(f"pieces: {measured.pieces} measured, {truth.pieces} true")
    if measured.good != truth.good and (measured.good or truth.good or truth.pieces):
        complaints.append(f"good pieces: {measured.good} measured, {truth.good} true")
    if abs(measured.unwatched - truth.unwatched) > unwatched_slack:
        complaints.append(f"unwatched pieces: {measured.unwatched} measured, {truth.unwatched} true")
    moved = piece_edges + abs(measured.unwatched - truth.unwatched)
    allowed_oee = _oee_tolerance(truth, busy_edges * (period_s + ANSWER_S), ideal_s, moved)
    if allowed_oee is None:
        pass
    elif (measured.oee is None) != (truth.oee is None):
        complaints.append(f"OEE: {measured.oee} measured, {truth.oee} true")
    elif measured.oee is not None and truth.oee is not None and abs(measured.oee - truth.oee) > allowed_oee:
        complaints.append(f"OEE: {measured.oee:.4f} measured, {truth.oee:.4f} true, tolerance {allowed_oee:.4f}")
    return Comparison(machine, truth, measured, transitions.get("all", 0), tolerance, allowed_oee, tuple(complaints))


def _oee_tolerance(truth: Figures, late_s: float, ideal_s: float, moved: int) -> float | None:
    """How far OEE may be off [1]; None where the window is too short to judge it. late_s: by how much B may be off [s];
    moved: pieces that may count elsewhere.
    """
    busy_s = sum(ms for state, ms in truth.ms.items() if state not in NOT_BUSY) / 1000
    if busy_s <= 0 or busy_s < 2 * ideal_s:
        return None
    allowed = max(OEE_POINTS, (late_s * max(truth.oee or 0.0, 1.0) + moved * ideal_s) / busy_s)
    return allowed if allowed <= MOST_OEE_POINTS else None


def count_transitions(states: Sequence[str]) -> dict[str, int]:
    """How many times each state begins or ends in a sequence of states that follow one another; `all` in total."""
    out: dict[str, int] = {}
    for before, after in pairwise(states):
        if before == after:
            continue
        for state in (before, after):
            out[state] = out.get(state, 0) + 1
        out["all"] = out.get("all", 0) + 1
    return out
