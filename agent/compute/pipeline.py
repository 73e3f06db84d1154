"""The pipeline: rows in, facts out. Holds the machines and their states; decides nothing about machines (oee.engine).

Rows come in small pieces from the devices and wait here, machine by machine, until the machine's watermark has
passed them: a step covers `[until, watermark)`, and a row at the watermark belongs to the next one. What a step
offers is kept with the states that it led to until somebody has stored both together (`take`); what could not be
stored is put back, so that memory and disk never tell different stories.

What each step was given is kept with what it offered, for the journal (agent.journal); a machine that is being
corrected stands still meanwhile, and its rows wait.

Beyond `MOST_PENDING_ROWS` nothing more is computed: the machines are paused, and when they go on, the time between
is a gap like any other outage.
"""

import logging
import threading
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from adapters.contract import Row
from agent.outbox.journal import Fed, join_fed
from agent.outbox.packing import Part
from oee.engine import step as engine
from oee.model.facts import FACT, MINUTE_NS, MS_NS, STATE_COLUMNS
from oee.model.machine import Machine
from oee.model.samples import EMPTY, Samples, Series, between, series
from oee.model.states import Quality, State

_LOG: Final = logging.getLogger("nhip.agent.pipeline")
T = TypeVar("T")
MOST_PENDING_ROWS: Final = 200_000
MOST_FED_ROWS: Final = 1_000_000
"""Rows kept for a journal that cannot be written; beyond, it begins anew: some 20 MB."""
_STATES: Final = [FACT[name] for name in STATE_COLUMNS]
_UNKNOWN: Final = f"{State.UNKNOWN.word}_ms"


@dataclass(frozen=True)
class Batch:
    """Parts in order, the states of the machines after them, and what the machines were given: to be stored together or
    not at all."""

    parts: tuple[Part, ...]
    states: Mapping[str, engine.EngineState]
    fed: Mapping[str, Fed] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def carries(self, skip: Container[str] = ()) -> dict[str, bytes]:
        """The states as they are kept on disk: of each machine that offered something, and of others not in `skip`."""
        needed = {part.machine for part in self.parts}
        return {
            machine: engine.dump(state)
            for machine, state in self.states.items()
            if machine in needed or machine not in skip
        }

    def after(self, earlier: "Batch") -> "Batch":
        """What an earlier batch left over, and this one."""
        fed = dict(earlier.fed)
        for name, part in self.fed.items():
            fed[name] = join_fed([fed[name], part]) if name in fed else part
        return Batch((*earlier.parts, *self.parts), {**earlier.states, **self.states}, fed)

    def split(self, stored: Container[str]) -> tuple["Batch", "Batch"]:
        """All parts, with states and rows of the machines whose carry is stored; and those of the others."""
        states, fed = _split_by(self.states, stored), _split_by(self.fed, stored)
        return Batch(self.parts, states[0], fed[0]), Batch((), states[1], fed[1])


def _split_by(table: Mapping[str, T], names: Container[str]) -> tuple[dict[str, T], dict[str, T]]:
    inside = {name: item for name, item in table.items() if name in names}
    return inside, {name: item for name, item in table.items() if name not in inside}


@dataclass
class _Machine:
    """swift: tags whose news may change what the machine is doing; place: where in `idle_ns` its turn is [1]; ahead: what
    it is doing by rows that no step has taken in yet, and up to when.
    """

    machine: Machine
    state: engine.EngineState
    swift: frozenset[str]
    place: float
    rows: dict[str, list[tuple[int, Any, Quality]]] = field(default_factory=dict)
    live: engine.MachineSnapshot | None = None
    ahead: tuple[int, engine.MachineSnapshot] | None = None

    @property
    def shown(self) -> engine.MachineSnapshot | None:
        """What is told on screens."""
        return self.ahead[1] if self.ahead and self.ahead[0] > self.state.until_ns else self.live


class Pipeline:
    """Machines, their states and what they have offered.

    `advance` and `feed` may run in another thread than `feed_rows`, but not at the same time as each other.
    """

    def __init__(
        self,
        machines: Mapping[str, Machine],
        carries: Mapping[str, bytes],
        *,
        most_pending_rows: int = MOST_PENDING_ROWS,
    ) -> None:
        """carries: machine to what `Batch.carries` gave before; a machine without one starts anew. Raises `ValueError`."""
        self._machines = {
            name: _Machine(
                machine,
                engine.load(carries[name]) if name in carries else engine.start(),
                machine.tags() - _only_counted(machine),
                place / len(machines),
            )
            for place, (name, machine) in enumerate(machines.items())
        }
        self._users: dict[str, list[_Machine]] = {}
        for item in self._machines.values():
            for tag in item.machine.tags():
                self._users.setdefault(tag, []).append(item)
        self._lock = threading.Lock()
        self._parts: list[Part] = []
        self._rows = 0
        self._dirty: set[str] = set()
        self._fed: dict[str, list[Fed]] = {}
        self._held: set[str] = set()
        self._most_pending_rows = most_pending_rows
        self.failures = 0
        self._all_ms = self._unknown_ms = 0
        self._seen: dict[str, Row] = {}
        self._paused = False
        self.news = False
        """Whether a row has come since the last `preview` that may change what a machine is doing."""

    @property
    def until_ns(self) -> dict[str, int]:
        """Each machine's time up to which it is computed [ns]; 0 before its first sample."""
        return {name: item.state.until_ns for name, item in self._machines.items()}

    @property
    def tags(self) -> dict[str, frozenset[str]]:
        """Each machine's tags."""
        return {name: item.machine.tags() for name, item in self._machines.items()}

    @property
    def live(self) -> dict[str, engine.MachineSnapshot]:
        """What each machine is doing now; without those that have said nothing yet."""
        return {name: live for name, item in self._machines.items() if (live := item.shown) is not None}

    @property
    def paused(self) -> bool:
        """Whether nothing is computed because nothing can be stored."""
        return self._paused

    @property
    def pending_rows(self) -> int:
        """Rows offered and not stored yet."""
        return self._rows

    @property
    def unknown_share(self) -> float | None:
        """Which part of the time worked out in this run was unknown [1]; None before the first minute."""
        return self._unknown_ms / self._all_ms if self._all_ms else None

    def last_ns(self) -> dict[str, int]:
        """For each tag the time up to which a machine has used it: where its gap begins after a restart.

        A machine that was never computed may hold rows all the same: there it is the tag's last row.
        """
        out: dict[str, int] = {}
        for tag, users in self._users.items():
            times = [t_ns for item in users if (t_ns := item.state.until_ns or _last_row_ns(item, tag)) > 0]
            if times:
                out[tag] = min(times)
        return out

    def feed_rows(self, rows: Iterable[Row]) -> None:
        """Takes rows named `device.tag`, each tag's in time order.

        A row older than what is computed counts from there on: what was told cannot be told otherwise.
        """
        users = self._users
        with self._lock:
            for row in rows:
                if row.tag not in users:
                    continue
                self._seen[row.tag] = row
                for item in () if self._paused else users[row.tag]:
                    self.news = self.news or row.tag in item.swift
                    t_ns = max(row.t_ns, item.state.until_ns)
                    times_ns = _gap_times_ns(item, row.tag, t_ns) if row.quality is Quality.GAP else [t_ns]
                    item.rows.setdefault(row.tag, []).extend((at_ns, row.value, row.quality) for at_ns in times_ns)

    def advance(self, watermarks_ns: Mapping[str, int], *, idle_ns: int = 0) -> int:
        """Computes every machine up to its watermark: the time before which no row of its tags will come any more.
        How many machines it computed.

        idle_ns: a machine whose news cannot change what it is doing waits up to so long [ns]. A step costs much the
        same whatever it covers, so pieces are gathered; each machine has its own turn, so that not all come at once.
        """
        if self._rows >= self._most_pending_rows:
            with self._lock:
                self._paused = True
        if self._paused:
            return 0
        steps = 0
        for name, item in self._machines.items():
            until_ns, since_ns = watermarks_ns[name], item.state.until_ns
            if until_ns > since_ns and name not in self._held:
                with self._lock:
                    if idle_ns and not _is_due(item, until_ns, idle_ns):
                        continue
                    samples = _split(item.rows, until_ns)
                steps += 1
                try:
                    self._step(name, item, samples, until_ns)
                except Exception:  # noqa: BLE001  # one machine's trouble is not the others'; its time becomes a gap
                    self.failures += 1
                    if self.failures == 1:
                        _LOG.exception("step failed machine=%s until_ns=%d", name, until_ns)
                    self._start_over(item, until_ns)
        return steps

    def preview(self) -> None:
        """Looks at machines with news before any step takes it in: a step waits until the tags are confirmed once more,
        and a person in front of a screen does not. Changes nothing but `live`.
        """
        self.news = False
        for item in self._machines.values():
            with self._lock:
                if not item.rows.keys() & item.swift:
                    continue
                state, samples = item.state, {tag: series(rows) for tag, rows in item.rows.items()}
            until_ns = max(int(rows.t_ns[-1]) for rows in samples.values()) + MS_NS
            if item.ahead and item.ahead[0] == until_ns:
                continue
            with suppress(ValueError, IndexError, KeyError, TypeError):  # the step will say it, and say where
                live = engine.preview(item.machine, state, samples, until_ns)
                if live and item.state is state:
                    item.ahead = until_ns, live

    def feed(self, samples: Samples, until_ns: int) -> None:
        """Computes every machine from columns that exist already, up to `until_ns`; what its state knows is left out."""
        for name, item in self._machines.items():
            if until_ns <= item.state.until_ns:
                continue
            mine = {
                tag: between(samples[tag], item.state.until_ns, until_ns)
                for tag in item.machine.tags()
                if tag in samples
            }
            mine = {tag: column for tag, column in mine.items() if len(column)}
            self._step(name, item, mine, until_ns)

    def _step(self, name: str, item: _Machine, samples: Mapping[str, Series], until_ns: int) -> None:
        offer_until_ns = until_ns // MINUTE_NS * MINUTE_NS
        before = item.state
        step = engine.step(item.machine, before, samples, (), until_ns, offer_until_ns)
        part = Part(name, step.facts, step.losses, step.stops.rows())
        with self._lock:
            if item.state is not before:
                return  # told to begin anew meanwhile: what follows from the old state belongs to nobody
            item.state, item.live = step.state, step.live or item.live
            self._dirty.add(name)
            self._fed.setdefault(name, []).append(
                Fed(before.until_ns, step.state.until_ns, samples, item.machine.tags())
            )
            self._all_ms += int(part.facts.sums[:, _STATES].sum())
            self._unknown_ms += int(part.facts.column(_UNKNOWN).sum())
            if len(part):
                self._parts.append(part)
                self._rows += len(part)

    def take(self) -> Batch:
        """What has been offered since the last `take`, with the states of the machines that moved."""
        with self._lock:
            states = {name: self._machines[name].state for name in sorted(self._dirty)}
            fed, self._fed = self._fed, {}
            batch = Batch(tuple(self._parts), states, {name: join_fed(parts) for name, parts in fed.items()})
            self._parts, self._rows, self._dirty = [], 0, set()
        return batch

    def put_back(self, batch: Batch) -> None:
        """A batch that could not be stored: it will be part of the next one."""
        with self._lock:
            self._parts = [*batch.parts, *self._parts]
            self._rows += len(batch)
            self._dirty |= set(batch.states)
        self.put_back_fed(batch.fed)

    def put_back_fed(self, fed: Mapping[str, Fed]) -> None:
        """What machines were given whose states were not stored; too much of it is let go, and the journal told so by
        the hole."""
        with self._lock:
            for name, part in fed.items():
                self._fed[name] = [part, *self._fed.get(name, [])]
            rows = sum(
                len(column) for parts in self._fed.values() for part in parts for column in part.samples.values()
            )
            if rows > MOST_FED_ROWS:
                self._fed = {}

    # corrections

    def hold(self, name: str) -> None:
        """Lets a machine stand still; no step of it may be under way."""
        self._held.add(name)

    def release(self, name: str) -> None:
        """Lets it go on."""
        self._held.discard(name)

    def state(self, name: str) -> engine.EngineState:
        """A machine's state as of its last step."""
        return self._machines[name].state

    def machine(self, name: str) -> Machine:
        """A machine as the site file describes it."""
        return self._machines[name].machine

    def install(
        self, name: str, before: engine.EngineState, state: engine.EngineState, live: engine.MachineSnapshot | None
    ) -> None:
        """A state that a correction led to and that is stored takes the place of `before`, unless all began anew."""
        with self._lock:
            item = self._machines[name]
            if item.state is before:
                item.state, item.live, item.ahead = state, live or item.live, None

    def shift(self, by_ns: int) -> None:
        """Rows that wait have other times now."""
        with self._lock:
            for item in self._machines.values():
                item.ahead = None
                item.rows = {
                    tag: [(max(t_ns + by_ns, item.state.until_ns), value, quality) for t_ns, value, quality in rows]
                    for tag, rows in item.rows.items()
                }

    def resume(self, now_ns: int) -> None:
        """Goes on after a pause: what lies between is a gap, and from now on the latest values hold."""
        self._paused = False
        for item in self._machines.values():
            self._start_over(item, now_ns)

    def forget(self, now_ns: int) -> None:
        """Begins every machine anew, as if on an empty disk; what was offered and not stored is given up."""
        with self._lock:
            for item in self._machines.values():
                item.state = engine.start()
            self._parts, self._rows, self._dirty, self._fed = [], 0, set(), {}
        self.resume(now_ns)

    def _start_over(self, item: _Machine, now_ns: int) -> None:
        with self._lock:
            item.ahead = None
            until_ns, tags = item.state.until_ns, item.machine.tags()
            gaps = {tag: _gap_times_ns(item, tag, until_ns) for tag in tags} if until_ns else {}
            item.rows = {tag: [(t_ns, None, Quality.GAP) for t_ns in times_ns] for tag, times_ns in gaps.items()}
            for row in [self._seen[tag] for tag in tags if tag in self._seen]:
                item.rows.setdefault(row.tag, []).append((max(now_ns, until_ns), row.value, row.quality))


def _only_counted(machine: Machine) -> frozenset[str]:
    """Tags that only count: they tell how much, not what the machine is doing."""
    names = {counter.tag for counter in machine.pieces.counters().values()}
    return frozenset(names - {name for rule in machine.rules if rule.when for name in rule.when.tags})


def _is_due(item: _Machine, until_ns: int, idle_ns: int) -> bool:
    """Whether a machine is to be computed now. Of one whose pause in counting is a stop, the next count ends it."""
    news = {tag for tag, rows in item.rows.items() if rows[0][0] < until_ns}
    if news & item.swift:
        return True
    if news and item.machine.gap and not (item.live and item.live.state is State.RUNNING):
        return True
    shift_ns = round(item.place * idle_ns)
    return (until_ns + shift_ns) // idle_ns > (item.state.until_ns + shift_ns) // idle_ns


def _last_row_ns(item: _Machine, tag: str) -> int:
    """The last row that a machine's state holds of a tag [ns]; 0 without any."""
    held = item.state.rows.get(tag, EMPTY).t_ns
    return int(held[-1]) if len(held) else 0


def _gap_times_ns(item: _Machine, tag: str, from_ns: int) -> list[int]:
    """Where a tag's gap that begins at `from_ns` must be said [ns]: not in the millisecond of a value that the state
    holds (the core would keep only the gap), and again after one that lies later, which would else hold through it.
    """
    held = item.state.rows.get(tag, EMPTY).t_ns
    later = held[held >= from_ns - from_ns % MS_NS]
    if not len(later):
        return [from_ns]
    first_ns = from_ns if later[0] >= from_ns + MS_NS else from_ns + MS_NS
    return sorted({first_ns, max(first_ns, int(later[-1]) + MS_NS)})


def _split(rows: dict[str, list[tuple[int, Any, Quality]]], until_ns: int) -> dict[str, Series]:
    """Takes out what lies before `until_ns` as columns; the rest stays."""
    out: dict[str, Series] = {}
    for tag, waiting in list(rows.items()):
        ready = [row for row in waiting if row[0] < until_ns]
        if ready:
            out[tag] = series(ready)
        if len(ready) == len(waiting):
            del rows[tag]
        else:
            rows[tag] = waiting[len(ready) :]
    return out
