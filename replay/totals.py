"""Accumulates the engine's output: sums by key, the longest stops, and the data for the drawings of days.

Memory grows with days, shifts and products, not with samples, minutes or stops.
"""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from oee.engine.classify_stops import scheduled_before
from oee.engine.stops import OPEN_NS, Stops, join_stops, no_stops, select_stops
from oee.engine.window import Window
from oee.kpi.changeovers import Changeover, changeovers
from oee.kpi.learn import Runs, join_runs, runs_of
from oee.model.calendars import cut
from oee.model.facts import FACT, FACT_COLUMNS, MS_NS, Facts, Int64, Losses, Stop, Table, select
from oee.model.machine import Machine
from oee.model.samples import Samples
from oee.model.states import State
from replay.past import RecordedPast

STOPS_KEPT: Final = 1000
BIN_NS: Final = 300_000_000_000
DAY_BINS: Final = 288
_DAYS_KEPT: Final = 33
_STATES: Final = len(State)
CYCLES_KEPT: Final = 20_000
_POLLS_AT_LEAST: Final = 20
RunKey = tuple[str, str, int]
"""Machine, product, pieces per count."""


class FactsKey(NamedTuple):
    """A fact's key without its minute. business_date: days since 1970-01-01; calendar: `CalendarClass`."""

    machine: str
    business_date: int
    shift: str
    product: str
    calendar: int


class OrderKey(NamedTuple):
    """A facts key and the order that was worked on; "" for none."""

    machine: str
    business_date: int
    shift: str
    product: str
    calendar: int
    order: str


class LossesKey(NamedTuple):
    """A loss's key without its minute."""

    machine: str
    business_date: int
    shift: str
    product: str
    calendar: int
    state: int
    reason: str


class RankedStop(NamedTuple):
    """A stop, its whole length and the part of it that was scheduled time [ms]."""

    stop: Stop
    ms: int
    scheduled_ms: int


@dataclass
class Observations:
    """What a replay keeps besides sums: changeovers, and the latest cycles of each product only, so that memory does not
    grow with the samples.

    unpaired, unpaired_ms: set-up intervals that belong to no pair of products; still_open: changeovers that have not
    ended. poll_ns: by machine, the period at which the recording polled its counter, where the rows show it.
    """

    changeovers: list[Changeover] = field(default_factory=list)
    unpaired: int = 0
    unpaired_ms: int = 0
    still_open: int = 0
    runs: dict[RunKey, Runs] = field(default_factory=dict)
    poll_ns: dict[str, int] = field(default_factory=dict)

    def add_stops(self, machine: Machine, stops: Stops, from_ns: int, to_ns: int) -> None:
        """Adds final stops, in order of time; a changeover counts if it begins within `[from_ns, to_ns)`."""
        stops = select_stops(stops, stops.start_ns < stops.end_ns)  # without what a correction made vanish
        if not (stops.state == State.SETUP).any():
            return
        chain = np.append(0, (stops.start_ns[1:] != stops.end_ns[:-1]).cumsum())
        with_setup = np.bincount(chain, weights=stops.state == State.SETUP) > 0
        first_ns = stops.start_ns[np.searchsorted(chain, chain)]
        wanted = with_setup[chain] & (first_ns >= from_ns) & (first_ns < to_ns)
        result = changeovers(select_stops(stops, wanted), {machine.id: machine.calendar})
        self.changeovers += result.changeovers
        self.unpaired += result.unpaired
        self.unpaired_ms += result.unpaired_ms
        self.still_open += result.still_open

    def add_cycles(self, window: Window, start_ns: int, end_ns: int) -> None:
        """Adds the cycles of `[start_ns, end_ns)`, which must be settled."""
        for (product, per_count), runs in runs_of(window, start_ns, end_ns).items():
            key = (window.machine.id, product, per_count)
            joined = join_runs(self.runs[key], runs) if key in self.runs else runs
            self.runs[key] = joined.latest(CYCLES_KEPT)

    def observe_polling(self, machines: Mapping[str, Machine], samples: Samples) -> None:
        """Derives the polling period of each machine's counter: the row before each step is kept, and where it repeats the
        value of the row before it, it was a poll without a step."""
        for name, machine in machines.items():
            counter = next(iter(machine.pieces.needed()), None)
            if counter is None or name in self.poll_ns or counter.tag not in samples:
                continue
            rows = samples[counter.tag]
            steps = rows.value[1:] != rows.value[:-1]
            polls = np.flatnonzero(steps[1:] & ~steps[:-1]) + 1
            if len(polls) >= _POLLS_AT_LEAST:
                self.poll_ns[name] = int(np.median(rows.t_ns[polls + 1] - rows.t_ns[polls]))


@dataclass
class Totals:
    """Sums of one replay.

    facts: int64[33] by key; orders: the same by order, of machines with orders; losses: [ms, pieces] by key.
    pictures: by machine and UTC day the milliseconds in each state of every five minutes, the latest days only.
    stops_left_out: stops beyond the `STOPS_KEPT` that cost most scheduled time.
    from_ns, to_ns: only minutes that start within count. past: minutes and stops are kept there too, if it is given.
    """

    from_ns: int = 0
    to_ns: int = 2**62
    facts: dict[FactsKey, Int64] = field(default_factory=dict)
    losses: dict[LossesKey, list[int]] = field(default_factory=dict)
    orders: dict[OrderKey, Int64] = field(default_factory=dict)
    pictures: dict[tuple[str, int], Int64] = field(default_factory=dict)
    stops_left_out: int = 0
    observations: Observations = field(default_factory=Observations)
    past: RecordedPast | None = None
    _open: dict[str, Stops] = field(default_factory=dict)
    _longest: list[tuple[int, str, str, RankedStop]] = field(default_factory=list)

    def add(self, facts: Facts, losses: Losses, stops: Stops | None, machine: Machine, settled_ns: int) -> None:
        """Adds the rows of one step; stops before `settled_ns` will not change any more."""
        self._add_facts(facts)
        self._add_losses(losses)
        if stops is None:
            return
        waiting = _latest(join_stops(self._open.get(machine.id, no_stops(machine.id)), stops))
        final = waiting.start_ns < settled_ns
        self._open[machine.id] = select_stops(waiting, ~final)
        self._keep(machine, select_stops(waiting, final), settled_ns)

    def close(self, machine: Machine, end_ns: int) -> None:
        """Ends a machine: stops that have not ended last until `end_ns`."""
        self._keep(machine, self._open.pop(machine.id, no_stops(machine.id)), end_ns)

    def stops(self) -> list[RankedStop]:
        """The longest stops, in order of time."""
        return sorted((item[3] for item in self._longest), key=lambda item: (item.stop.start_ns, item.stop.machine))

    def _keep(self, machine: Machine, stops: Stops, end_ns: int) -> None:
        if not len(stops):
            return
        ends_ns = np.where(stops.end_ns == OPEN_NS, end_ns, stops.end_ns)
        spans = cut(machine.calendar, int(stops.start_ns.min()), int(ends_ns.max()) + 1)
        lost_ns = scheduled_before(spans, ends_ns) - scheduled_before(spans, stops.start_ns)
        self.observations.add_stops(machine, stops, self.from_ns, self.to_ns)
        if self.past is not None:
            self.past.add_stops(machine.id, stops)
        inside = (stops.start_ns < ends_ns) & (ends_ns > self.from_ns) & (stops.start_ns < self.to_ns)
        is_full = len(self._longest) >= STOPS_KEPT
        chosen = np.flatnonzero(inside & (lost_ns > self._longest[0][0]) if is_full else inside)
        chosen = chosen[np.argsort(-lost_ns[chosen], kind="stable")[:STOPS_KEPT]]
        self.stops_left_out += int(inside.sum()) - len(chosen)
        lengths_ms = (ends_ns - stops.start_ns) // MS_NS
        for index, stop in zip(chosen.tolist(), select_stops(stops, chosen), strict=True):
            lost = int(lost_ns[index])
            entry = (lost, stop.machine, stop.id, RankedStop(stop, int(lengths_ms[index]), lost // MS_NS))
            if len(self._longest) < STOPS_KEPT:
                heapq.heappush(self._longest, entry)
            else:
                heapq.heappushpop(self._longest, entry)
                self.stops_left_out += 1

    def _add_facts(self, facts: Facts) -> None:
        facts = _within(facts, self.from_ns, self.to_ns)
        if not len(facts):
            return
        if self.past is not None:
            self.past.add_facts(str(facts.machine[0]), facts)
        for key, row in _by_key(facts):
            self.facts[key] = self.facts[key] + row if key in self.facts else row
        self._draw(facts)

    def add_order(self, order: str, facts: Facts) -> None:
        """Adds facts of time in which a machine worked on that order."""
        facts = _within(facts, self.from_ns, self.to_ns)
        for key, row in _by_key(facts):
            order_key = OrderKey(*key, order)
            self.orders[order_key] = self.orders[order_key] + row if order_key in self.orders else row

    def _draw(self, facts: Facts) -> None:
        machine, cells = str(facts.machine[0]), facts.minute_ns // BIN_NS
        first = int(cells.min()) // DAY_BINS
        days = int(cells.max()) // DAY_BINS - first + 1
        cells -= first * DAY_BINS
        drawn = np.empty((_STATES, days * DAY_BINS), np.int64)
        for state in range(_STATES):  # sums in floats are exact far beyond a day of milliseconds
            drawn[state] = np.bincount(cells, weights=facts.sums[:, state], minlength=days * DAY_BINS)
        by_day = drawn.reshape(_STATES, days, DAY_BINS)
        for day in np.flatnonzero(np.bincount(cells // DAY_BINS)).tolist():
            key = (machine, first + day)
            picture = by_day[:, day].T
            self.pictures[key] = self.pictures[key] + picture if key in self.pictures else picture.copy()
        newest = max(day for name, day in self.pictures if name == machine)
        for key in [key for key in self.pictures if key[0] == machine and key[1] <= newest - _DAYS_KEPT]:
            del self.pictures[key]

    def _add_losses(self, losses: Losses) -> None:
        losses = _within(losses, self.from_ns, self.to_ns)
        if not len(losses):
            return
        # by state, since neighbours of one state mostly share a reason
        losses = select(losses, np.argsort(losses.state, kind="stable"))
        starts = _runs(losses, losses.state, losses.reason)
        sums = np.add.reduceat(losses.sums, starts, axis=0).tolist()
        for start, (ms, pieces) in zip(starts.tolist(), sums, strict=True):
            key = LossesKey(*_key(losses, start), int(losses.state[start]), losses.reason[start])
            total = self.losses.setdefault(key, [0, 0])
            total[0] += ms
            total[1] += pieces


def _latest(stops: Stops) -> Stops:
    """The latest revision of each stop, in order of time."""
    order = np.argsort(stops.start_ns, kind="stable")
    start_ns = stops.start_ns[order]
    return select_stops(stops, order[np.append(start_ns[1:] != start_ns[:-1], True)] if len(order) else order)


def _runs(table: Facts | Losses, *more: Any) -> Int64:
    """Where neighbours of one key begin."""
    differs = np.zeros(len(table) - 1, np.bool_)
    for column in (table.business_date, table.calendar, table.shift, table.product, *more):
        differs |= column[1:] != column[:-1]
    out: Int64 = np.append(0, np.flatnonzero(differs) + 1)
    return out


def _by_key(facts: Facts) -> Iterator[tuple[FactsKey, Int64]]:
    """Sums of neighbours of one key."""
    if len(facts):
        starts = _runs(facts)
        yield from zip(
            (_key(facts, start) for start in starts.tolist()), np.add.reduceat(facts.sums, starts, axis=0), strict=True
        )


def _key(table: Facts | Losses, row: int) -> FactsKey:
    return FactsKey(
        table.machine[row],
        int(table.business_date[row]),
        table.shift[row],
        table.product[row],
        int(table.calendar[row]),
    )


def only_pieces(facts: Facts) -> Facts:
    """The same rows without time: pieces counted by the last sample, at which the window ends."""
    sums = facts.sums.copy()
    for name in FACT_COLUMNS:
        if name.endswith("_ms") or name in ("stops", "failures"):
            sums[:, FACT[name]] = 0
    filled = sums.any(axis=1)
    return Facts(**{**select(facts, filled).__dict__, "sums": sums[filled]})


def _within(table: Table, from_ns: int, to_ns: int) -> Table:
    if from_ns == 0 and to_ns == 2**62:
        return table
    return select(table, (table.minute_ns >= from_ns) & (table.minute_ns < to_ns))
