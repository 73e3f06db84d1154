"""State and counts of a machine over a short window, with the agent's computation. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from oee.engine import step as engine
from oee.model.expressions import evaluate
from oee.model.facts import MINUTE_NS, Stop, add_up
from oee.model.machine import Machine
from oee.model.samples import Samples, Series, series
from oee.model.states import Quality, State


@dataclass(frozen=True)
class WindowResult:
    """A machine over a window. live: its state at the end, None without rows; pieces, rejects: counted in the window;
    stops: the latest revision of each, without unknown time; unknown_s: time without a known state [s].
    """

    live: engine.MachineSnapshot | None
    pieces: int
    rejects: int
    stops: tuple[Stop, ...]
    unknown_s: float


def compute(machine: Machine, samples: Samples, until_ns: int) -> WindowResult:
    """One step of the engine over all samples."""
    step = engine.step(machine, engine.start(), samples, (), until_ns, until_ns + MINUTE_NS)
    total = add_up([step.facts])
    columns = {name: int(total.column(name).sum()) for name in _COLUMNS}
    latest = {stop.id: stop for stop in sorted(step.stops, key=lambda stop: stop.revision)}
    stops = tuple(
        stop
        for stop in sorted(latest.values(), key=lambda stop: stop.start_ns)
        if stop.state is not State.UNKNOWN and stop.end_ns != stop.start_ns
    )
    pieces = columns["pieces_total"] + columns["pieces_unwatched"]
    rejects = columns["pieces_startup_reject"] + columns["pieces_process_reject"]
    return WindowResult(step.live, pieces, rejects, stops, columns["unknown_ms"] / 1000)


_COLUMNS = ("pieces_total", "pieces_unwatched", "pieces_startup_reject", "pieces_process_reject", "unknown_ms")


def unfitted(machine: Machine, samples: Samples, t_ns: int) -> list[str]:
    """The tags of a machine's conditions, if all of them are known and none of its rules fits at this time but the last,
    by which the state is unknown. A word in another language or a number of another standard is seen in this only.
    """
    last = machine.rules[-1] if machine.rules else None
    conditions = [rule.when for rule in machine.rules if rule.when is not None]
    if not conditions or (last is not None and last.when is None and last.state is not State.UNKNOWN):
        return []
    results = [evaluate(condition, samples, np.array([t_ns])) for condition in conditions]
    if any(result.value[0] or not result.known[0] for result in results):
        return []
    return sorted({tag for condition in conditions for tag in condition.tags})


def window(rows: Mapping[str, Iterable[tuple[int, object, Quality]]], from_ns: int, until_ns: int) -> dict[str, Series]:
    """Rows of `device.tag` as samples of a window; the value in force at its start becomes a sample there."""
    out: dict[str, Series] = {}
    for tag, column in rows.items():
        before = [row for row in column if row[0] <= from_ns]
        inside = [row for row in column if from_ns < row[0] < until_ns]
        first = [(from_ns, before[-1][1], before[-1][2])] if before else []
        if first or inside:
            out[tag] = series([*first, *inside])
    return out


def longer_than(stops: Iterable[Stop], shortest_s: float, until_ns: int) -> list[Stop]:
    """Stops that a person with a watch would have counted."""
    lengths = ((stop, (stop.end_ns or until_ns) - stop.start_ns) for stop in stops)
    return [stop for stop, length_ns in lengths if length_ns >= shortest_s * 1e9]


def running_s(result: WindowResult, until_ns: int) -> float:
    """How long the machine has been running at the end [s]."""
    if result.live is None or result.live.state is not State.RUNNING:
        return 0.0
    return float(np.maximum(0, until_ns - result.live.since_ns)) / 1e9
