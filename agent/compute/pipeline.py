"""The pipeline: rows in, facts out. Holds the machines and their states; decides nothing about machines (`oee.engine`).

Rows come in small pieces from the devices and wait, machine by machine, until the machine's watermark has passed them:
a step covers `[until, watermark)`, and a row at the watermark belongs to the next one. The result of a step
(`Delta`: rows taken in, rows offered, the state after) is kept until all of it is stored together (`take`); what could
not be stored is put back, so that memory and disk never disagree.

A machine that is being corrected is held: its rows wait meanwhile.

Beyond `MOST_PENDING_ROWS` nothing more is computed: the machines are paused, and when they continue, the time between
is a gap like any other outage.
"""

import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Final

from adapters.contract import Row
from agent.compute.delta import Delta
from agent.compute.machine_run import MachineRun, last_used_ns
from agent.compute.uncommitted import Uncommitted
from oee.engine import step as engine
from oee.engine.state import EngineState
from oee.engine.step import MachineSnapshot
from oee.model.facts import FACT, MINUTE_NS, STATE_COLUMNS, Facts
from oee.model.machine import Machine
from oee.model.samples import Samples, Series, between, series
from oee.model.states import State

_LOG: Final = logging.getLogger("nhip.agent.pipeline")
MOST_PENDING_ROWS: Final = 200_000
_STATES: Final = [FACT[name] for name in STATE_COLUMNS]
_UNKNOWN: Final = f"{State.UNKNOWN.word}_ms"


class UnknownTime:
    """Which part of the time computed in this run was unknown. share [1]; None before the first minute."""

    def __init__(self) -> None:
        self._all_ms = self._unknown_ms = 0

    def add(self, facts: Facts) -> None:
        """Adds what a step offers."""
        self._all_ms += int(facts.sums[:, _STATES].sum())
        self._unknown_ms += int(facts.column(_UNKNOWN).sum())

    @property
    def share(self) -> float | None:
        """Unknown time to all time [1]."""
        return self._unknown_ms / self._all_ms if self._all_ms else None


class Pipeline:
    """Machines, their states, and their progress since the last commit.

    `advance` and `feed` may run in another thread than `feed_rows`, but not at the same time as each other.
    runs: the machines by name; tags: each machine's tags; failures: steps that failed; paused: nothing is computed,
    because nothing can be stored; has_news: a row has come since the last preview that may change what a machine is
    doing.
    """

    def __init__(
        self,
        machines: Mapping[str, Machine],
        carries: Mapping[str, bytes],
        *,
        most_pending_rows: int = MOST_PENDING_ROWS,
    ) -> None:
        """carries: machine to what `delta.carries` gave before; one without it starts from nothing. Raises `ValueError`."""
        self.runs = {
            name: MachineRun(
                machine,
                engine.load(carries[name]) if name in carries else engine.start(),
                place / len(machines),
            )
            for place, (name, machine) in enumerate(machines.items())
        }
        self.tags = {name: run.machine.tags() for name, run in self.runs.items()}
        self.uncommitted = Uncommitted()
        self.unknown = UnknownTime()
        self.failures = 0
        self.paused = self.has_news = False
        self._most_pending_rows = most_pending_rows
        self._users: dict[str, list[MachineRun]] = {}
        for run in self.runs.values():
            for tag in run.machine.tags():
                self._users.setdefault(tag, []).append(run)
        self._latest: dict[str, Row] = {}
        self._lock = threading.Lock()

    def feed_rows(self, rows: Iterable[Row]) -> None:
        """Takes rows named `device.tag`, each tag's in time order."""
        users = self._users
        with self._lock:
            for row in rows:
                if row.tag not in users:
                    continue
                self._latest[row.tag] = row
                for run in () if self.paused else users[row.tag]:
                    self.has_news = self.has_news or row.tag in run.state_tags
                    run.feed(row)

    def advance(self, watermarks_ns: Mapping[str, int], *, idle_ns: int = 0) -> int:
        """Computes every machine up to its watermark: the time before which no row of its tags will come any more.
        How many machines it computed.

        idle_ns: a machine whose news cannot change what it is doing waits up to so long [ns]. A step costs much the
        same whatever it covers, so rows are gathered; each machine has its own turn, so that not all come at once.
        """
        if self.uncommitted.rows >= self._most_pending_rows:
            with self._lock:
                self.paused = True
        if self.paused:
            return 0
        steps = 0
        for name, run in self.runs.items():
            until_ns = watermarks_ns[name]
            if until_ns <= run.state.until_ns or run.held:
                continue
            with self._lock:
                if idle_ns and not run.is_due(until_ns, idle_ns):
                    continue
                samples = run.take_rows(until_ns)
            steps += 1
            try:
                self._step(name, run, samples, until_ns)
            except Exception:  # noqa: BLE001  # one machine's trouble is not the others'; its time becomes a gap
                self.failures += 1
                if self.failures == 1:
                    _LOG.exception("step failed machine=%s until_ns=%d", name, until_ns)
                with self._lock:
                    run.start_over(self._latest, until_ns)
        return steps

    def preview(self) -> None:
        """Updates what screens show of machines with news before a step takes it in: a step waits until all tags are
        confirmed once more. Changes nothing else.
        """
        self.has_news = False
        for run in self.runs.values():
            with self._lock:
                if not run.rows.keys() & run.state_tags:
                    continue
                state, samples = run.state, {tag: series(rows) for tag, rows in run.rows.items()}
            run.preview(state, samples)

    def feed(self, samples: Samples, until_ns: int) -> None:
        """Computes every machine from existing columns, up to `until_ns`; rows that its state knows are left out."""
        for name, run in self.runs.items():
            from_ns = run.state.until_ns
            if until_ns <= from_ns:
                continue
            columns = {tag: between(samples[tag], from_ns, until_ns) for tag in run.machine.tags() if tag in samples}
            self._step(name, run, {tag: column for tag, column in columns.items() if len(column)}, until_ns)

    def _step(self, name: str, run: MachineRun, samples: Mapping[str, Series], until_ns: int) -> None:
        before = run.state
        step = engine.step(run.machine, before, samples, (), until_ns, until_ns // MINUTE_NS * MINUTE_NS)
        delta = Delta(
            name,
            before.until_ns,
            step.state.until_ns,
            run.machine.tags(),
            samples,
            step.facts,
            step.losses,
            step.stops.rows(),
        )
        with self._lock:
            if run.state is not before:
                return  # it started over meanwhile: what follows from the old state is void
            run.state, run.live = step.state, step.live or run.live
            self.unknown.add(delta.facts)
            self.uncommitted.add(delta)

    def take(self) -> list[Delta]:
        """The machines' progress since the last call, each machine's state in its last delta."""
        with self._lock:
            return self.uncommitted.take({name: run.state for name, run in self.runs.items()})

    def put_back(self, deltas: Iterable[Delta]) -> None:
        """Deltas that could not be stored: the next `take` gives them again."""
        with self._lock:
            self.uncommitted.put_back(deltas)

    def install(self, name: str, before: EngineState, state: EngineState, live: MachineSnapshot | None) -> None:
        """A state that a correction led to and that is stored replaces `before`, unless all started over."""
        with self._lock:
            run = self.runs[name]
            if run.state is before:
                run.state, run.live, run.previewed = state, live or run.live, None

    def shift(self, by_ns: int) -> None:
        """Rows that wait have other times now."""
        with self._lock:
            for run in self.runs.values():
                run.shift(by_ns)

    def resume(self, now_ns: int) -> None:
        """Continues after a pause: what lies between is a gap, and from now on the latest values hold."""
        self.paused = False
        with self._lock:
            for run in self.runs.values():
                run.start_over(self._latest, now_ns)

    def forget(self, now_ns: int) -> None:
        """Starts every machine over, as on an empty disk; what was not stored is dropped."""
        with self._lock:
            for run in self.runs.values():
                run.state = engine.start()
            self.uncommitted.clear()
        self.resume(now_ns)


def computed_until_ns(pipeline: Pipeline) -> dict[str, int]:
    """Each machine's time up to which it is computed [ns]; 0 before its first sample."""
    return {name: run.state.until_ns for name, run in pipeline.runs.items()}


def snapshots(pipeline: Pipeline) -> dict[str, MachineSnapshot]:
    """What each machine is doing now; without those of which nothing has been seen yet."""
    return {name: live for name, run in pipeline.runs.items() if (live := run.shown) is not None}


def tags_used_until_ns(pipeline: Pipeline) -> dict[str, int]:
    """For each tag the time up to which a machine has used it [ns] (`machine_run.last_used_ns`)."""
    return last_used_ns(pipeline.runs.values())
