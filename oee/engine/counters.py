"""Counters: from raw register values to increments. Pure.

What each step of a register was is decided in `counting/steps.py`, by how far the machine can have come since
(`counting/limits.py`). Nearly all steps go forward and no further than that: those are counted as columns, without a look
at each. Of a single bit the rising edges count.

The pieces of a step across rows that are not good were made during an outage, unwatched.

These rules follow from experience with other products: AVEVA Historian's counter retrieval (reset and rollover need
configuration), MTConnect adapters whose count jumped to 599999 and back, and gateways that lose the pieces of
a reset (max - min) or invent them (new - old).

Pairs: two counters, left and right, of which one piece each makes a pair. A single shoe is no product: surplus left ones
wait for right ones, and the other way round; a pair is made, and seen, when the later of its halves is. The surplus is
part of the state, so that it does not matter how time is cut into blocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oee.engine.counting.limits import STANDS, Limits, RunClock, limits_of
from oee.engine.counting.steps import REMEMBERED_NS, CounterState, Looks, Oddity, OddSteps, passed
from oee.model.machine import Counter
from oee.model.samples import Int64, Series, merged
from oee.model.states import Quality

__all__ = ["CounterState", "Counts", "count", "pair_up"]


@dataclass(frozen=True)
class Counts:
    """Increments. t_ns: int64[n], when seen; count: int64[n] > 0; lost_ns: int64[n], for a step across an outage
    the time of the first row that was not good, else -1.

    unsure: `(from, until)` [ns]: up to `until` a register that came back from an outage with another value may turn out
    to have been away since `from`. oddities: in order of time.
    """

    t_ns: Int64
    count: Int64
    lost_ns: Int64
    unsure: tuple[tuple[int, int], ...] = ()
    oddities: tuple[Oddity, ...] = ()


def count(
    counter: Counter,
    state: CounterState,
    column: Series,
    limits: Limits | None = None,
    clock: RunClock = STANDS,
    per_count: Int64 | None = None,
) -> tuple[Counts, CounterState]:
    """Increments in a series of rows that are all later than `state`, and the state after them.

    limits: None for what the counter itself says; clock: the machine's running time; per_count: int64[n], pieces that a
    count holds at each row (not 0), None where no tag tells it.
    """
    limits = limits or limits_of(counter)
    good = _good(column)
    rows = np.flatnonzero(good)
    if not len(rows):
        return Counts(_NONE, _NONE, _NONE, _unsure(state)), _after(state, column, good, limits, clock)
    raw, lost_ns = _raw(counter, column.value[rows]), _first_lost(column, rows, state)
    if state.value is None:
        state = _first(int(raw[0]), int(column.t_ns[rows[0]]), limits, clock)
        rows, raw, lost_ns = rows[1:], raw[1:], lost_ns[1:]
    t_ns, step = column.t_ns[rows], np.diff(raw, prepend=np.int64(state.value or 0))
    if column.value.dtype.kind == "b":
        step = np.maximum(step, 0)
    looks = Looks(
        t_ns,
        raw,
        lost_ns,
        np.append(np.int64(state.at_ns), t_ns)[: len(t_ns)],
        step,
        None if per_count is None else per_count[rows],
        counter.recorded or not counter.poll_ns,
    )
    moves = np.flatnonzero(step)
    if not len(moves):
        return Counts(_NONE, _NONE, _NONE, _unsure(state)), _after(_seen(state, looks), column, good, limits, clock)
    odd = _too_far(limits.widened(state.pace_ns), clock, looks, moves, state)
    if len(odd) or state.stray or state.refused.steps:
        steps = OddSteps(counter.bits, limits.widened(state.pace_ns), clock, looks, moves, state)
        steps.go(odd)
        state, made, lost_ns, oddities = steps.state, steps.made, steps.lost_ns, steps.told()
        moved, new = np.flatnonzero(made), steps.ends_new
        changed_ns, ran_ns = steps.changed(int(moves[-1]))
    else:
        state, made, oddities, moved = passed(state, step, lost_ns, 0, len(rows)), step, (), moves
        new, changed_ns = False, int(looks.changed_ns(moves[-1]))
        ran_ns = _shown(limits, clock, changed_ns)
    state = replace(_seen(state, looks), changed_ns=changed_ns, ran_ns=ran_ns if limits.ran_ns else 0, new=new)
    counts = Counts(t_ns[moved], made[moved], lost_ns[moved], _unsure(state), oddities)
    return counts, _after(state, column, good, limits, clock)


_NONE: Final = np.empty(0, np.int64)


def _good(column: Series) -> NDArray[np.bool_]:
    good: NDArray[np.bool_] = column.quality <= Quality.UNCERTAIN
    if column.value.dtype.kind == "f":
        good &= ~np.isnan(column.value)
    elif column.value.dtype.kind == "O":
        good &= False  # text does not count; config refuses such a tag
    return good


def _raw(counter: Counter, values: NDArray[Any]) -> Int64:
    """Register values as whole counts; a signed register's negative half is the upper half of its range."""
    raw = (np.floor(values + 1e-6) if values.dtype.kind == "f" else values).astype(np.int64)
    if counter.signed and counter.bits is not None and counter.bits < 64:
        raw &= (1 << counter.bits) - 1
    return raw


def _shown(limits: Limits, clock: RunClock, t_ns: int) -> int:
    return int(clock.at(t_ns)) if limits.ran_ns else 0


def _first(value: int, t_ns: int, limits: Limits, clock: RunClock) -> CounterState:
    """The state at the first look."""
    return CounterState(value, t_ns, changed_ns=t_ns, ran_ns=_shown(limits, clock, t_ns), new=True)


def _seen(state: CounterState, looks: Looks) -> CounterState:
    """The state after the last look, whether or not the register has changed."""
    if not len(looks.t_ns):
        return state
    return replace(state, value=int(looks.raw[-1]), at_ns=int(looks.t_ns[-1]), lost=False)


def _first_lost(column: Series, rows: Int64, state: CounterState) -> Int64:
    """For each good row the time of the first row that was not good since the good row before it, or -1."""
    first = np.full(len(rows), -1, np.int64)
    if len(rows) != len(column):
        before = np.append(-1, rows[:-1])
        gap_before = rows - before > 1
        first[gap_before] = column.t_ns[before[gap_before] + 1]
    if len(first) and state.lost:
        first[0] = state.at_ns
    return first


def _after(
    state: CounterState, column: Series, good: NDArray[np.bool_], limits: Limits, clock: RunClock
) -> CounterState:
    """The state after the trailing rows that are not good: the outage begins at the first of them."""
    if state.value is None or state.lost or not len(column) or good[-1]:
        return state
    trailing = len(good) if not good.any() else len(good) - 1 - int(np.flatnonzero(good)[-1])
    lost_ns = int(column.t_ns[-trailing])
    return replace(state, at_ns=lost_ns, lost=True, lost_ran_ns=_shown(limits, clock, lost_ns))


def _unsure(state: CounterState) -> tuple[tuple[int, int], ...]:
    may_return = (level for level in state.levels if level.lost_ns >= 0 and not level.made)
    return tuple((level.lost_ns, level.left_ns + REMEMBERED_NS) for level in may_return)


def _too_far(limits: Limits, clock: RunClock, looks: Looks, moves: Int64, state: CounterState) -> Int64:
    """The looks at which the register went back, or further than it can have come. Nearly always the time since the look
    before is enough; only where it is not it is looked up when the register changed before."""
    between, away = looks.t_ns - looks.seen_ns, None
    lost = looks.lost_ns >= 0
    if lost.any():
        known_ns = looks.known_ns(slice(None))
        between, away = np.maximum(known_ns - looks.seen_ns, 0), looks.t_ns - known_ns
        between = np.where(lost, np.minimum(between, limits.held_ns), between)
    if not looks.recorded:
        between = np.minimum(between, limits.held_ns)
    odd = np.flatnonzero((looks.step < 0) | (looks.step > limits.counts_of(between, away, looks.per_count)))
    if not len(odd):
        return odd
    place = np.searchsorted(moves, odd) - 1
    earlier = place >= 0
    stood_ns = state.changed_ns - (limits.new_ns if state.new else 0)
    changed_ns, ran_ns = np.full(len(odd), stood_ns), np.full(len(odd), state.ran_ns)
    changed_ns[earlier] = looks.changed_ns(moves[place[earlier]])
    known_ns = looks.known_ns(odd)
    since_ns = limits.held_ns + looks.seen_ago_ns(odd)
    if limits.ran_ns:
        ran_ns[earlier] = clock.at(changed_ns[earlier])
        now_ns = clock.at(known_ns)
        if state.lost and odd[0] == 0:
            now_ns[0] = state.lost_ran_ns
        since_ns = since_ns + np.clip(now_ns - ran_ns, 0, limits.ran_ns)
    since_ns = np.maximum(np.minimum(since_ns, known_ns - changed_ns), 0)
    per_count = None if looks.per_count is None else looks.per_count[odd]
    most = limits.counts_of(since_ns, looks.t_ns[odd] - known_ns, per_count)
    return odd[(looks.step[odd] < 0) | (looks.step[odd] > most)]


SIDES: Final = ("left", "right")


def pair_up(
    counted: Mapping[str, Counts], before: Mapping[str, CounterState], after: Mapping[str, CounterState]
) -> tuple[dict[str, Counts], dict[str, CounterState]]:
    """Left and right as one counter `total`, and the states after it; other counters as they are.

    A pair whose later half was made across an outage is unwatched.
    """
    left, right = (counted[side] for side in SIDES)
    ahead = before["left"].waiting if "left" in before else 0
    t_ns = merged([left.t_ns, right.t_ns])
    have_left, have_right = _sums(left, t_ns) + max(ahead, 0), _sums(right, t_ns) + max(-ahead, 0)
    made = np.diff(np.minimum(have_left, have_right), prepend=0)
    completed = made > 0
    odd = tuple(sorted((*left.oddities, *right.oddities)))
    lost_ns = _lost(left, right, t_ns[completed])
    pairs = Counts(t_ns[completed], made[completed], lost_ns, (*left.unsure, *right.unsure), odd)
    if len(t_ns):
        ahead = int(have_left[-1] - have_right[-1])
    others = {role: counts for role, counts in counted.items() if role not in SIDES}
    return {"total": pairs, **others}, dict(after) | {"left": replace(after["left"], waiting=ahead)}


def _sums(side: Counts, t_ns: Int64) -> Int64:
    """Total counted up to and including each time."""
    out: Int64 = np.append(0, side.count.cumsum())[np.searchsorted(side.t_ns, t_ns, "right")]
    return out


def _lost(left: Counts, right: Counts, t_ns: Int64) -> Int64:
    """For each pair the start of the outage in which either half was counted, -1 if there was none."""
    out = np.full(len(t_ns), -1, np.int64)
    for side in (left, right):
        _, at_pair, at_side = np.intersect1d(t_ns, side.t_ns, assume_unique=True, return_indices=True)
        lost_ns = side.lost_ns[at_side]
        earlier = (lost_ns >= 0) & ((out[at_pair] < 0) | (lost_ns < out[at_pair]))
        out[at_pair[earlier]] = lost_ns[earlier]
    return out
