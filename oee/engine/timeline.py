"""The timeline: what a machine was doing, without gaps and without overlaps. Pure.

Order of work, fixed because it decides the result: rules or profile; count gaps over what is running; runs
shorter than the shortest run join the stop before them; stops shorter than the shortest stop between two runs
become running; equal neighbours merge at each step. Whole stops are classified after that, in `classify_stops.py`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oee.model.expressions import all_known, breakpoints, evaluate
from oee.model.facts import Text, same_text, text_column
from oee.model.machine import CountGap, Machine, Rule
from oee.model.samples import EMPTY, Int64, Samples, UInt8, latest_at, merged
from oee.model.states import State


@dataclass(frozen=True)
class Timeline:
    """Half-open intervals that join: `end_ns[i] == start_ns[i + 1]`.

    state: uint8[n], `State`; reason: object[n], "" where none; by: object[n], who says so (`plc`, `count`, `product`
    or a person's name).
    """

    start_ns: Int64
    end_ns: Int64
    state: UInt8
    reason: Text
    by: Text

    def __len__(self) -> int:
        return len(self.start_ns)


def take(timeline: Timeline, index: NDArray[np.int64] | NDArray[np.bool_], end_ns: int) -> Timeline:
    """The intervals at `index`, each extended to the start of the next one, the last to `end_ns`."""
    start = timeline.start_ns[index]
    return Timeline(
        start, np.append(start[1:], end_ns), timeline.state[index], timeline.reason[index], timeline.by[index]
    )


def merge(timeline: Timeline) -> Timeline:
    """Equal neighbours joined (same state and reason; the first one's `by` stays)."""
    if len(timeline) < 2:
        return timeline
    differs = (timeline.state[1:] != timeline.state[:-1]) | (timeline.reason[1:] != timeline.reason[:-1])
    if differs.all():
        return timeline
    return take(timeline, np.append(True, differs), int(timeline.end_ns[-1]))


def split(timeline: Timeline, edges: Int64) -> Timeline:
    """The same timeline, cut at these times too."""
    inside = np.sort(edges[(edges > timeline.start_ns[0]) & (edges < timeline.end_ns[-1])])
    start = merged([timeline.start_ns, inside])
    if len(start) == len(timeline):
        return timeline
    index = latest_at(timeline.start_ns, start)
    return Timeline(
        start,
        np.append(start[1:], timeline.end_ns[-1]),
        timeline.state[index],
        timeline.reason[index],
        timeline.by[index],
    )


def within(timeline: Timeline, starts: Int64, ends: Int64) -> NDArray[np.bool_]:
    """Which intervals lie inside one of the windows; the timeline must be split at their edges. Windows may overlap."""
    depth = np.zeros(len(timeline) + 1, np.int64)
    np.add.at(depth, np.searchsorted(timeline.start_ns, starts), 1)
    np.add.at(depth, np.searchsorted(timeline.start_ns, ends), -1)
    inside: NDArray[np.bool_] = depth.cumsum()[:-1] > 0
    return inside


def raw(machine: Machine, samples: Samples, start_ns: int, end_ns: int) -> Timeline:
    """The timeline from signals alone in `[start_ns, end_ns)`, which must not be empty.

    A machine without rules is `running` wherever its total counter is known; count gaps are added later (`mark_count_gaps`).
    """
    if machine.rules:
        return _from_rules(machine.rules, samples, start_ns, end_ns)
    columns = [samples.get(counter.tag, EMPTY) for counter in machine.pieces.needed()]
    times, begin = _axis([column.t_ns for column in columns], start_ns, end_ns)
    state = np.where(all_known(columns, times), State.RUNNING, State.UNKNOWN).astype(np.uint8)
    return _changes_only(begin, state, text_column("", len(times)), end_ns)


def _axis(axes: list[Int64], start_ns: int, end_ns: int) -> tuple[Int64, Int64]:
    """Times at which something may change within the window, and the same with the first moved up to its start.

    One axis shared by all tags is used as it is, which makes looking up values free.
    """
    shared = axes[0] if axes and all(axis is axes[0] for axis in axes) else None
    if shared is not None and len(shared) and shared[0] == start_ns and shared[-1] < end_ns:
        return shared, shared
    parts = [axis[np.searchsorted(axis, start_ns) : np.searchsorted(axis, end_ns)] for axis in axes]
    times = merged([np.array([start_ns], np.int64), *parts])
    return times, times


def _from_rules(rules: tuple[Rule, ...], samples: Samples, start_ns: int, end_ns: int) -> Timeline:
    axes = [axis for rule in rules if rule.when for axis in breakpoints(rule.when, samples)]
    times, begin = _axis(axes, start_ns, end_ns)
    unmatched = len(rules)
    winner = np.full(len(times), unmatched, np.uint8)
    undecided = np.ones(len(times), np.bool_)
    for number, rule in enumerate(rules):
        if rule.when is None:
            winner[undecided] = number
            undecided[:] = False
            break
        condition = evaluate(rule.when, samples, times)
        np.putmask(winner, undecided & condition.value & condition.known, number)
        undecided &= condition.known & ~condition.value  # an undetermined rule ends the search too: unknown
        if not undecided.any():
            break
    # keep only rows at which the outcome changes; numbers are compared, since texts cost ten times as much
    outcomes = [*((rule.state, rule.reason) for rule in rules), (State.UNKNOWN, "")]
    outcome = np.array([outcomes.index(item) for item in outcomes], np.uint8)[winner]
    change = np.append(True, outcome[1:] != outcome[:-1])
    outcome, begin = outcome[change], begin[change]
    states = np.array([state for state, _ in outcomes], np.uint8)
    reasons = text_column([reason for _, reason in outcomes])
    ends = np.append(begin[1:], end_ns)
    return Timeline(begin, ends, states[outcome], reasons[outcome], same_text("plc", len(begin)))


def _changes_only(start: Int64, state: UInt8, reason: Text, end_ns: int) -> Timeline:
    change = np.append(True, (state[1:] != state[:-1]) | (reason[1:] != reason[:-1]))
    timeline = Timeline(start, np.append(start[1:], end_ns), state, reason, text_column("plc", len(start)))
    return take(timeline, change, end_ns)


def run_starts(timeline: Timeline) -> Int64:
    """When the machine began to run, without the window's own beginning."""
    runs = timeline.state == State.RUNNING
    out: Int64 = timeline.start_ns[1:][runs[1:] & ~runs[:-1]]
    return out


def _run_ends(timeline: Timeline, t_ns: Int64) -> Int64:
    """When the run that contains each time ends; the time itself where the machine does not run."""
    runs = timeline.state == State.RUNNING
    ends = np.append(timeline.start_ns[1:][runs[:-1] & ~runs[1:]], timeline.end_ns[-1])
    index = np.maximum(np.searchsorted(timeline.start_ns, t_ns, "right") - 1, 0)
    out: Int64 = np.where(runs[index], ends[np.searchsorted(ends, t_ns, "right").clip(max=len(ends) - 1)], t_ns)
    return out


def mark_count_gaps(
    timeline: Timeline, gap: CountGap, seen_ns: Int64, ideal_ns: Int64, *, within_runs: bool = False
) -> Timeline:
    """Gaps between pieces laid over what is running.

    seen_ns: int64[n], times of pieces (the first time at which one could have been seen; within runs also when each run
    begins), ascending; ideal_ns: int64[n], ideal time of one count at each of them, 0 where unknown; within_runs: a gap
    ends where the run does, so that a stop which the signals show is no part of it.
    A gap longer than the threshold is a stop that starts one ideal time after the piece and lasts until the next.
    """
    if not len(seen_ns):
        return timeline
    next_ns = np.append(seen_ns[1:], timeline.end_ns[-1])
    if within_runs:
        next_ns = np.minimum(next_ns, _run_ends(timeline, seen_ns))
    threshold = np.maximum(gap.ideals * ideal_ns, gap.at_least_ns)
    long = next_ns - seen_ns > threshold
    start = seen_ns[long] + ideal_ns[long]
    start -= start % 1_000_000
    end = next_ns[long]
    if not len(start):
        return timeline
    timeline = split(timeline, np.concatenate([start, end]))
    hit = within(timeline, np.maximum(start, timeline.start_ns[0]), np.minimum(end, timeline.end_ns[-1]))
    hit &= timeline.state == State.RUNNING
    state, by = timeline.state.copy(), timeline.by.copy()
    state[hit] = gap.state
    by[hit] = "count"
    return merge(Timeline(timeline.start_ns, timeline.end_ns, state, timeline.reason, by))


def debounce(timeline: Timeline, shortest_run_ns: int, shortest_stop_ns: int) -> Timeline:
    """Short runs between two stops join the stop before; then short stops between two runs become running.

    The first and the last interval are left alone (their true length is not known), and unknown is never touched
    nor looked across.
    """
    if shortest_run_ns:
        timeline = _absorb(
            timeline, timeline.state == State.RUNNING, shortest_run_ns, ~_is(timeline, State.RUNNING, State.UNKNOWN)
        )
    if shortest_stop_ns:
        stopped = ~_is(timeline, State.RUNNING, State.UNKNOWN)
        timeline = _absorb(timeline, stopped, shortest_stop_ns, timeline.state == State.RUNNING)
    return timeline


def _is(timeline: Timeline, *states: State) -> NDArray[np.bool_]:
    hit = np.zeros(len(timeline), np.bool_)
    for state in states:
        hit |= timeline.state == state
    return hit


def _absorb(timeline: Timeline, which: NDArray[np.bool_], shortest_ns: int, neighbour: NDArray[np.bool_]) -> Timeline:
    """Groups of adjacent `which` intervals shorter than `shortest_ns` and between two `neighbour`s take the state of
    the neighbour before them.
    """
    if len(timeline) < 3:
        return timeline
    begins = np.flatnonzero(which & ~np.append(False, which[:-1]))
    ends = np.flatnonzero(which & ~np.append(which[1:], False)) + 1  # one past the group's last
    enclosed = (begins > 0) & (ends < len(timeline))
    begins, ends = begins[enclosed], ends[enclosed]
    short = timeline.start_ns[ends] - timeline.start_ns[begins] < shortest_ns
    short &= neighbour[begins - 1] & neighbour[ends]
    keep = np.ones(len(timeline), np.bool_)
    for begin, end in zip(begins[short].tolist(), ends[short].tolist(), strict=True):
        keep[begin:end] = False
    return merge(take(timeline, keep, int(timeline.end_ns[-1])))
