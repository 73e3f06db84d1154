"""Whether stops come back after the same number of pieces, or the same running time: a reel, a bin, a full box. Pure."""

from typing import Final

import numpy as np

from oee.advice.finding import AdviceRule, Finding, evidence, realisable
from oee.advice.grid import Bool, Float64
from oee.advice.window import EDGE_MIN, MachineWindow
from oee.model.facts import MINUTE_NS, Int64
from oee.model.states import State

KEY: Final = "cyclic_stop"
VERSION: Final = 3
LEAST_STOPS: Final = 60
MOST_STOPS: Final = 2000
LAGS: Final = 12
PEAK: Final = 0.06
SHOULDER: Final = (0.09, 0.24)
CANDIDATES: Final = 60
SHORTEST, LONGEST = 1.5, 30.0
"""Intervals that are tried, in mean gaps between stops."""
LEAST_Z: Final = 7.0
LEAST_EXCESS: Final = 0.1
SAME_Z: Final = 0.6
"""A whole part of the best interval with this share of its z is the interval itself."""
_STATES: Final = (State.MINOR_STOP, State.UNPLANNED_STOP, State.STARVED, State.BLOCKED)


def find(window: MachineWindow) -> list[Finding]:
    """Stops of each reason, and without one those of each state, on the clock of pieces and on that of running time.

    An interval as long as a stretch between breaks is none: what clusters at a shift's beginning comes back with the shift.
    Lags to the next `LAGS` stops are counted near a candidate interval and on both sides of it; z is how far the peak
    exceeds what the sides let expect. Thresholds only: z over all candidates and both clocks reaches 6 at most where stops
    come at random, cluster at a shift's beginning, or shifts begin late.
    """
    stops = window.stops
    row = window.minute_of(stops.start_ns)
    usable = (row >= 0) & np.isin(stops.state, [int(state) for state in _STATES])
    usable[usable] &= window.stretch[row[usable]] >= 0
    usable[usable] &= _away_from_edges(window, stops.start_ns[usable], row[usable])
    reasons = sorted({reason for reason in stops.reason[usable].tolist() if reason})
    groups = [("reason", reason, usable & (stops.reason == reason)) for reason in reasons]
    groups += [("state", state.word, usable & (stops.state == state) & (stops.reason == "")) for state in _STATES]
    clocks = _clocks(window, stops.start_ns, row)
    longest = _of_a_stretch(window)
    passed = {"minutes": window.column("running_ms").sum() / 6e4, "pieces": float(window.column("pieces_total").sum())}
    found = []
    for kind, name, wanted in groups:
        rows = np.flatnonzero(wanted)
        chosen = rows[-MOST_STOPS:]
        if len(chosen) < window.least(LEAST_STOPS):
            continue
        tried = [
            (*best_interval(clocks[clock][chosen], whole=clock == "pieces"), clock) for clock in ("minutes", "pieces")
        ]
        z, interval, excess, clock = max(tried)
        position = clocks[clock][chosen]
        length_min = float((stops.end_ns[chosen] - stops.start_ns[chosen]).mean()) / MINUTE_NS
        a_week = len(rows) / window.weeks * min(1.0, excess)
        # pairs of which one end lies near an edge are not counted; more than one an interval there cannot be
        most = max(a_week, min(passed[clock] / interval, len(rows)) / window.weeks) if interval else a_week
        found.append(
            Finding(
                KEY,
                VERSION,
                window.machine,
                (kind, name),
                z > LEAST_Z and excess >= LEAST_EXCESS and len(chosen) >= LEAST_STOPS and interval < longest[clock],
                None,
                {
                    "interval": interval,
                    "share": min(1.0, excess),
                    "z": z,
                    "n": len(chosen),
                    "a_week": a_week,
                    "mean_min": length_min,
                },
                realisable(0.5 * a_week * length_min, most * length_min),
                frozenset({State(int(code)).word for code in np.unique(stops.state[chosen])}),
                evidence(
                    window,
                    len(chosen),
                    {"position": position, "whole": [clock == "pieces"], "at_s": stops.start_ns[chosen] // 10**9},
                    stops.id[chosen].tolist()[::-1],
                ),
                {"clock": clock, "reason": name if kind == "reason" else "", "state": "" if kind == "reason" else name},
            )
        )
    return found


def _away_from_edges(window: MachineWindow, at_ns: Int64, row: Int64) -> Bool:
    """Whether each instant is not where a shift or break begins or ends: these are regular too."""
    of = window.stretch[row]
    if not len(of):
        return np.zeros(0, np.bool_)
    edge_ns = EDGE_MIN * MINUTE_NS
    stretches = window.stretches
    out: Bool = (at_ns - stretches.start_ns[of] > edge_ns) & (stretches.end_ns[of] - at_ns > edge_ns)
    return out


def _of_a_stretch(window: MachineWindow) -> dict[str, float]:
    """Running minutes and pieces from the beginning of one stretch to that of the next, the median; 0.0 below two."""
    begin_ns = window.stretches.start_ns
    if len(begin_ns) < 2:
        return {"minutes": 0.0, "pieces": 0.0}
    clocks = _clocks(window, begin_ns, window.minute_of(begin_ns))
    return {name: float(np.median(np.diff(passed))) for name, passed in clocks.items()}


def _clocks(window: MachineWindow, at_ns: Int64, row: Int64) -> dict[str, Float64]:
    """Running minutes and pieces made until each instant, interpolated within its minute."""
    part = (at_ns - window.start_ns) / MINUTE_NS - row
    out = {}
    for name, column, scale in (("minutes", "running_ms", 60_000.0), ("pieces", "pieces_total", 1.0)):
        passed = np.concatenate([[0.0], np.cumsum(window.column(column) / scale)])
        before, after = passed[np.clip(row, 0, None)], passed[np.clip(row + 1, 0, len(passed) - 1)]
        out[name] = before + part * (after - before)
    return out


def best_interval(position: Float64, *, whole: bool) -> tuple[float, float, float]:
    """z, interval and excess a stop of the best candidate; (0, 0, 0) without any spread. whole: positions are pieces, which
    are dithered, since their lattice alone would be an interval.
    """
    rng = np.random.default_rng(0)
    position = np.sort(position + rng.uniform(-0.5, 0.5, len(position)) if whole else position)
    n = len(position)
    mean = (position[-1] - position[0]) / max(1, n - 1)
    if mean <= 0:
        return 0.0, 0.0, 0.0
    lags = np.sort(np.concatenate([position[k:] - position[:-k] for k in range(1, min(LAGS, n - 1) + 1)]))
    candidates = mean * np.geomspace(SHORTEST, LONGEST, CANDIDATES)
    z, excess = _peaks(lags, candidates, n)
    best = int(np.argmax(z))
    parts = candidates[best] / np.arange(1, 5)
    z_parts, excess_parts = _peaks(lags, parts, n)
    shortest = int(np.flatnonzero(z_parts >= SAME_Z * z_parts[0])[-1]) if z_parts[0] > 0 else 0
    fine = parts[shortest] * np.linspace(1 - PEAK, 1 + PEAK, 25)
    z_fine, _ = _peaks(lags, fine, n)
    return float(z[best]), float(fine[int(np.argmax(z_fine))]), float(max(excess[best], excess_parts[shortest]))


def _peaks(lags: Float64, candidates: Float64, n: int) -> tuple[Float64, Float64]:
    """How far lags near each candidate exceed those on both sides: z, and the excess for each of n stops."""

    def within(low: float, high: float) -> Float64:
        edges = np.searchsorted(lags, candidates * (1 + low)), np.searchsorted(lags, candidates * (1 + high))
        out: Float64 = (edges[1] - edges[0]).astype(np.float64)
        return out

    peak = within(-PEAK, PEAK)
    inner, outer = SHOULDER
    sides = within(-outer, -inner) + within(inner, outer)
    ratio = PEAK / (outer - inner)
    expected = sides * ratio
    z = (peak - expected) / np.sqrt(np.maximum(expected + expected * ratio, 1.0))
    return z, (peak - expected) / n


RULE = AdviceRule(KEY, VERSION, 8, find, rare=True)
