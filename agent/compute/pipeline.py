"""The pipeline: rows in, facts out. Holds the machines and their states; all rules about machines are in `oee.engine`.

Rows come from the devices a few at a time and wait, machine by machine, until the machine's watermark has passed them: a
step covers `[until, watermark)`, and a row at the watermark belongs to the next one. The result of a step (`Delta`) is
kept until it is stored as a whole (`take`); what could not be stored is put back, so that memory and disk never disagree.

A machine that is being corrected is held: its rows wait meanwhile.

With `MOST_PENDING_ROWS` rows waiting to be stored nothing more is computed: the machines are paused, and when they
continue, the time in between is a gap like any other outage.
"""

import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Final

from adapters.contract import Row
from agent.compute.delta import Delta, Uncommitted
from agent.compute.machine_run import MachineRun, last_used_ns
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
    """The share of the time computed in this run that is unknown."""

    def __init__(self) -> None:
        self._total_ms = self._unknown_ms = 0

    def add(self, facts: Facts) -> None:
        """Adds what a step offers."""
        self._total_ms += int(facts.sums[:, _STATES].sum())
        self._unknown_ms += int(facts.column(_UNKNOWN).sum())

    @property
    def share(self) -> float | None:
        """Unknown time to all time [1]; None before the first minute."""
        return self._unknown_ms / self._total_ms if self._total_ms else None


class Pipeline:
    """Machines, their states, and their progress since the last commit.

    `advance` and `feed` may run in another thread than `feed_rows`, but not at the same time as each other.
    runs: the machines by name; tags: each machine's tags; failures: how many steps failed; paused: nothing is computed,
    because nothing can be stored; has_news: since the last preview a row has arrived that may change what a machine is
    doing.
    """

    def __init__(
        self,
        machines: Mapping[str, Machine],
        carries: Mapping[str, bytes],
        *,
        most_pending_rows: int = MOST_PENDING_ROWS,
    ) -> None:
        """carries: by machine, what `delta.carries` gave; a machine without it starts empty. Raises `ValueError`."""
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
        """Adds rows named `device.tag`, each tag's in time order; those of tags that no machine uses are ignored."""
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
        """Computes every machine up to its watermark: the time before which no more rows of its tags will come. Returns
        how many machines it computed.

        idle_ns: how long a machine may wait if its new rows cannot change what it is doing [ns]. The cost of a step
        hardly depends on what it covers, so rows are collected; machines take turns, so that not all are due at once.
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
            except Exception:  # noqa: BLE001  # the other machines continue; this one's time becomes a gap
                self.failures += 1
                if self.failures == 1:
                    _LOG.exception("step failed machine=%s until_ns=%d", name, until_ns)
                with self._lock:
                    run.start_over(self._latest, until_ns)
        return steps

    def preview(self) -> None:
        """Updates what screens show of machines with new rows, ahead of the step, which waits until all tags are
        confirmed again. Changes nothing else.
        """
        self.has_news = False
        for run in self.runs.values():
            with self._lock:
                if not run.rows.keys() & run.state_tags:
                    continue
                state, samples = run.state, {tag: series(rows) for tag, rows in run.rows.items()}
            run.preview(state, samples)

    def feed(self, samples: Samples, until_ns: int) -> None:
        """Computes every machine from given columns, up to `until_ns`; rows from before its state's end are left out."""
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
            cycles=step.cycles,
        )
        with self._lock:
            if run.state is not before:
                return  # it started over meanwhile: a result from the old state is invalid
            run.state, run.live = step.state, step.live or run.live
            self.unknown.add(delta.facts)
            self.uncommitted.add(delta)

    def take(self) -> list[Delta]:
        """Removes and returns the machines' progress since the last call, each machine's state in its last delta."""
        with self._lock:
            return self.uncommitted.take({name: run.state for name, run in self.runs.items()})

    def put_back(self, deltas: Iterable[Delta]) -> None:
        """Returns deltas that could not be stored, for the next `take`."""
        with self._lock:
            self.uncommitted.put_back(deltas)

    def install(self, name: str, before: EngineState, state: EngineState, live: MachineSnapshot | None) -> None:
        """Replaces `before` by the stored state of a correction, unless the machine has started over meanwhile."""
        with self._lock:
            run = self.runs[name]
            if run.state is before:
                run.state, run.live, run.previewed = state, live or run.live, None

    def shift(self, by_ns: int) -> None:
        """Gateway time was corrected: moves the waiting rows."""
        with self._lock:
            for run in self.runs.values():
                run.shift(by_ns)

    def resume(self, now_ns: int) -> None:
        """Continues after a pause: the time in between is a gap, and from `now_ns` on the latest values hold."""
        self.paused = False
        with self._lock:
            for run in self.runs.values():
                run.start_over(self._latest, now_ns)

    def forget(self, now_ns: int) -> None:
        """Starts every machine over, as with an empty disk; what was not stored is dropped."""
        with self._lock:
            for run in self.runs.values():
                run.state = engine.start()
            self.uncommitted.clear()
        self.resume(now_ns)


def computed_until_ns(pipeline: Pipeline) -> dict[str, int]:
    """Each machine's time up to which it is computed [ns]; 0 before its first sample."""
    return {name: run.state.until_ns for name, run in pipeline.runs.items()}


def closed_until_ns(computed_ns: Mapping[str, int]) -> int | None:
    """The minutes of all machines before this time are closed: their facts have been offered [ns]. None before the first
    sample of any. computed_ns: as `computed_until_ns` gives it.
    """
    return min((t_ns // MINUTE_NS * MINUTE_NS for t_ns in computed_ns.values() if t_ns), default=None)


def snapshots(pipeline: Pipeline) -> dict[str, MachineSnapshot]:
    """What each machine is doing now; machines without a sample yet are left out."""
    return {name: live for name, run in pipeline.runs.items() if (live := run.shown) is not None}


def tags_used_until_ns(pipeline: Pipeline) -> dict[str, int]:
    """For each tag the time up to which every machine has used it [ns] (`machine_run.last_used_ns`)."""
    return last_used_ns(pipeline.runs.values())
