"""Slots of a shift, and sums inside and outside of one by shift, for the slot test. Pure."""

import numpy as np

from oee.advice.grid import Bool, Float64
from oee.advice.window import MachineWindow
from oee.model.facts import MINUTE_NS, Int64


def shift_of_minutes(window: MachineWindow) -> Int64:
    """Number of the shift instance of each minute, -1 where it does not count."""
    if not len(window.stretches.instance):
        return np.full(len(window.stretch), -1, np.int64)
    out: Int64 = np.where(window.stretch >= 0, window.stretches.instance[window.stretch], -1)
    return out


def paint_after(window: MachineWindow, slots: Int64, ends_ns: Int64, running_ms: int, code: int) -> None:
    """Writes `code` into the minutes of the first `running_ms` of running time after each of these instants [ns UTC]."""
    ran = np.cumsum(np.r_[0, window.column("running_ms")])
    first = -(-(ends_ns - window.start_ns) // MINUTE_NS)
    first = first[(first >= 0) & (first < len(slots))]
    last = np.searchsorted(ran, ran[first] + running_ms, side="left")
    for begin, end in zip(first.tolist(), last.tolist(), strict=True):
        slots[begin:end] = code


def by_shift(shift: Int64, hits: Float64, exposure: Float64, inside: Bool) -> tuple[Float64, Float64, Float64, Float64]:
    """Hits and exposure in the slot and in the rest of each shift instance with exposure: four times float64[shifts].

    shift: int64[m], -1 for minutes that do not count; hits, exposure: float64[m]; inside: bool[m], the slot.
    """
    on = np.flatnonzero(shift >= 0)
    most = int(shift.max(initial=-1)) + 1
    place = 2 * shift[on] + inside[on]
    both = [np.bincount(place, column[on], 2 * most).astype(np.float64) for column in (hits, exposure)]
    exposed = both[1][::2] + both[1][1::2] > 0
    rest_hits, own_hits, rest, own = (sums[side::2][exposed] for sums in both for side in (0, 1))
    return own_hits, own, rest_hits, rest
