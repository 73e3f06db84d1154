"""A machine's signals over time: what every tag is at an instant, and when it changes.

Both come from the same segments: the live servers ask for an instant, the history for a window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.behaviour.machine import SimulatedMachine
from simulator.behaviour.segments import Int64, Kind, ProductChange, Segment
from simulator.plc.signals import PLCS, Condition, TagCounter, values

Values = NDArray[Any]


@dataclass(frozen=True)
class Cycles:
    """Completed cycles with `from_ns < t_ns <= until_ns`. before, rejects_before: sums up to `from_ns`."""

    t_ns: Int64
    rejects: Int64
    before: int
    rejects_before: int


def cycles_between(segments: Sequence[Segment], from_ns: int, until_ns: int) -> Cycles:
    """Completions after `from_ns`, up to and with `until_ns`. The segments begin at or before `from_ns`."""
    t_ns = np.concatenate([item.done_ns for item in segments])
    rejects = np.concatenate([item.rejects for item in segments]).astype(np.int64)
    low, high = np.searchsorted(t_ns, [from_ns, until_ns], "right")
    first = segments[0]
    return Cycles(
        t_ns[low:high],
        rejects[low:high],
        first.cycles_before + int(low),
        first.rejects_before + int(rejects[:low].sum()),
    )


def counts(counter: TagCounter, start: int, cavities: int, cycles: Cycles) -> Int64:
    """The counter before the first of the cycles and after each, wrapped."""
    made = np.arange(cycles.before, cycles.before + len(cycles.t_ns) + 1, dtype=np.int64)
    bad = cycles.rejects_before + np.concatenate([[0], np.cumsum(cycles.rejects)])
    if counter.counts == "cycles":
        count = made
    elif counter.counts == "pieces":
        count = made * cavities
    elif counter.counts == "good":
        count = made * cavities - bad
    else:
        count = bad
    wrapped: Int64 = (count + start) % (1 << counter.bits)
    return wrapped


def counter_start(machine: SimulatedMachine, counter: TagCounter) -> int:
    """Where a counter stood at the model's start."""
    return 0 if counter.counts == "rejects" else machine.spec.counter_start


def conditions(machine: SimulatedMachine, from_ns: int, until_ns: int) -> tuple[list[int], list[Condition]]:
    """Instants in `[from_ns, until_ns]` at which the condition may change, the first being `from_ns`."""
    changeovers = machine.changeovers_by(until_ns)
    instants = {from_ns}
    segments = machine.segments(from_ns, until_ns + 1)
    instants.update(item.start_ns for item in segments if item.start_ns > from_ns)
    for item in changeovers:
        instants.update(t for t in (item.change_ns, item.first_good_ns) if t is not None and from_ns < t <= until_ns)
    times = sorted(instants)
    conditions_at: list[Condition] = []
    index = 0
    recent = _Recent(changeovers, segments[0])
    for t_ns in times:
        while index + 1 < len(segments) and segments[index + 1].start_ns <= t_ns:
            index += 1
        conditions_at.append(recent.condition(segments[index], t_ns))
    return times, conditions_at


class _Recent:
    """Steps forward through changeovers; keeps the last segment before a PLC went offline, whose values it still shows."""

    def __init__(self, changeovers: Sequence[ProductChange], first: Segment) -> None:
        self._changeovers = changeovers
        self._next = 0
        self._shown = first

    def condition(self, segment: Segment, t_ns: int) -> Condition:
        while self._next < len(self._changeovers) and self._changeovers[self._next].change_ns <= t_ns:
            self._next += 1
        if segment.kind != Kind.OFFLINE:
            self._shown = segment
        last = self._changeovers[self._next - 1] if self._next else None
        product = last.new if last else 0
        setting_up = last is not None and (last.first_good_ns is None or t_ns < last.first_good_ns)
        shown = self._shown
        kind = Kind.RUN if shown.kind == Kind.OFFLINE else shown.kind
        return Condition(kind, shown.idle, shown.code, product, setting_up)


def changes(machine: SimulatedMachine, from_ns: int, until_ns: int) -> dict[str, tuple[Int64, Values]]:
    """Each tag's value at `from_ns` and its changes up to and with `until_ns`: times and values."""
    spec, plc = machine.spec, PLCS[machine.spec.plc]
    numbers = tuple(product.number for product in spec.products)
    times, conditions_at = conditions(machine, from_ns, until_ns)
    out: dict[str, tuple[Int64, Values]] = {}
    t_ns = np.array(times, np.int64)
    shown = [values(spec.plc, condition, numbers) for condition in conditions_at]
    for tag in shown[0]:
        out[tag] = (t_ns, np.array([row[tag] for row in shown]))
    cycles = cycles_between(machine.segments(from_ns, until_ns + 1), from_ns, until_ns)
    for tag, counter in plc.counters.items():
        count = counts(counter, counter_start(machine, counter), spec.cavities, cycles)
        out[tag] = (np.concatenate([[from_ns], cycles.t_ns]), count)
    return out


@dataclass(frozen=True)
class PlcReading:
    """What a PLC shows at an instant. since_ns: for each tag, when it got this value."""

    online: bool
    tags: dict[str, int | bool]
    since_ns: dict[str, int]


def at(machine: SimulatedMachine, t_ns: int) -> PlcReading:
    """Every tag at `t_ns`, which must not lie before the current segment."""
    segment = machine.current
    by_tag = changes(machine, segment.start_ns if segment.start_ns <= t_ns else machine.past[-1].start_ns, t_ns)
    tags: dict[str, int | bool] = {}
    since_ns: dict[str, int] = {}
    for tag, (times, column) in by_tag.items():
        value = column[-1]
        tags[tag] = value.item()
        differs = np.flatnonzero(column != value)
        since_ns[tag] = int(times[differs[-1] + 1]) if len(differs) else int(times[0])
    return PlcReading(segment.kind != Kind.OFFLINE, tags, since_ns)


def offline_spans(machine: SimulatedMachine, from_ns: int, until_ns: int) -> list[tuple[int, int]]:
    """When the PLC was offline: segments that touch `[from_ns, until_ns)`."""
    segments = machine.segments(from_ns, until_ns)
    return [(segment.start_ns, segment.end_ns) for segment in segments if segment.kind == Kind.OFFLINE]


def next_change(machine: SimulatedMachine, t_ns: int) -> int:
    """The first instant after `t_ns` at which the current plan changes a tag."""
    segment = machine.current
    later = segment.done_ns[segment.done_ns > t_ns]
    instants: list[int] = [segment.end_ns, *later[:1].tolist()]
    if segment.change and segment.change[0] > t_ns:
        instants.append(segment.change[0])
    return min(instants)
