"""The engine over recorded files, block by block.

A block is four weeks: long enough that the fixed cost of a step does not matter. While a machine does not settle (a
stop of weeks), blocks grow with the unsettled time, so that the work stays proportional to the length of the history.

The window ends at the last sample, but pieces counted by this sample were made before it: one more step of one
millisecond collects them, and nothing else of that step is used.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from config import Site, compile_site, load_profiles
from oee.engine import step as engine
from oee.engine.production import count_all
from oee.engine.state import CounterOddity
from oee.kpi.orders import OrderPeriod, facts_by_order, order_periods
from oee.model.declarations import Declaration
from oee.model.facts import MINUTE_NS, MS_NS, NO_LOSSES
from oee.model.machine import Machine
from oee.model.samples import Samples
from replay.past import RecordedPast
from replay.read import declarations as declarations_file
from replay.read.conflicts import Conflict, Conflicts
from replay.read.feed import Tape, open_tapes
from replay.read.times import iso
from replay.totals import Totals, only_pieces

BLOCK_NS: Final = 28 * 86_400_000_000_000
_END_NS: Final = 2**62
_EARLY_NS: Final = 3_600_000_000_000
Progress = Callable[[float, int], None]
"""Called after each block with the share of the files that has been read [1] and the rows read so far."""


@dataclass(frozen=True)
class Period:
    """`[start_ns, end_ns)`: from the first sample to the last, or the requested part of it."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class ReplayResult:
    """The result of a replay. window: None where no sample could be used; rows: number of rows read from files; orders: by
    machine, of machines with declared orders."""

    site: Site
    machines: Mapping[str, Machine]
    window: Period | None
    totals: Totals
    conflicts: tuple[Conflict, ...]
    rows: int
    orders: Mapping[str, tuple[OrderPeriod, ...]] = field(default_factory=dict)


def replay(
    site: Site,
    folder: Path,
    *,
    from_ns: int = 0,
    to_ns: int = _END_NS,
    progress: Progress | None = None,
    past: RecordedPast | None = None,
) -> ReplayResult:
    """Runs all recorded samples of the site in `folder` through the engine.

    from_ns, to_ns: only whole minutes between them are reported; stops are classified with all samples. past: keeps minutes
    and stops, for advice.
    """
    machines = {name: _recorded(machine) for name, machine in compile_site(site, load_profiles()).items()}
    zone = ZoneInfo(site.timezone)
    conflicts = Conflicts()
    declared = declarations_file.read(folder, site, machines, zone, conflicts)
    totals = Totals(-(-from_ns // MINUTE_NS) * MINUTE_NS, to_ns - to_ns % MINUTE_NS if to_ns < _END_NS else _END_NS)
    totals.past = past
    with ThreadPoolExecutor(1, "replay-reader") as reader:
        tapes = open_tapes(folder, site, machines, zone, conflicts, reader)
        window = _replay(machines, declared, tapes, totals, conflicts, zone, progress)
    return ReplayResult(
        site, machines, window, totals, conflicts.all(), sum(tape.rows_read for tape in tapes), orders_of(declared)
    )


def _replay(
    machines: Mapping[str, Machine],
    declared: Mapping[str, tuple[Declaration, ...]],
    tapes: list[Tape],
    totals: Totals,
    conflicts: Conflicts,
    zone: ZoneInfo,
    progress: Progress | None,
) -> Period | None:
    for tape in tapes:
        tape.read_to(0)
    for tape in tapes:
        if tape.first_ns is None:
            conflicts.add(tape.name, 0, "no_rows")
    filled = [tape for tape in tapes if tape.first_ns is not None]
    first_ns = min((tape.first_ns for tape in filled if tape.first_ns is not None), default=0)
    if not filled:
        return None
    last_ns = _Run(machines, declared, filled, totals, conflicts, progress).go(first_ns)
    _early_ends(filled, last_ns, zone, conflicts)
    window = Period(max(first_ns - first_ns % MS_NS, totals.from_ns), min(last_ns, totals.to_ns))
    if window.end_ns > window.start_ns:
        return window
    conflicts.add("", 0, "empty_window", "", f"{iso(first_ns, zone)} .. {iso(last_ns, zone)}")
    return None


def orders_of(declared: Mapping[str, tuple[Declaration, ...]]) -> dict[str, tuple[OrderPeriod, ...]]:
    """Each machine's orders; machines without declared orders are left out."""
    return {
        name: order_periods(items) for name, items in declared.items() if any(item.field == "order" for item in items)
    }


def _recorded(machine: Machine) -> Machine:
    """The machine for a recording: its rows say when a counter was looked at."""
    counters = {role: replace(counter, recorded=True) for role, counter in machine.pieces.counters().items()}
    return replace(machine, pieces=replace(machine.pieces, **counters))  # type: ignore[arg-type]  # roles are its fields


class _Run:
    """One pass over the files. Holds the engine state of each machine."""

    def __init__(
        self,
        machines: Mapping[str, Machine],
        declared: Mapping[str, tuple[Declaration, ...]],
        tapes: list[Tape],
        totals: Totals,
        conflicts: Conflicts,
        progress: Progress | None,
    ) -> None:
        self._machines, self._declared, self._tapes, self._totals = machines, dict(declared), tapes, totals
        self._conflicts, self._progress = conflicts, progress
        self._states = {name: engine.start() for name in machines}
        self._orders = orders_of(declared)
        self._oddities: dict[tuple[str, str, int], CounterOddity] = {}

    def go(self, first_ns: int) -> int:
        """Runs to the end of the files; returns the time of the last sample [ns]."""
        position = first_ns
        while True:
            until = (position // BLOCK_NS + 1) * BLOCK_NS
            behind = [until - state.settled_ns for state in self._states.values() if state.settled_ns]
            until += max((lag // 2 // BLOCK_NS * BLOCK_NS for lag in behind), default=0)
            for tape in self._tapes:
                tape.read_to(until)
            last_ns = max(tape.last_ns or 0 for tape in self._tapes)
            if all(tape.done for tape in self._tapes) and last_ns <= until:
                last_ns -= last_ns % MS_NS
                self._block(last_ns, _END_NS)
                self._last_pieces(last_ns)
                self._report_oddities()
                return last_ns
            self._block(until, until)
            position = until

    def _block(self, until_ns: int, send_until_ns: int) -> None:
        samples = self._take(until_ns)
        self._totals.observations.observe_polling(self._machines, samples)
        for name, machine in self._machines.items():
            declarations = self._declared.pop(name, ())
            result = engine.step(machine, self._states[name], samples, declarations, until_ns, send_until_ns)
            self._collect(
                result, self._states[name].settled_ns, until_ns if send_until_ns == _END_NS else result.settled_ns
            )
            self._states[name] = result.state
            self._totals.add(result.facts, result.losses, result.stops, machine, result.settled_ns)
            if self._totals.past is not None:
                self._totals.past.add_cycles(name, result.cycles)
            self._note_oddities(name, result.state)
        if self._progress:
            share = sum(tape.share * tape.size for tape in self._tapes) / max(sum(tape.size for tape in self._tapes), 1)
            self._progress(share, sum(tape.rows_read for tape in self._tapes))

    def _collect(self, result: engine.Step, settled_ns: int, until_ns: int) -> None:
        """Cycles and orders since the time settled before."""
        if result.window is None:
            return
        low = max(settled_ns, self._totals.from_ns, int(result.window.timeline.start_ns[0]))
        high = min(until_ns, self._totals.to_ns)
        if low >= high:
            return
        self._totals.observations.add_cycles(result.window, low, high)
        for order, facts in facts_by_order(result.window, self._orders.get(result.window.machine.id, ()), low, high):
            self._totals.add_order(order, facts)

    def _last_pieces(self, last_ns: int) -> None:
        samples = self._take(last_ns + MS_NS)
        for name, machine in self._machines.items():
            result = engine.step(machine, self._states[name], samples, (), last_ns + MS_NS, _END_NS)
            pieces = only_pieces(result.facts)
            self._totals.add(pieces, NO_LOSSES, None, machine, 0)
            for period in self._orders.get(name, ()):
                if period.start_ns < last_ns <= (period.end_ns or last_ns):
                    self._totals.add_order(period.order, pieces)
            self._totals.close(machine, last_ns)
            self._note_oddities(name, result.state)
            self._report_unpaired(name, machine, result.state)

    def _report_unpaired(self, name: str, machine: Machine, state: engine.EngineState) -> None:
        """Reports halves of pairs that are left over at the end."""
        _, after = count_all(machine, state.counters, state.rows, state.rows)
        ahead = after["left"].waiting if "left" in after else 0
        if ahead:
            code = "left_ahead" if ahead > 0 else "right_ahead"
            self._conflicts.add(name, 0, code, "", abs(ahead), severity="note")

    def _take(self, until_ns: int) -> Samples:
        return {tag: rows for tape in self._tapes for tag, rows in tape.take(until_ns).items()}

    def _note_oddities(self, name: str, state: engine.EngineState) -> None:
        """Keeps what counters did besides counting; a later block may tell the same again, and tell better what it was."""
        self._oddities |= {(name, item.role, item.t_ns): item for item in state.oddities}

    def _report_oddities(self) -> None:
        for (name, role, t_ns), item in sorted(self._oddities.items(), key=lambda entry: entry[0][2]):
            when = iso(t_ns, self._machines[name].calendar.zone)
            which = role if len(self._machines[name].pieces.counters()) > 1 else ""
            code, old, new = f"counter_{item.kind}", item.old, item.new
            self._conflicts.add(name, 0, code, which, severity="note", old=old, new=new, when=when)


def _early_ends(tapes: list[Tape], last_ns: int, zone: tzinfo, conflicts: Conflicts) -> None:
    """Reports files that end well before the others; their last values are assumed to hold."""
    for tape in tapes:
        if tape.last_ns is not None and tape.last_ns < last_ns - _EARLY_NS:
            conflicts.add(
                tape.name, 0, "ends_early", "", iso(tape.last_ns, zone), severity="note", end=iso(last_ns, zone)
            )
