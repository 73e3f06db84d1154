"""What a machine loses at the edges of its schedule, against its own pace in the middle of the same shift. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from oee.advice.finding import Finding, evidence, realisable
from oee.advice.grid import Bool, Float64
from oee.advice.statistics.ratios import one_window
from oee.advice.window import MachineWindow
from oee.model.facts import MINUTE_NS, Int64

WARM_MIN: Final = 120
"""From then on into a shift the machine is taken to be at pace."""
LEAST_BLOCKS_AT_PACE: Final = 4
LEAST_INSTANCES: Final = 15
LEAST_MEAN_MIN: Final = 5.0
LEAST_LOW_MIN: Final = 2.0
MOST_RUNNING_IN_BREAKS: Final = 0.5
LEAST_JUDGED: Final = 0.9
_NOT_DISTURBED: Final = ("setup_ms", "planned_stop_ms")


@dataclass(frozen=True)
class EdgeLosses:
    """Each float64[n], in order of time. lost_min: ideal minutes lost at an edge beyond the median of the shift's blocks;
    above_mean_min: beyond their mean; pace: ideal minutes that they make in a minute; at_ns: int64, the edge [ns UTC].
    """

    lost_min: Float64
    above_mean_min: Float64
    pace: Float64
    at_ns: Int64


def edge_losses(window: MachineWindow, edge_min: int, *, at_start: bool, of_shift: bool) -> EdgeLosses:
    """Ideal minutes missing in the first (last) `edge_min` minutes of a stretch, less the median of what blocks of that
    length lose in the same shift from `WARM_MIN` on.

    of_shift: edges of shifts; otherwise those of breaks. Left out are edges and blocks with set-up or planned stops or a
    product without a usable ideal time, and shifts with fewer than `LEAST_BLOCKS_AT_PACE` blocks to compare with.
    """
    stretches = window.stretches
    first = -(-(stretches.start_ns - window.start_ns) // MINUTE_NS)
    last = -(-(stretches.end_ns - window.start_ns) // MINUTE_NS)
    long = last - first >= 2 * edge_min
    shift_edge = stretches.opens if at_start else stretches.closes
    blocks = _blocks(window, first, last, edge_min)
    clean, lost = _lost(window, edge_min)
    usable = clean[blocks.at] & (blocks.into >= WARM_MIN)
    instances = int(stretches.instance.max(initial=-1)) + 1
    of, at_pace = blocks.instance[usable], lost[blocks.at[usable]]
    median, count = _medians(of, at_pace, instances)
    mean = np.bincount(of, at_pace, instances) / np.maximum(count, 1)
    begin = first if at_start else last - edge_min
    wanted = long & (shift_edge if of_shift else ~shift_edge) & (begin < len(clean))
    wanted[wanted] &= clean[begin[wanted]] & (count[stretches.instance[wanted]] >= LEAST_BLOCKS_AT_PACE)
    begin, shift = begin[wanted], stretches.instance[wanted]
    at_ns = window.start_ns + begin * MINUTE_NS
    return EdgeLosses(lost[begin] - median[shift], lost[begin] - mean[shift], 1 - mean[shift] / edge_min, at_ns)


def _medians(group: Int64, values: Float64, groups: int) -> tuple[Float64, Int64]:
    """Median and number of the values of each group, [groups] each; a group without values has the median 0."""
    ordered = values[np.lexsort((values, group))]
    count = np.bincount(group, minlength=groups)
    first = np.cumsum(count) - count
    out, some = np.zeros(groups), count > 0
    low, high = first + (count - 1) // 2, first + count // 2
    out[some] = (ordered[low[some]] + ordered[high[some]]) / 2
    return out, count


@dataclass(frozen=True)
class _Blocks:
    at: Int64
    instance: Int64
    into: Int64


def _blocks(window: MachineWindow, first: Int64, last: Int64, length: int) -> _Blocks:
    """Starts of whole blocks that touch neither edge of their stretch, and how far into the shift they are."""
    instance, opens = window.stretches.instance, window.stretches.opens
    opened = np.full(int(instance.max(initial=-1)) + 1, -1, np.int64)
    opened[instance[opens]] = first[opens]
    since = np.where(opened[instance] >= 0, opened[instance], first) if len(instance) else first
    count = np.maximum(0, (last - first) // length - 2)
    number = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    at = np.repeat(first, count) + (number + 1) * length
    return _Blocks(at, np.repeat(instance, count), at - np.repeat(since, count))


def _lost(window: MachineWindow, length: int) -> tuple[Bool, Float64]:
    """For a block of this length from each minute on: whether it may be used, and the ideal minutes that it lacks."""
    judged, total = window.column("ideal_judged_us"), window.column("ideal_total_us")
    ideal = window.column("ideal_good_us") if judged.sum() >= LEAST_JUDGED * total.sum() else total
    bad = window.stretch < 0
    for name in _NOT_DISTURBED:
        bad |= window.column(name) > 0
    unusable = [index for index, name in enumerate(window.products) if name in window.distrusted]
    bad |= np.isin(window.product, unusable)
    bad |= window.column("running_ms") > window.column("running_ideal_known_ms")
    disturbed, made = np.cumsum(np.r_[0, bad]), np.cumsum(np.r_[0, ideal])
    clean = np.zeros(len(bad) + 1, np.bool_)
    lost = np.zeros(len(bad) + 1)
    upto = max(0, len(bad) - length + 1)
    clean[:upto] = disturbed[length:] == disturbed[: len(disturbed) - length]
    lost[:upto] = length - (made[length:] - made[: len(made) - length]) / 6e7
    return clean, lost


def edge_findings(window: MachineWindow, rule: str, version: int, edge_min: int, *, at_start: bool) -> list[Finding]:
    """A finding for edges of shifts and one for edges of breaks, where there are `LEAST_INSTANCES`. A machine that runs
    through its breaks has no edges there.

    The mean of losses is above the median even where nothing is wrong, since few blocks hold a long stop; so p is that of
    a mean above `LEAST_LOW_MIN`, and not above 0.
    """
    names = {True: "shift_start" if at_start else "shift_end", False: "after_break" if at_start else "before_break"}
    found = []
    for of_shift, key in names.items():
        if not of_shift and window.break_share > MOST_RUNNING_IN_BREAKS:
            continue
        losses = edge_losses(window, edge_min, at_start=at_start, of_shift=of_shift)
        n = len(losses.lost_min)
        mean = one_window(losses.lost_min, np.ones(n)) if n >= window.least(LEAST_INSTANCES) else None
        worth = None if mean is None else one_window(losses.above_mean_min, losses.pace)
        if mean is None or worth is None:
            continue
        a_week = n / window.weeks
        proof = evidence(window, n, {"lost_min": losses.lost_min, "at_s": losses.at_ns // 10**9})
        found.append(
            Finding(
                rule,
                version,
                window.machine,
                (key,),
                mean.value >= LEAST_MEAN_MIN and mean.low >= LEAST_LOW_MIN,
                mean.p_above(LEAST_LOW_MIN),
                {
                    "lost_min": mean.value,
                    "low_min": mean.low,
                    "high_min": mean.high,
                    "edge_min": edge_min,
                    "a_week": a_week,
                },
                realisable(worth.low * a_week, worth.high * a_week),
                frozenset({"unplanned_stop", "minor_stop", "breakdown", "starved", "blocked", "slow_cycles"}),
                proof,
                {"slot": key},
            )
        )
    return found
