"""One machine as somebody beside it wants to see it: what it does, this shift's figures, what stood still today. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from agent.view.asked import known_until
from oee.engine.step import MachineSnapshot
from oee.kpi.shift import ShiftFigures, ShiftSpan, shift_at, shift_figures
from oee.model.calendars import local_date, to_ns
from oee.model.facts import FACT, MS_NS, Facts, Int64, Losses, Stop
from oee.model.machine import Machine
from oee.model.states import CalendarClass, State


@dataclass(frozen=True)
class Committed:
    """What is on disk of one machine: facts and losses, added up; stops, each as last sent; from when it was watched and up to
    when it is computed [ns UTC], 0 where it is not."""

    facts: Facts
    losses: Losses
    stops: Sequence[Stop]
    watched_ns: int
    computed_ns: int


@dataclass(frozen=True)
class LostTime:
    """Scheduled time of a shift in one state for one reason ("" where none is given) [ms]."""

    state: State
    reason: str
    ms: int


@dataclass(frozen=True)
class MachineView:
    """A machine as of the last commit, and what it does now.

    now: None before its first sample. figures: of this shift, or of the last one; None where its calendar has none.
    on: the shift goes on now. lost: that shift's time in which it did not run, the most first; made: its pieces by product,
    the most first. stops: those that reach into the time since `from_ns`, in order; the last may still go on. watched_ns,
    computed_ns: as of `Committed`.
    """

    machine: Machine
    now: MachineSnapshot | None
    figures: ShiftFigures | None
    on: bool
    lost: tuple[LostTime, ...]
    made: tuple[tuple[str, int], ...]
    stops: tuple[Stop, ...]
    from_ns: int
    watched_ns: int
    computed_ns: int


def begin_of_day_ns(machine: Machine, now_ns: int) -> int:
    """From when on a person wants to see what happened: local midnight, or the shift's beginning if that is earlier."""
    zone = machine.calendar.zone
    midnight_ns = to_ns(datetime.combine(local_date(zone, now_ns), datetime.min.time(), zone))
    shift = shift_at(machine.calendar, now_ns)
    return min(midnight_ns, shift.start_ns) if shift and shift.holds(now_ns) else midnight_ns


def begin_of_interest_ns(machine: Machine, now_ns: int) -> int:
    """From when on facts are needed for a view: those of the day, and of the last shift if none goes on."""
    shift = shift_at(machine.calendar, now_ns)
    day_ns = begin_of_day_ns(machine, now_ns)
    return min(day_ns, shift.start_ns) if shift else day_ns


def machine_view(
    machine: Machine, now: MachineSnapshot | None, disk: Committed, now_ns: int, formula: str
) -> MachineView:
    """The view at `now_ns`. Time that no commit has reached counts as unknown only once commits are late."""
    shift = shift_at(machine.calendar, now_ns)
    until_ns = known_until(disk.computed_ns, now_ns) if disk.computed_ns else 0
    figures = None
    if shift is not None:
        figures = shift_figures(machine.calendar, shift, disk.facts, disk.watched_ns or now_ns, until_ns, formula)
    from_ns = begin_of_day_ns(machine, now_ns)
    stops = tuple(stop for stop in disk.stops if stop.end_ns is None or stop.end_ns > from_ns)
    return MachineView(
        machine,
        now,
        figures,
        shift is not None and shift.holds(now_ns),
        _lost(disk.losses, shift),
        _made(disk.facts, shift),
        stops,
        from_ns,
        disk.watched_ns,
        disk.computed_ns,
    )


def _lost(losses: Losses, shift: ShiftSpan | None) -> tuple[LostTime, ...]:
    if shift is None or not len(losses):
        return ()
    wanted = (losses.calendar == CalendarClass.SCHEDULED) & (losses.shift == shift.name)
    wanted &= losses.business_date == shift.business_date
    sums: dict[tuple[int, str], int] = {}
    rows = zip(losses.state.tolist(), losses.reason.tolist(), losses.sums[:, 0].tolist(), wanted.tolist(), strict=True)
    for state, reason, ms, counts in rows:
        if counts:
            sums[state, reason] = sums.get((state, reason), 0) + ms
    found = [LostTime(State(state), reason, ms) for (state, reason), ms in sums.items() if ms]
    return tuple(sorted(found, key=lambda item: (-item.ms, item.state, item.reason)))


def _made(facts: Facts, shift: ShiftSpan | None) -> tuple[tuple[str, int], ...]:
    if shift is None or not len(facts):
        return ()
    wanted = (facts.shift == shift.name) & (facts.business_date == shift.business_date)
    pieces = facts.sums[:, FACT["pieces_total"]] + facts.sums[:, FACT["pieces_unwatched"]]
    sums: dict[str, int] = {}
    for product, count, counts in zip(facts.product.tolist(), pieces.tolist(), wanted.tolist(), strict=True):
        if counts:
            sums[product] = sums.get(product, 0) + count
    return tuple(sorted(((name, count) for name, count in sums.items() if count), key=lambda item: (-item[1], item[0])))


def picture(view: MachineView, from_ns: int, until_ns: int, cells: int) -> list[State | None]:
    """The time between, from `view.from_ns` on, in equal cells: the state that fills most of each; None where nothing is known yet,
    before the machine was watched and after the last commit.
    """
    edges = np.linspace(from_ns, until_ns, cells + 1).astype(np.int64)
    filled_ms = np.zeros((cells, len(State)), np.int64)
    known_from, known_until = max(view.watched_ns or until_ns, from_ns), min(view.computed_ns, until_ns)
    filled_ms[:, State.RUNNING] = _overlap_ms(edges, known_from, known_until)
    for stop in view.stops:
        in_cells = _overlap_ms(edges, max(stop.start_ns, known_from), min(stop.end_ns or known_until, known_until))
        filled_ms[:, stop.state] += in_cells
        filled_ms[:, State.RUNNING] -= in_cells
    most = filled_ms.argmax(axis=1)
    return [State(int(code)) if filled_ms[cell].any() else None for cell, code in enumerate(most)]


def _overlap_ms(edges: Int64, start_ns: int, end_ns: int) -> Int64:
    low, high = np.maximum(edges[:-1], start_ns), np.minimum(edges[1:], end_ns)
    out: Int64 = np.maximum(high - low, 0) // MS_NS
    return out
