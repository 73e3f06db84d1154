"""The true figures, as a perfect observer would know them at a given instant.

Definitions, independent of the code under test:

* States within the calendar classes scheduled, break and outside: running, minor_stop, unplanned_stop,
  breakdown, setup, starved, blocked, planned_stop (never: there are no declarations) and offline, while the PLC
  is offline.
* A plain stop is minor while its whole scheduled length is at most the machine's limit. A break suspends it, time
  outside the schedule ends it: what lies outside is a stop of its own with no scheduled length, hence minor.
* A plain stop that touches a breakdown is part of it; time outside the schedule is not, and keeps apart what lies on
  both sides of it.
* Set-up lasts from the last cycle of the old product to the first cycle of the new one with a good piece, as soon
  as the new number is known; intervals with an alarm, without material or offline keep their own state.
* Pieces count when their cycle completes. Those made strictly inside a set-up are start-up rejects without ideal
  time; rejects among the next `startup_pieces` are start-up rejects with ideal time.
* Nakajima's formula over scheduled time: A = (running + minor) / all but planned stops and offline,
  P = ideal time of pieces / (running + minor), Q = ideal time of good / of all pieces. No quality signal: no Q.
* `as_of`: what comes later is not known. An open stop has its length so far.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from simulator.behaviour.machine import SimulatedMachine
from simulator.behaviour.segments import Int64, Kind
from simulator.plc.readings import cycles_between
from simulator.plc.signals import PLCS
from simulator.timetable import Wanted

STATES = (
    "running", "minor_stop", "unplanned_stop", "breakdown", "setup", "starved", "blocked", "planned_stop", "offline",
)  # fmt: skip
CLASSES = tuple(wanted.name.lower() for wanted in Wanted)
_MINOR, _UNPLANNED, _BREAKDOWN, _SETUP = 1, 2, 3, 4
_BASE = {
    Kind.RUN: 0, Kind.STOP: _UNPLANNED, Kind.BREAKDOWN: _BREAKDOWN, Kind.STARVED: 5, Kind.BLOCKED: 6,
    Kind.CHANGE: _UNPLANNED, Kind.OFFLINE: 8,
}  # fmt: skip
_BASE_OF_KIND = np.array([_BASE[kind] for kind in Kind], np.int8)
_NEVER = np.iinfo(np.int64).max
_MS = 1_000_000


@dataclass(frozen=True)
class StateSpans:
    """A machine's time without gaps. edge_ns: n + 1 edges; state, wanted: what holds in each of the n spans."""

    edge_ns: Int64
    state: np.ndarray[Any, np.dtype[np.int8]]
    wanted: np.ndarray[Any, np.dtype[np.int8]]


def spans(machine: SimulatedMachine, from_ns: int, to_ns: int, as_of_ns: int) -> StateSpans:
    """`[from_ns, to_ns)` cut at every change of state and class. The machine has been advanced to `as_of_ns`."""
    stretches = _stretches(machine, from_ns, to_ns, as_of_ns)
    calendar_ns, wanted, before_ns = machine.timetable.arrays(as_of_ns)
    setup_ns = _setups(machine, as_of_ns)
    edges = np.unique(np.concatenate([[from_ns, to_ns], stretches.starts_ns, calendar_ns, setup_ns.ravel()]))
    edges = edges[(edges >= from_ns) & (edges <= to_ns)]
    left_ns = edges[:-1]
    index = np.searchsorted(stretches.starts_ns, left_ns, "right") - 1
    state = stretches.base[index].copy()
    cell = np.searchsorted(calendar_ns, left_ns, "right") - 1
    in_class = wanted[cell]
    plain = state == _UNPLANNED
    stop_start_ns, stop_end_ns = stretches.stop_start_ns[index], stretches.stop_end_ns[index]
    low_ns, high_ns = _section(left_ns, stop_start_ns, stop_end_ns, calendar_ns, wanted)
    length_ns = _scheduled(high_ns, calendar_ns, wanted, before_ns) - _scheduled(low_ns, calendar_ns, wanted, before_ns)
    state[plain & (np.maximum(length_ns, 0) <= machine.limit_ns)] = _MINOR
    touches = stretches.after_fault[index] & (low_ns == stop_start_ns)
    touches |= stretches.before_fault[index] & (high_ns == stop_end_ns)
    state[plain & touches & (in_class != Wanted.OUTSIDE)] = _BREAKDOWN
    changed = _inside(left_ns, setup_ns, closed=True)
    state[changed & ((state == 0) | plain)] = _SETUP
    return StateSpans(edges, state, in_class)


class _Stretches(NamedTuple):
    """Segments: start and state; the bounds of the whole plain stop that each belongs to, and whether a breakdown comes just
    before or after that.
    """

    starts_ns: Int64
    base: Any
    stop_start_ns: Int64
    stop_end_ns: Int64
    after_fault: Any
    before_fault: Any


def _stretches(machine: SimulatedMachine, from_ns: int, to_ns: int, as_of_ns: int) -> _Stretches:
    """The segments around the window."""
    low = max(machine.index_at(from_ns), 0)
    while low > 0 and _plain(machine.segment(low)) and _plain(machine.segment(low - 1)):
        low -= 1
    high = low
    last = machine.index_at(as_of_ns - 1)
    while high < last and (machine.segment(high).start_ns < to_ns or _plain(machine.segment(high))):
        high += 1
    segments = [machine.segment(index) for index in range(low, high + 1)]
    starts_ns = np.array([segment.start_ns for segment in segments], np.int64)
    ends_ns = np.minimum(np.append(starts_ns[1:], segments[-1].end_ns), as_of_ns)
    base = _BASE_OF_KIND[np.array([segment.kind for segment in segments], np.int8)]
    plain = base == _UNPLANNED
    opens = np.append(True, ~(plain[1:] & plain[:-1]))
    group = np.cumsum(opens) - 1
    first = np.flatnonzero(opens)
    final = np.append(first[1:], len(segments)) - 1
    earlier = [machine.segment(low - 1).kind == Kind.BREAKDOWN] if low else [False]
    fault = np.array([*earlier, *(segment.kind == Kind.BREAKDOWN for segment in segments), False])
    return _Stretches(
        starts_ns, base, starts_ns[first][group], ends_ns[final][group], fault[first][group], fault[final + 2][group]
    )


def _plain(segment: Any) -> bool:
    return segment.kind in {Kind.STOP, Kind.CHANGE}


def _section(at_ns: Int64, start_ns: Int64, end_ns: Int64, calendar_ns: Int64, wanted: Any) -> tuple[Int64, Int64]:
    """The part of a stop around `at_ns` that time outside the schedule does not interrupt."""
    outside = wanted == Wanted.OUTSIDE
    begins_ns = np.append(calendar_ns[outside], _NEVER)
    ends_ns = np.concatenate([[np.iinfo(np.int64).min], np.append(calendar_ns, _NEVER)[1:][outside]])
    index = np.searchsorted(begins_ns, at_ns, "right")
    return np.maximum(start_ns, ends_ns[index]), np.minimum(end_ns, begins_ns[index])


def _scheduled(t_ns: Int64, calendar_ns: Int64, wanted: Any, before_ns: Int64) -> Int64:
    cell = np.clip(np.searchsorted(calendar_ns, t_ns, "right") - 1, 0, None)
    inside = np.where(wanted[cell] == Wanted.SCHEDULED, t_ns - calendar_ns[cell], 0)
    out: Int64 = before_ns[cell] + inside
    return out


def _setups(machine: SimulatedMachine, as_of_ns: int) -> Int64:
    """Set-ups known at `as_of_ns`, one row each: last old piece, first good new one (far away: not yet)."""
    changeovers = machine.changeovers_by(as_of_ns)
    rows = [
        (change.last_old_ns, _NEVER if change.first_good_ns is None else change.first_good_ns) for change in changeovers
    ]
    return np.array(rows, np.int64).reshape(len(rows), 2)


def _inside(t_ns: Int64, setups_ns: Int64, *, closed: bool) -> Any:
    """Whether each instant lies in a set-up; closed: the beginning counts (time), else neither end (pieces)."""
    if not len(setups_ns):
        return np.zeros(len(t_ns), bool)
    index = np.searchsorted(setups_ns[:, 0], t_ns, "right" if closed else "left") - 1
    return (index >= 0) & (t_ns < setups_ns[np.maximum(index, 0), 1])


def transitions(machine: SimulatedMachine, from_ns: int, to_ns: int, as_of_ns: int) -> list[dict[str, Any]]:
    """The state at `from_ns` and every change of state after it."""
    cut = spans(machine, from_ns, to_ns, as_of_ns)
    keep = np.append(True, cut.state[1:] != cut.state[:-1])
    return [
        {"t_ns": int(t_ns), "state": STATES[state]}
        for t_ns, state in zip(cut.edge_ns[:-1][keep], cut.state[keep], strict=True)
    ]


def of_machine(machine: SimulatedMachine, from_ns: int, to_ns: int, as_of_ns: int) -> dict[str, Any]:
    """Time, pieces and ratios of one machine in `[from_ns, to_ns)`, as plain data."""
    if not machine.start_ns <= from_ns < to_ns <= as_of_ns:
        raise ValueError(
            f"from {from_ns}, to {to_ns}, as_of {as_of_ns}: must be in this order, not before {machine.start_ns}"
        )
    cut = spans(machine, from_ns, to_ns, as_of_ns)
    edge_ms = cut.edge_ns // _MS
    ms = np.zeros((len(CLASSES), len(STATES)), np.int64)
    np.add.at(ms, (cut.wanted, cut.state), np.diff(edge_ms))
    pieces = _pieces(machine, from_ns, to_ns, as_of_ns)
    return {
        "ms": {
            name: {state: int(ms[row, column]) for column, state in enumerate(STATES)}
            for row, name in enumerate(CLASSES)
        },
        "pieces": pieces.pop("all"),
        "by_class": pieces,
        "transitions": int((cut.state[1:] != cut.state[:-1]).sum()),
        "kpi": _ratios(ms[0], pieces["scheduled"]),
        "minor_limit_ms": machine.limit_ns // _MS,
        "cavities": machine.spec.cavities,
        "state_by_pulses": machine.spec.plc == "pulse",
    }


def _pieces(machine: SimulatedMachine, from_ns: int, to_ns: int, as_of_ns: int) -> dict[str, Any]:
    """Sums over pieces whose cycle completed in `[from_ns, to_ns)`: all, and by calendar class."""
    spec = machine.spec
    made = cycles_between(machine.segments(from_ns - 1, to_ns), from_ns - 1, to_ns - 1)
    t_ns, bad = made.t_ns, made.rejects
    setups_ns = _setups(machine, as_of_ns)
    changeovers = machine.changeovers_by(as_of_ns)
    product = _products(t_ns, changeovers)
    inside = _inside(t_ns, setups_ns, closed=False)
    startup = np.where(inside, spec.cavities, np.where(_among_first(machine, t_ns, setups_ns), bad, 0))
    process = np.where(startup > 0, 0, bad)
    calendar_ns, wanted, _ = machine.timetable.arrays(to_ns)
    in_class = wanted[np.searchsorted(calendar_ns, t_ns, "right") - 1]
    ideal_us = np.array(machine.ideal_ns, np.int64)[product] // 1000 // spec.cavities
    judged = "rejects" in {item.counts for item in PLCS[spec.plc].counters.values()} or spec.plc == "cnc_good"
    columns = {
        "total": np.full(len(t_ns), spec.cavities),
        "good": spec.cavities - startup - process,
        "startup_reject": startup,
        "process_reject": process,
        "without_ideal": np.where(inside, spec.cavities, 0),
        "ideal_total_us": np.where(inside, 0, spec.cavities * ideal_us),
        "ideal_good_us": np.where(inside, 0, (spec.cavities - startup - process) * ideal_us),
    }
    out: dict[str, Any] = {}
    masks = {name: in_class == number for number, name in enumerate(CLASSES)} | {"all": np.ones(len(t_ns), bool)}
    for name, mask in masks.items():
        sums: dict[str, Any] = {key: int(column[mask].sum()) for key, column in columns.items()}
        if not judged:
            sums |= dict.fromkeys(("good", "startup_reject", "process_reject", "ideal_good_us"))
        out[name] = sums
    out["all"]["products"] = {
        str(item.number): {
            "pieces": int((product == number).sum()) * spec.cavities,
            "ideal_us": machine.ideal_ns[number] // 1000 // spec.cavities,
        }
        for number, item in enumerate(spec.products)
    }
    return out


def _products(t_ns: Int64, changeovers: Any) -> Int64:
    """The product index of each cycle: the number that the PLC had when it completed."""
    if not changeovers:
        return np.zeros(len(t_ns), np.int64)
    times = np.array([item.change_ns for item in changeovers], np.int64)
    numbers = np.array([changeovers[0].old, *(item.new for item in changeovers)], np.int64)
    out: Int64 = numbers[np.searchsorted(times, t_ns, "right")]
    return out


def _among_first(machine: SimulatedMachine, t_ns: Int64, setups_ns: Int64) -> Any:
    """Whether each cycle is among the first `startup_pieces` from the first good piece on."""
    out = np.zeros(len(t_ns), bool)
    count = -(-machine.spec.startup_pieces // machine.spec.cavities)
    if not count or not len(t_ns):
        return out
    for good_ns in setups_ns[:, 1]:
        if good_ns == _NEVER or good_ns > t_ns[-1]:
            continue
        segments = machine.segments(int(good_ns) - 1, int(good_ns) + count * machine.ideal_ns[0] * 40)
        after = cycles_between(segments, int(good_ns) - 1, int(t_ns[-1])).t_ns[:count]
        if len(after):
            out |= (t_ns >= good_ns) & (t_ns <= after[-1])
    return out


def _ratios(ms: Int64, pieces: dict[str, Any]) -> dict[str, float | None]:
    """A, P, Q and OEE of scheduled time, unrounded; null where undefined."""
    operating_ms = int(ms[0] + ms[_MINOR])
    busy_ms = int(ms[: len(STATES) - 2].sum())
    availability = operating_ms / busy_ms if busy_ms else None
    performance = pieces["ideal_total_us"] / (operating_ms * 1000) if operating_ms else None
    good_us, total_us = pieces["ideal_good_us"], pieces["ideal_total_us"]
    quality = good_us / total_us if good_us is not None and total_us else None
    known = availability is not None and performance is not None and quality is not None
    oee = availability * performance * quality if known else None  # type: ignore[operator]
    return {"availability": availability, "performance": performance, "quality": quality, "oee": oee}
