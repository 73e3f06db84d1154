"""Corrects one machine: holds it, computes it again, and stores the differences.

1. The machine is held: its rows wait, while the other machines and the devices continue.
2. Everything of it in memory is written to disk, so that the journal is complete.
3. A correction that reaches no further back than the settled time is one more step at the same time; one that reaches
   further is computed again from the checkpoint before it, in a thread (`oee.engine.correction`).
4. Differences, state, checkpoints and the outcome are stored in one transaction; only then the machine continues. If the
   agent is killed before it, nothing has happened and the next start does it again; after it, it is done.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from agent.compute.delta import Delta, offered, split
from agent.compute.pipeline import Pipeline
from agent.corrections.archive import MachineArchive
from agent.outbox.journal.past import MachinePast
from agent.outbox.journal.recording import record
from agent.outbox.journal.spans import replace_checkpoints
from agent.process.health import Health
from agent.store.commit import Committer, Correction
from oee.engine import step as engine
from oee.engine.correction import Recomputation, recompute, with_declarations
from oee.engine.state import EngineState
from oee.engine.step import MachineSnapshot
from oee.model.declarations import Declaration
from oee.model.facts import MINUTE_NS
from oee.model.samples import Samples

_LOG: Final = logging.getLogger("nhip.agent.corrections")

Progress = Callable[[str, float], None]
"""Called repeatedly with a machine and the share of it that is computed [1]."""


class Interrupted(Exception):
    """The agent ends: nothing has changed, and the next start does it again."""


@dataclass(frozen=True)
class Corrected:
    """The result of a correction of a machine. before: the state that it replaces; live: what the machine is
    doing, None if that did not change; offers: the differences; base_ns, recomputation: the checkpoint and the result,
    where it was computed again from a checkpoint.
    """

    before: EngineState
    state: EngineState
    live: MachineSnapshot | None = None
    offers: Sequence[Delta] = ()
    base_ns: int = 0
    recomputation: Recomputation | None = None


class MachineCorrector:
    """The steps above. stepping: held while the pipeline steps."""

    def __init__(
        self, committer: Committer, pipeline: Pipeline, stepping: asyncio.Lock, health: Health, progress: Progress
    ) -> None:
        self.committer, self.pipeline, self.health = committer, pipeline, health
        self.archive = MachineArchive(committer.thread, pipeline)
        self.interrupted = False
        """Set when the agent ends: a computation stops at the next block of the journal (`Interrupted`)."""
        self._stepping, self._progress = stepping, progress

    @asynccontextmanager
    async def held(self, machine: str) -> AsyncIterator[bool]:
        """Holds the machine within the block. Yields whether everything of it is on disk."""
        async with self._stepping:
            self.pipeline.runs[machine].held = True
        try:
            yield await self.committer.commit(final=True)
        finally:
            self.pipeline.runs[machine].held = False

    def unchanged(self, machine: str) -> Corrected:
        """A correction that changes nothing."""
        state = self.pipeline.runs[machine].state
        return Corrected(state, state)

    def step(self, machine: str, before: EngineState, declarations: Sequence[Declaration]) -> Corrected:
        """Follows declarations that reach no further back than the settled time: one more step at the same time."""
        until_ns, run = before.until_ns, self.pipeline.runs[machine]
        state = with_declarations(before, declarations)
        step = engine.step(run.machine, state, {}, (), until_ns, until_ns // MINUTE_NS * MINUTE_NS)
        offer = offered(machine, step, step.stops.rows())
        return Corrected(before, step.state, step.live, [offer] if len(offer) else [])

    def recompute(
        self, machine: str, before: EngineState, past: MachinePast, declarations: Sequence[Declaration]
    ) -> Corrected:
        """Computes the machine's past again, with all declarations that concern it. Raises `Interrupted`."""
        model = self.pipeline.runs[machine].machine
        recomputed = recompute(model, past.base, self._blocks(past), declarations, past.sent)
        offers = split(offered(machine, recomputed, recomputed.stops))
        return Corrected(before, recomputed.state, recomputed.live, offers, past.base.settled_ns, recomputed)

    def _blocks(self, past: MachinePast) -> Iterator[tuple[Samples, int]]:
        begin_ns, end_ns = past.from_ns, past.chunks[-1][1]
        for samples, until_ns in past.blocks():
            if self.interrupted:
                raise Interrupted
            yield samples, until_ns
            self._progress(past.machine, (until_ns - begin_ns) / max(end_ns - begin_ns, 1))

    async def store(
        self,
        machine: str,
        corrected: Corrected,
        also: Callable[[sqlite3.Connection], None],
        contents: Sequence[tuple[str, Any]] = (),
        settings: Mapping[str, str] | None = None,
    ) -> bool:
        """Stores a correction, with the outcome that `also` writes, and what else it sends and keeps (`contents`,
        `settings`). False if it was not stored.
        """

        def write(db: sqlite3.Connection, envelopes: Sequence[tuple[str, int]]) -> None:
            record(db, (), envelopes)
            if corrected.recomputation is not None:
                replace_checkpoints(db, machine, corrected.base_ns, corrected.recomputation)
            also(db)

        correction = Correction(
            machine,
            corrected.before,
            corrected.state,
            corrected.live,
            corrected.offers,
            write,
            contents,
            settings or {},
        )
        if not await self.committer.correct(correction):
            return False
        self.health.count("corrections")
        self.health.count("correction_rows", sum(map(len, corrected.offers)))
        return True

    def failed(self, machine: str) -> None:
        """Counts and logs an exception of the engine, with its traceback."""
        self.health.count("corrections_failed")
        _LOG.exception("correction failed machine=%s", machine)
