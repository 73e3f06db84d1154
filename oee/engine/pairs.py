"""Pairs: two counters, left and right, whose pieces count once both are there.

A shoe alone is no product. Left ones that are ahead wait for their right ones, and the other way round; a pair is made,
and seen, when the later of its two halves is. Who waits, and how many, is carried on, so that it does not matter how
time is cut.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from oee.engine.counters import CounterState, Counts
from oee.model.samples import Int64

SIDES: Final = ("left", "right")


def pair_up(
    counted: Mapping[str, Counts], before: Mapping[str, CounterState], after: Mapping[str, CounterState]
) -> tuple[dict[str, Counts], dict[str, CounterState]]:
    """Left and right as one counter `total`, and what is remembered; other counters as they are.

    A pair whose later half was made across an outage is unwatched. Undecided is what is undecided on either side.
    """
    left, right = (counted[side] for side in SIDES)
    ahead = before["left"].waiting if "left" in before else 0
    t_ns = np.union1d(left.t_ns, right.t_ns)
    have_left, have_right = _sums(left, t_ns) + max(ahead, 0), _sums(right, t_ns) + max(-ahead, 0)
    made = np.diff(np.minimum(have_left, have_right), prepend=0)
    some = made > 0
    pending = [side.pending_ns for side in (left, right) if side.pending_ns is not None]
    odd = tuple(sorted((*left.oddities, *right.oddities)))
    pairs = Counts(t_ns[some], made[some], _lost(left, right, t_ns[some]), min(pending, default=None), odd)
    if len(t_ns):
        ahead = int(have_left[-1] - have_right[-1])
    others = {role: item for role, item in counted.items() if role not in SIDES}
    return {"total": pairs, **others}, dict(after) | {"left": replace(after["left"], waiting=ahead)}


def _sums(side: Counts, t_ns: Int64) -> Int64:
    """How many were counted up to and with each time."""
    out: Int64 = np.append(0, side.count.cumsum())[np.searchsorted(side.t_ns, t_ns, "right")]
    return out


def _lost(left: Counts, right: Counts, t_ns: Int64) -> Int64:
    """Where the outage began that brought either half at that time, -1 if none."""
    out = np.full(len(t_ns), -1, np.int64)
    for side in (left, right):
        _, mine, theirs = np.intersect1d(t_ns, side.t_ns, assume_unique=True, return_indices=True)
        found = side.lost_ns[theirs]
        earlier = (found >= 0) & ((out[mine] < 0) | (found < out[mine]))
        out[mine[earlier]] = found[earlier]
    return out
