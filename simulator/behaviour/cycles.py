"""Cycles: their lengths and rejected pieces."""

from collections.abc import Iterable

import numpy as np

from simulator.behaviour.segments import Int64, UInt8
from simulator.factory import Habits, MachineSpec

LONGEST = 1.95
"""No cycle is drawn longer than this many ideal times [1]."""
QUIET_BEFORE_NS = 2_500_000_000
QUIET_AFTER_NS = 300_000_000
_CLEAR_NS = 50_000_000
_DAY_NS = 86_400_000_000_000


def ideals_ns(spec: MachineSpec) -> tuple[int, ...]:
    """Ideal time of a cycle of each product, whole microseconds [ns]."""
    return tuple(round(product.ideal_s * 1e6) * 1000 for product in spec.products)


def speed(habits: Habits, age_ns: int) -> float:
    """Mean cycle over ideal cycle, `age_ns` after the model's start [1]."""
    return min(habits.speed + habits.speed_drift_per_day * age_ns / _DAY_NS, habits.speed_at_most)


def durations(random: np.random.Generator, habits: Habits, ideal_ns: int, pace: float, count: int) -> Int64:
    """Lengths of `count` cycles [ns]."""
    scatter, slow = random.random((2, count))
    factor = pace * (1 + habits.jitter * scatter)
    late = np.flatnonzero(slow < habits.slow_share)
    if len(late):
        factor[late] *= 1.2 + 0.5 * slow[late] / habits.slow_share
    out: Int64 = (np.minimum(factor, LONGEST) * ideal_ns).astype(np.int64)
    return out


def even_durations(random: np.random.Generator, ideal_ns: int, count: int) -> Int64:
    """Lengths of cycles on a machine whose stops show only as gaps: within 3 % of ideal [ns]."""
    out: Int64 = ((0.985 + 0.043 * random.random(count)) * ideal_ns).astype(np.int64)
    return out


def stretched(done_ns: Int64, quiet: Iterable[int]) -> Int64:
    """Completions, none of which lies within [T - 2.5 s, T + 0.3 s] of a quiet instant T: the cycle that would
    is lengthened, and those after it move.
    """
    for instant_ns in quiet:
        index = int(np.searchsorted(done_ns, instant_ns - QUIET_BEFORE_NS))
        if index < len(done_ns) and done_ns[index] <= instant_ns + QUIET_AFTER_NS:
            done_ns = done_ns.copy()
            done_ns[index:] += instant_ns + QUIET_AFTER_NS + _CLEAR_NS - done_ns[index]
    return done_ns


def out_of_quiet(t_ns: int, quiet: Iterable[int]) -> int:
    """`t_ns`, or the first instant after it that is not quiet."""
    return int(stretched(np.array([t_ns], np.int64), quiet)[0])


def rejected(
    random: np.random.Generator,
    habits: Habits,
    cavities: int,
    trouble: "float | np.ndarray[tuple[int], np.dtype[np.float64]]",
    count: int,
    since_change: int,
    trial: int,
    startup_cycles: int,
) -> UInt8:
    """Rejected pieces of each of `count` cycles.

    After a changeover come `trial` cycles without a good piece, then a good one, then `startup_cycles` with
    more rejects than usual. The cycles around the end of that number are good, so that
    an off-by-one in a reader does not show; `since_change`: cycles made since the changeover.
    """
    rate = np.minimum(habits.reject_rate * trouble, 0.9)
    if since_change > trial + startup_cycles + 2:
        return _drawn(random, cavities, rate, count)
    out = _drawn(random, cavities, rate, count)
    position = since_change + np.arange(count) - trial
    startup = (position >= 0) & (position < startup_cycles)
    more = _drawn(random, cavities, habits.startup_reject_rate, count)
    out[startup] = more[startup]
    out[(position == 0) | (np.abs(position - startup_cycles) <= 1)] = 0
    out[position < 0] = cavities
    return out


def _drawn(
    random: np.random.Generator, cavities: int, rate: "float | np.ndarray[tuple[int], np.dtype[np.float64]]", count: int
) -> UInt8:
    if cavities == 1:
        return (random.random(count) < rate).astype(np.uint8)
    return random.binomial(cavities, rate, count).astype(np.uint8)
