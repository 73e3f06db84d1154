"""Counters: from raw register values to increments. Pure.

A counter's first value is a baseline and counts nothing. After that each step from the last accepted
value to the next is one of

    forward    plausible for the time between: counted
    rollover   smaller, but plausible modulo 2^bits: counted modulo 2^bits
    reset      smaller, not plausible as a rollover, but the new value itself is: the new value is counted
    jump       neither: a replaced PLC, a preset, a restored program; counts nothing, a new baseline
    spike      implausible, and the next value is plausible from the one before it: dropped as if it had not
               been read (a torn 32-bit read looks like this)

A step that only a jump or a spike explains is decided by the value after it, so the last value of a
series may stay `pending`. A step is plausible if it is at most `max_per_s` times the time since the
last poll of the counter, plus one (samples are sent on change, so the last poll may be much later than the last row). The
pieces of a step across rows that are not good were made during an outage, unwatched.

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

from oee.model.machine import Counter
from oee.model.samples import Int64, Series
from oee.model.states import Quality

SLACK: Final = 1
"""Polling jitter: two polls may see counts closer together than they were made."""


@dataclass(frozen=True)
class CounterState:
    """The state of a counter between blocks. The field names are keys on disk. value: the last accepted raw value, None
    before the first; at_ns: when it was last seen; lost: rows that are not good have come since, and at_ns is the time of
    the first of them; waiting: for a left counter, pieces without a right one yet (negative: right without left).
    """

    value: int | None = None
    at_ns: int = 0
    lost: bool = False
    waiting: int = 0


@dataclass(frozen=True)
class Counts:
    """Increments. t_ns: int64[n], when seen; count: int64[n] > 0; lost_ns: int64[n], for a step across an outage
    the time of the first row that was not good, else -1; pending_ns: time of a value still undecided, or None;
    oddities: `(t_ns, kind, old, new)` of every step that was not forward or rollover.
    """

    t_ns: Int64
    count: Int64
    lost_ns: Int64
    pending_ns: int | None
    oddities: tuple[tuple[int, str, int, int], ...]


def _raw(counter: Counter, values: NDArray[Any]) -> Int64:
    """Register values as whole counts; a signed register's negative half is the upper half of its range."""
    raw = (np.floor(values + 1e-6) if values.dtype.kind == "f" else values).astype(np.int64)
    if counter.signed and counter.bits is not None and counter.bits < 64:
        raw &= (1 << counter.bits) - 1
    return raw


def count(counter: Counter, state: CounterState, column: Series) -> tuple[Counts, CounterState]:
    """Increments in a series of rows that are all later than `state`, and the state after them.

    A pending last value is not in the state: pass its row again with the next block.
    """
    good = column.quality <= Quality.UNCERTAIN
    if column.value.dtype.kind == "f":
        good &= ~np.isnan(column.value)
    elif column.value.dtype.kind == "O":
        good &= False  # text does not count; config refuses such a tag
    rows = np.flatnonzero(good)
    if not len(rows):
        return Counts(*(np.empty(0, np.int64),) * 3, None, ()), _after(state, column, good)
    lost_at = _first_lost(column, rows, state)
    t_ns, raw = column.t_ns[rows], _raw(counter, column.value[rows])
    if state.value is None:
        state = CounterState(int(raw[0]), int(t_ns[0]))
        t_ns, raw, lost_at = t_ns[1:], raw[1:], lost_at[1:]
    assert state.value is not None  # just set
    step = np.diff(raw, prepend=state.value)
    allowed = _allowed(counter, np.diff(t_ns, prepend=state.at_ns), lost_at >= 0)
    odd = (step < 0) | (step > allowed)
    if odd.any():
        return _walk(counter, state, column, good, t_ns, raw, lost_at)
    counted = step > 0
    counts = Counts(t_ns[counted], step[counted], lost_at[counted], None, ())
    last = CounterState(int(raw[-1]), int(t_ns[-1])) if len(raw) else state
    return counts, _after(last, column, good)


def _allowed(counter: Counter, gap_ns: Int64, lost: NDArray[np.bool_]) -> Int64:
    if counter.poll_ns:
        gap_ns = np.where(lost, gap_ns, np.minimum(gap_ns, counter.poll_ns))
    return np.floor(counter.max_per_s * (gap_ns / 1e9)).astype(np.int64) + SLACK


def _first_lost(column: Series, rows: Int64, state: CounterState) -> Int64:
    """For each good row the time of the first row that was not good since the good row before it, or -1."""
    before = np.concatenate([[-1], rows[:-1]]).astype(np.int64)
    gap_before = rows - before > 1
    first = np.where(gap_before, column.t_ns[np.minimum(before + 1, len(column) - 1)], -1)
    if len(first) and state.lost:
        first[0] = state.at_ns
    return first


def _after(state: CounterState, column: Series, good: NDArray[np.bool_]) -> CounterState:
    """The state after the trailing rows that are not good: the outage begins at the first of them."""
    if state.value is None or state.lost or not len(column) or good[-1]:
        return state
    trailing = len(good) if not good.any() else len(good) - 1 - int(np.flatnonzero(good)[-1])
    return replace(state, at_ns=int(column.t_ns[-trailing]), lost=True)


def _walk(
    counter: Counter,
    state: CounterState,
    column: Series,
    good: NDArray[np.bool_],
    t_ns: Int64,
    raw: Int64,
    lost_at: Int64,
) -> tuple[Counts, CounterState]:
    """The slow path, row by row, for a block with a step that is not plainly forward."""
    rows: list[tuple[int, int, int]] = []
    oddities: list[tuple[int, str, int, int]] = []
    base, base_ns = state.value or 0, state.at_ns
    skipped_lost = -1
    pending: int | None = None
    times, values, losts = t_ns.tolist(), raw.tolist(), lost_at.tolist()
    index = 0
    while index < len(times):
        now, value, lost = times[index], values[index], losts[index]
        lost = lost if skipped_lost < 0 else skipped_lost
        kind, pieces = classify(counter, base, value, _since(counter, base_ns, now, lost))
        if kind == "jump":
            if index + 1 == len(times):
                pending = now
                break
            later_ns = _since(counter, base_ns, times[index + 1], lost)
            later_kind, _ = classify(counter, base, values[index + 1], later_ns)
            if later_kind != "jump":
                oddities.append((now, "spike", base, value))
                skipped_lost = lost
                index += 1
                continue
        if kind not in ("forward", "rollover"):
            oddities.append((now, kind, base, value))
        if pieces:
            rows.append((now, pieces, lost))
        base, base_ns, skipped_lost = value, now, -1
        index += 1
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    counts = Counts(columns[0], columns[1], columns[2], pending, tuple(oddities))
    if pending is not None:
        return counts, CounterState(base, base_ns, lost=skipped_lost >= 0)
    return counts, _after(CounterState(base, base_ns), column, good)


def _since(counter: Counter, base_ns: int, now_ns: int, lost_ns: int) -> int:
    """Time in which a step may have been made: since the last poll, or since the outage."""
    gap_ns = now_ns - base_ns
    return gap_ns if lost_ns >= 0 or not counter.poll_ns else min(gap_ns, counter.poll_ns)


def classify(counter: Counter, old: int, new: int, gap_ns: int) -> tuple[str, int]:
    """The kind of a step and how much it counts: forward, rollover, reset or jump (0)."""
    allowed = int(counter.max_per_s * (gap_ns / 1e9)) + SLACK
    if 0 <= new - old <= allowed:
        return "forward", new - old
    if new < old:
        if counter.bits is not None and (wrapped := (new - old) % (1 << counter.bits)) <= allowed:
            return "rollover", wrapped
        if 0 <= new <= allowed:
            return "reset", new
    return "jump", 0


SIDES: Final = ("left", "right")


def pair_up(
    counted: Mapping[str, Counts], before: Mapping[str, CounterState], after: Mapping[str, CounterState]
) -> tuple[dict[str, Counts], dict[str, CounterState]]:
    """Left and right as one counter `total`, and the states after it; other counters as they are.

    A pair whose later half was made across an outage is unwatched. What is pending on either side is pending.
    """
    left, right = (counted[side] for side in SIDES)
    ahead = before["left"].waiting if "left" in before else 0
    t_ns = np.union1d(left.t_ns, right.t_ns)
    have_left, have_right = _sums(left, t_ns) + max(ahead, 0), _sums(right, t_ns) + max(-ahead, 0)
    made = np.diff(np.minimum(have_left, have_right), prepend=0)
    completed = made > 0
    pending = [side.pending_ns for side in (left, right) if side.pending_ns is not None]
    odd = tuple(sorted((*left.oddities, *right.oddities)))
    pairs = Counts(
        t_ns[completed], made[completed], _lost(left, right, t_ns[completed]), min(pending, default=None), odd
    )
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
