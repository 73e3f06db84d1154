"""The past of one machine as columns: what every rule reads, made once. Pure.

Minutes are a grid without holes over the window, so that rules count by adding instead of by searching. Only scheduled
time is in it; a minute belongs to the calendar class in which it begins.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oee.advice.beside import NOTHING, Beside, MachineMinutes, part_of_beside
from oee.advice.grid import COLUMN, OPERATING, Bool, Float64, Grid, kept
from oee.kpi.changeovers import SetupTimes, changeovers
from oee.model.calendars import Calendar, cut
from oee.model.facts import (
    MINUTE_NS,
    MS_NS,
    NO_BINS,
    CycleBins,
    Facts,
    Int64,
    Stop,
    Text,
    numbered,
    select,
    text_column,
)
from oee.model.states import CalendarClass, State

DAY_NS: Final = 86_400_000_000_000
WEEK_MIN: Final = 7 * 24 * 60


LEAST_SHARE_OF_A_DAY: Final = 0.5
LEAST_COVERAGE_OF_A_DAY: Final = 0.8
REST_DAYS: Final = 4
RAMP_DAYS: Final = 2
LEAST_CONFIRMING: Final = 10
EDGE_MIN: Final = 10


@dataclass(frozen=True)
class StopColumns:
    """Closed stops of one machine by start, each [n]. state: `State` uint8; the texts are object[n] of str; columns as
    in `Stop`.
    """

    id: Text
    start_ns: Int64
    end_ns: Int64
    state: NDArray[np.uint8]
    reason: Text
    by: Text
    product: Text
    to_product: Text

    def __len__(self) -> int:
        return len(self.start_ns)


def stop_columns(stops: Iterable[Stop]) -> StopColumns:
    """The closed stops among these, of one machine: the highest revision of each, none that has vanished."""
    newest: dict[str, Stop] = {}
    for stop in stops:
        if stop.id not in newest or stop.revision > newest[stop.id].revision:
            newest[stop.id] = stop
    closed = [
        (stop, stop.end_ns) for stop in newest.values() if stop.end_ns is not None and stop.end_ns > stop.start_ns
    ]
    closed.sort(key=lambda row: (row[0].start_ns, row[0].id))
    rows = [stop for stop, _ in closed]
    return StopColumns(
        text_column([stop.id for stop in rows]),
        np.array([stop.start_ns for stop in rows], np.int64),
        np.array([end_ns for _, end_ns in closed], np.int64),
        np.array([stop.state for stop in rows], np.uint8),
        text_column([stop.reason for stop in rows]),
        text_column([stop.by for stop in rows]),
        text_column([stop.product for stop in rows]),
        text_column([stop.to_product for stop in rows]),
    )


@dataclass(frozen=True)
class Stretches:
    """Scheduled time without a break in it, each [k] and in order. start_ns, end_ns [ns UTC]; date: days since
    1970-01-01; instance: number of the shift of that date; opens, closes: the shift begins or ends with it; shift: its
    name.
    """

    start_ns: Int64
    end_ns: Int64
    date: NDArray[np.int32]
    instance: Int64
    opens: Bool
    closes: Bool
    shift: Text


@dataclass(frozen=True)
class MachineWindow:
    """One machine over `[start_ns, end_ns)`, whole minutes [ns UTC].

    minutes: int64[m, len(GRID_COLUMNS)], what each minute adds up to over products. stretch: int64[m], the stretch that
    a minute lies in, -1 where it is not scheduled or its day is odd. product: int64[m], number of the product in
    `products`, -1 without facts. facts: scheduled ones of days that are not odd. dropped: odd business dates. break_share:
    share of breaks in which the machine ran. distrusted: products whose ideal time is proven wrong; unverified: whose
    ideal time nobody has confirmed; overhaul_ns: when the machine was last made as new. confirming: it is a part that has
    to confirm what an earlier one said. outside_ms: int64[m], running outside shifts and breaks. beside: what else
    is known of it. cycles: its histograms of cycle times by business date, none from a gateway or a store that has none.
    """

    machine: str
    start_ns: int
    end_ns: int
    minutes: Int64
    stretch: Int64
    product: Int64
    products: tuple[str, ...]
    stretches: Stretches
    facts: Facts
    stops: StopColumns
    setups: SetupTimes
    dropped: tuple[int, ...]
    break_share: float
    distrusted: frozenset[str] = frozenset()
    unverified: frozenset[str] = frozenset()
    overhaul_ns: int | None = None
    confirming: bool = False
    outside_ms: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    beside: Beside = NOTHING
    cycles: CycleBins = NO_BINS

    def least(self, instances: int) -> int:
        """How many instances a rule needs here: so many, or `LEAST_CONFIRMING` to confirm."""
        return min(instances, LEAST_CONFIRMING) if self.confirming else instances

    def column(self, name: str) -> Int64:
        """One column of the grid, int64[m], 0 where `stretch` is -1; not to be written to."""
        if name not in self._columns:
            self._columns[name] = np.where(self.stretch >= 0, self.minutes[:, COLUMN[name]], 0)
            self._columns[name].flags.writeable = False
        return self._columns[name]

    @cached_property
    def _columns(self) -> dict[str, Int64]:
        return {}

    @cached_property
    def shifts_of_facts(self) -> tuple[list[str], Int64]:
        """The shifts of `facts` by name, and the number of each row's."""
        return numbered(self.facts.shift)

    @cached_property
    def products_of_facts(self) -> tuple[list[str], Int64]:
        """The products of `facts` by name, and the number of each row's."""
        return numbered(self.facts.product)

    @cached_property
    def weeks(self) -> float:
        """Scheduled days that count, in weeks of the calendar: the window less odd days."""
        days = np.unique(self.stretches.date)
        kept = len(days) - len(self.dropped)
        return (self.end_ns - self.start_ns) / (7 * DAY_NS) * (kept / len(days) if len(days) else 0.0)

    @cached_property
    def worked_days(self) -> int:
        """Business dates with scheduled time that are not odd."""
        return len(np.unique(self.stretches.date)) - len(self.dropped)

    def minute_of(self, t_ns: Int64) -> Int64:
        """Row of the grid that each instant lies in, -1 outside the window."""
        row = (t_ns - self.start_ns) // MINUTE_NS
        out: Int64 = np.where((row >= 0) & (row < len(self.stretch)), row, -1)
        return out

    def scheduled_min(self, start_ns: Int64, end_ns: Int64) -> Float64:
        """Scheduled time between each pair of instants, odd days included [minutes]."""
        edges = np.stack([self.stretches.start_ns, self.stretches.end_ns], axis=1).ravel()
        if not len(edges):
            return np.zeros(len(start_ns))
        length = np.stack(
            [np.zeros_like(self.stretches.start_ns), self.stretches.end_ns - self.stretches.start_ns], axis=1
        )
        passed = np.cumsum(length.ravel())
        relative = (edges - self.start_ns).astype(np.float64)
        first = np.interp((start_ns - self.start_ns).astype(np.float64), relative, passed)
        last = np.interp((end_ns - self.start_ns).astype(np.float64), relative, passed)
        out: Float64 = (last - first) / MINUTE_NS
        return out


def part_of(window: MachineWindow, start_ns: int, end_ns: int) -> MachineWindow:
    """The part of a window within `[start_ns, end_ns)`, whole minutes, to confirm what was seen before it.

    Odd days stay odd. A shift that the part begins or ends in neither opens nor closes there. Set-ups without a pair are
    not counted.
    """
    low = min(max(0, (start_ns - window.start_ns) // MINUTE_NS), len(window.stretch))
    high = max(low, min(len(window.stretch), (end_ns - window.start_ns) // MINUTE_NS))
    start_ns, end_ns = window.start_ns + low * MINUTE_NS, window.start_ns + high * MINUTE_NS
    all_of_them = window.stretches
    touched = np.flatnonzero((all_of_them.end_ns > start_ns) & (all_of_them.start_ns < end_ns))
    stretches = Stretches(**{name: getattr(all_of_them, name)[touched] for name in Stretches.__dataclass_fields__})
    stretches = replace(
        stretches,
        start_ns=np.maximum(stretches.start_ns, start_ns),
        end_ns=np.minimum(stretches.end_ns, end_ns),
        opens=stretches.opens & (stretches.start_ns >= start_ns),
        closes=stretches.closes & (stretches.end_ns <= end_ns),
    )
    stretch = window.stretch[low:high]
    stops, facts = window.stops, window.facts
    within = (stops.start_ns >= start_ns) & (stops.end_ns <= end_ns)
    done = tuple(item for item in window.setups.changeovers if start_ns <= item.start_ns and item.end_ns <= end_ns)
    days = set(stretches.date.tolist())
    return replace(
        window,
        start_ns=start_ns,
        end_ns=end_ns,
        minutes=window.minutes[low:high],
        stretch=np.where(stretch >= 0, stretch - (int(touched[0]) if len(touched) else 0), -1),
        product=window.product[low:high],
        outside_ms=window.outside_ms[low:high],
        stretches=stretches,
        facts=kept(facts, (facts.minute_ns >= start_ns) & (facts.minute_ns < end_ns)),
        stops=_chosen(stops, within),
        setups=SetupTimes(done, 0, 0, 0),
        dropped=tuple(day for day in window.dropped if day in days),
        confirming=True,
        beside=part_of_beside(window.beside, window.start_ns, low, high),
        cycles=select(window.cycles, np.isin(window.cycles.business_date, stretches.date)),
    )


def with_cycles(window: MachineWindow, cycles: CycleBins) -> MachineWindow:
    """The window with the histograms of its scheduled days that are not odd. cycles: of this machine, over any time."""
    days = np.setdiff1d(window.stretches.date, window.dropped)
    return replace(window, cycles=select(cycles, np.isin(cycles.business_date, days)))


def _chosen(stops: StopColumns, rows: Bool) -> StopColumns:
    return StopColumns(**{name: getattr(stops, name)[rows] for name in StopColumns.__dataclass_fields__})


def machine_window(
    machine: str,
    calendar: Calendar,
    facts: Facts | Iterable[Facts],
    stops: StopColumns,
    start_ns: int,
    end_ns: int,
    *,
    distrusted: frozenset[str] = frozenset(),
    unverified: frozenset[str] = frozenset(),
    overhaul_ns: int | None = None,
) -> MachineWindow:
    """The window of one machine. facts, stops: of this machine, in any order and over any time; what lies outside
    `[start_ns, end_ns)` is left out. Both ends are brought to whole minutes. facts may come in parts.
    """
    made = _made(machine, calendar, stops, start_ns, end_ns, lambda grid, _stretch, _standing: grid.add(facts))
    return replace(made, distrusted=distrusted, unverified=unverified, overhaul_ns=overhaul_ns)


def hourly_window(
    machine: str, calendar: Calendar, hours: Facts, stops: StopColumns, start_ns: int, end_ns: int
) -> MachineWindow:
    """A long window from sums of hours: for rules that look at a year of failures, of which minutes would not fit.

    Operation (running, minor stops, set-up) lies in the minutes of its hour that are scheduled and outside other stops. All
    else that was watched is spread over the hour as an unplanned stop, for odd days only. There are no facts and products.
    """
    return _made(
        machine,
        calendar,
        stops,
        start_ns,
        end_ns,
        lambda grid, stretch, standing: grid.add_hours(hours, stretch, standing),
    )


def machine_minutes(window: MachineWindow) -> MachineMinutes:
    """What the machine did in each minute, for the site that it belongs to. Minor stops, unplanned ones and breakdowns
    count that begin more than `EDGE_MIN` minutes from where its scheduled time begins and ends.
    """
    stops, stretches = window.stops, window.stretches
    row = window.minute_of(stops.start_ns)
    usable = (row >= 0) & np.isin(stops.state, (State.MINOR_STOP, State.UNPLANNED_STOP, State.BREAKDOWN))
    usable[usable] &= window.stretch[row[usable]] >= 0
    rows = np.flatnonzero(usable)
    of = window.stretch[row[rows]]
    inside = np.zeros(0, np.bool_)
    if len(rows):
        since, until = stops.start_ns[rows] - stretches.start_ns[of], stretches.end_ns[of] - stops.start_ns[rows]
        inside = (since > EDGE_MIN * MINUTE_NS) & (until > EDGE_MIN * MINUTE_NS)
    rows = rows[inside]
    began = np.zeros(len(window.stretch), np.bool_)
    began[row[rows]] = True
    length_min = window.scheduled_min(stops.start_ns[rows], stops.end_ns[rows])
    return MachineMinutes(window.machine, window.column("running_ms") > 0, began, row[rows], length_min)


def _made(
    machine: str,
    calendar: Calendar,
    stops: StopColumns,
    start_ns: int,
    end_ns: int,
    fill: Callable[[Grid, Int64, Int64], Facts],
) -> MachineWindow:
    start_ns, end_ns = start_ns // MINUTE_NS * MINUTE_NS, end_ns // MINUTE_NS * MINUTE_NS
    stretches, break_ms = _stretches(calendar, start_ns, end_ns)
    within = (stops.start_ns >= start_ns) & (stops.end_ns <= end_ns)
    closed = _chosen(stops, within)
    grid = Grid(start_ns, max(0, (end_ns - start_ns) // MINUTE_NS))
    stretch = np.full(len(grid.minutes), -1, np.int64)
    for index, (first, last) in enumerate(zip(stretches.start_ns.tolist(), stretches.end_ns.tolist(), strict=True)):
        stretch[-(-(first - start_ns) // MINUTE_NS) : -(-(last - start_ns) // MINUTE_NS)] = index
    standing = ~np.isin(closed.state, OPERATING)
    planned = fill(grid, stretch, np.stack([closed.start_ns[standing], closed.end_ns[standing]]))
    products, product = grid.products()
    odd = _odd_days(stretches, grid.minutes, stretch)
    stretch[np.isin(stretches.date[stretch], odd) if len(stretches.date) else stretch >= 0] = -1
    return MachineWindow(
        machine,
        start_ns,
        end_ns,
        grid.minutes,
        stretch,
        product,
        products,
        stretches,
        kept(planned, ~np.isin(planned.business_date, odd)),
        closed,
        _setups(machine, calendar, closed),
        tuple(int(day) for day in odd),
        grid.break_run_ms / break_ms if break_ms else 0.0,
        outside_ms=grid.outside_ms,
    )


def _stretches(calendar: Calendar, start_ns: int, end_ns: int) -> tuple[Stretches, int]:
    """The scheduled stretches of a window, and how long its breaks are [ms]."""
    spans = cut(calendar, start_ns, end_ns)
    pause = spans.calendar == CalendarClass.BREAK
    break_ms = int((spans.end_ns - spans.start_ns)[pause].sum()) // MS_NS
    on = spans.calendar == CalendarClass.SCHEDULED
    names = {name: index for index, name in enumerate(sorted(set(spans.shift.tolist())))}
    shift = np.array([names[name] for name in spans.shift.tolist()], np.int64)[on]
    date = spans.business_date[on]
    new = np.ones(len(date), np.bool_)
    new[1:] = (date[1:] != date[:-1]) | (shift[1:] != shift[:-1])
    closes = np.append(new[1:], True)[: len(new)]
    instance = np.cumsum(new) - 1
    instance = instance.astype(np.int64)
    return Stretches(spans.start_ns[on], spans.end_ns[on], date, instance, new, closes, spans.shift[on]), break_ms


def _odd_days(stretches: Stretches, minutes: Int64, stretch: Int64) -> NDArray[np.int32]:
    """Business dates that say nothing about ordinary ones: with less than half of the time of their weekday, watched
    for less than 80 %, or the first two after four days without schedule.
    """
    days, index = np.unique(stretches.date, return_inverse=True)
    if not len(days):
        return days
    scheduled = np.bincount(index, (stretches.end_ns - stretches.start_ns) / MS_NS)
    states = minutes[:, : len(State)].sum(axis=1) - minutes[:, COLUMN["unknown_ms"]]
    on = stretch >= 0
    known = np.bincount(index[stretch[on]], states[on], len(days))
    usual = np.zeros(len(days))
    for weekday in range(7):
        same = (days + 3) % 7 == weekday
        if same.any():
            usual[same] = np.median(scheduled[same])
    odd = (scheduled < LEAST_SHARE_OF_A_DAY * usual) | (known < LEAST_COVERAGE_OF_A_DAY * scheduled)
    for resumed in np.flatnonzero(np.diff(days) > REST_DAYS) + 1:
        odd[resumed : resumed + RAMP_DAYS] = True
    out: NDArray[np.int32] = days[odd]
    return out


def _setups(machine: str, calendar: Calendar, stops: StopColumns) -> SetupTimes:
    """Changeovers of these stops; only stops in state `setup` and those that adjoin another become objects."""
    joined = np.zeros(len(stops), np.bool_)
    meets = stops.end_ns[:-1] == stops.start_ns[1:]
    joined[:-1] |= meets
    joined[1:] |= meets
    rows = np.flatnonzero(joined | (stops.state == State.SETUP))
    return changeovers(
        (
            Stop(
                machine,
                stops.id[i],
                int(stops.start_ns[i]),
                int(stops.end_ns[i]),
                State(int(stops.state[i])),
                stops.reason[i],
                stops.by[i],
                stops.product[i],
                stops.to_product[i],
                0,
            )
            for i in rows
        ),
        {machine: calendar},
    )
