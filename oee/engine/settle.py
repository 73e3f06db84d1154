"""The settled time: up to it nothing that comes later can change the result. Pure.

It is the last piece that lies before the oldest stop, gap or changeover that has not ended, was counted while the machine
ran (or begins a set-up), ends no outage, lies in no period of a manual entry, and comes before any outage from which a
counter has come back with another value, while it may still turn out to have been away since then.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oee.engine.counters import CounterState, Counts
from oee.engine.production import count_all
from oee.engine.state import EngineState
from oee.engine.timeline import Timeline
from oee.engine.window import Assessment
from oee.model.machine import Machine
from oee.model.samples import Int64, between
from oee.model.states import State

_PIECES_AT_ONCE: Final = 64


def settle(
    machine: Machine, state: EngineState, assessment: Assessment, until_ns: int
) -> tuple[int, dict[str, CounterState]]:
    """The time up to which nothing can change any more, and the states of the counters then."""
    window, begin_ns = assessment.window, state.settled_ns
    sure_ns = until_ns
    if machine.gap is not None:  # a run is certain only up to its last piece: what follows may turn out to be a gap
        sure_ns = max(
            (int(counts.t_ns[-1]) for counts in assessment.counted.values() if len(counts.t_ns)), default=begin_ns
        )
    limit = min(
        until_ns,
        _open_from(assessment.undebounced, machine.shortest_run_ns, state.since_ns, sure_ns),
        _open_from(window.timeline, machine.shortest_run_ns, state.since_ns, sure_ns),
        *(setup.start_ns for setup in window.setups if setup.may_change),
        *_unsure_from(assessment.counted.values(), until_ns),
    )
    candidates = _candidates(assessment, limit, begin_ns) if machine.pieces.counters() else iter([max(limit, begin_ns)])
    periods = state.undivided_entries()
    for settled_ns in chain(candidates, [begin_ns]):
        if any(entry.start_ns < settled_ns < (entry.end_ns or 0) for entry in periods):
            continue  # an entry is spread over its whole period or not at all
        earlier = {tag: between(rows, begin_ns, settled_ns) for tag, rows in state.rows.items()}
        counted, counters = count_all(machine, state.counters, state.rows, earlier, assessment.clock)
        if not any(_unsure_from(counted.values(), until_ns)):
            return settled_ns, counters
    return begin_ns, dict(state.counters)


def _unsure_from(counted: Iterable[Counts], until_ns: int) -> list[int]:
    """Since when counters may still turn out to have been away."""
    return [since_ns for counts in counted for since_ns, to_ns in counts.unsure if until_ns <= to_ns]


def _candidates(assessment: Assessment, limit_ns: int, begin_ns: int) -> Iterator[int]:
    """Pieces at which time may be settled, the latest first. Nearly always it is one of the last."""
    made = assessment.window.production
    end = int(np.searchsorted(made.t_ns, min(limit_ns, assessment.decided_ns - 1), "right"))
    while end > 0:
        low = max(end - _PIECES_AT_ONCE, 0)
        eligible = (made.total[low:end] > 0) & (made.lost_ns[low:end] < 0) & (made.t_ns[low:end] > begin_ns)
        times = made.t_ns[low:end][eligible]
        times = times[
            _running_at(assessment.undebounced, times) & _running_or_begins(assessment.window.timeline, times)
        ]
        yield from dict.fromkeys(times[::-1].tolist())
        end = low


def _open_from(timeline: Timeline, shortest_run_ns: int, since_ns: int, sure_ns: int) -> int:
    """Start of the unfinished tail: what follows the last run that is long enough to remain one."""
    start = timeline.start_ns.copy()
    start[0] = min(since_ns, int(start[0]))
    length = np.minimum(timeline.end_ns, max(sure_ns, int(timeline.start_ns[-1]))) - start
    firm = np.flatnonzero((timeline.state == State.RUNNING) & (length >= shortest_run_ns))
    return int(timeline.end_ns[firm[-1]]) if len(firm) else int(timeline.start_ns[0])


def _running_at(timeline: Timeline, t_ns: Int64) -> NDArray[np.bool_]:
    index = np.maximum(np.searchsorted(timeline.start_ns, t_ns, "right") - 1, 0)
    out: NDArray[np.bool_] = timeline.state[index] == State.RUNNING
    return out


def _running_or_begins(timeline: Timeline, t_ns: Int64) -> NDArray[np.bool_]:
    """Running at that time, or just ceasing to (a changeover begins with the last piece)."""
    index = np.maximum(np.searchsorted(timeline.start_ns, t_ns, "right") - 1, 0)
    out: NDArray[np.bool_] = _running_at(timeline, t_ns) | (
        (timeline.start_ns[index] == t_ns) & _running_at(timeline, t_ns - 1)
    )
    return out
