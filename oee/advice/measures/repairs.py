"""Failures of a machine on the clock of its operation, and how long their repairs took. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from oee.advice.grid import Bool, Float64
from oee.advice.window import MachineWindow
from oee.model.facts import Int64, Text
from oee.model.states import State

SOON_H: Final = 8.0
"""Operating hours within which a failure after a failure is taken for the same one, not truly repaired."""
_SAME_H: Final = 1 / 60
_OPERATING: Final = (State.RUNNING, State.MINOR_STOP, State.SETUP)


@dataclass(frozen=True)
class Repairs:
    """Failures by time, each [n]. at_h: operating hours (running, minor stops, set-up) since the window began, or since
    the overhaul; repair_min: scheduled time until it ran again; total_h: operating hours of the whole window.
    """

    at_h: Float64
    repair_min: Float64
    reason: Text
    id: Text
    start_ns: Int64
    total_h: float

    def __len__(self) -> int:
        return len(self.at_h)


def repairs(window: MachineWindow, since_ns: int | None = None) -> Repairs:
    """The breakdowns of a window. Those with no operation between are one: a breakdown that the end of a shift suspends.

    since_ns: what came before is left out, and the clock begins there. Odd days are in, since a failure is one.
    """
    operating = window.minutes[:, [int(state) for state in _OPERATING]].sum(axis=1)  # states are its first columns
    clock = np.concatenate([[0], np.cumsum(operating)]) / 3.6e6
    begin = 0 if since_ns is None else min(max(0, (since_ns - window.start_ns) // 60_000_000_000), len(clock) - 1)
    stops = window.stops
    row = window.minute_of(stops.start_ns)
    rows = np.flatnonzero((stops.state == State.BREAKDOWN) & (row >= begin))
    at_h = clock[row[rows]] - clock[begin]
    length = window.scheduled_min(stops.start_ns[rows], stops.end_ns[rows])
    # the clock goes by minutes: a failure and the one before have operated between if it has moved by more than one
    new = np.ones(len(rows), np.bool_)
    new[1:] = np.diff(at_h) > _SAME_H
    group = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    total_h = float(clock[-1] - clock[begin])
    merged = np.bincount(group, length, len(first)).astype(np.float64)
    kept = rows[first]
    return Repairs(at_h[first], merged, stops.reason[kept], stops.id[kept], stops.start_ns[kept], total_h)


def without_repeats(at_h: Float64) -> Float64:
    """Failures of which those within `SOON_H` of the one before are left out: repeats look like wear and are not."""
    return at_h[_first(at_h)]


def _first(at_h: Float64) -> Bool:
    out = np.ones(len(at_h), np.bool_)
    out[1:] = np.diff(at_h) > SOON_H
    return out


def under_observation(at_h: Float64, total_h: float) -> tuple[Float64, Float64]:
    """Begin and end of the times in which a failure counts as one of its own: from `SOON_H` after each to the next.

    Each ends with a failure that `without_repeats` keeps, the last with the window; it may be empty. A failure hides for
    `SOON_H` what comes after it. Where that is taken for time without a failure, those that come often thin each other out, and
    wear looks smaller than it is.
    """
    end = np.append(at_h, total_h)
    begin = np.append(0.0, at_h + SOON_H)
    counts = np.append(_first(at_h), True)
    return np.minimum(begin, end)[counts], end[counts]
