"""Corrects one machine: holds it, computes it again, and stores the differences.

1. The machine is held; its rows wait; the other machines and the devices continue.
2. Everything that memory holds of it goes to disk, so that the journal is complete.
3. What reaches no further back than the settled time is one more step at the same time; what reaches further is
   computed again from the checkpoint before it, in a thread (`oee.engine.correction`).
4. Differences, state, checkpoints and the outcome are stored in one transaction; only then the machine continues. Killed
   before, nothing has happened and the next start does it again; killed after, it is done.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from agent.compute.delta import Delta, split
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


@dataclass(frozen=True)
class Corrected:
    """The result of a correction of a machine. before: the state that it replaces; offers: the differences; base_ns,
    recomputation: where it was computed again from a checkpoint.
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
        self._stepping, self._progress = stepping, progress

    @asynccontextmanager
    async def held(self, machine: str) -> AsyncIterator[bool]:
        """The machine is held within the block. Whether all that is known of it is on disk."""
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
        """Declarations that reach no further back than the settled time, as one more step at the same time."""
        until_ns, run = before.until_ns, self.pipeline.runs[machine]
        state = with_declarations(before, declarations)
        step = engine.step(run.machine, state, {}, (), until_ns, until_ns // MINUTE_NS * MINUTE_NS)
        offer = Delta(machine, facts=step.facts, losses=step.losses, stops=step.stops.rows())
        return Corrected(before, step.state, step.live, [offer] if len(offer) else [])

    def recompute(
        self, machine: str, before: EngineState, past: MachinePast, declarations: Sequence[Declaration]
    ) -> Corrected:
        """The machine's past, computed again with all declarations that concern it."""
        described = self.pipeline.runs[machine].machine
        found = recompute(described, past.base, self._blocks(past), declarations, past.sent)
        offers = split(Delta(machine, facts=found.facts, losses=found.losses, stops=found.stops))
        return Corrected(before, found.state, found.live, offers, past.base.settled_ns, found)

    def _blocks(self, past: MachinePast) -> Iterator[tuple[Samples, int]]:
        for number, block in enumerate(past.blocks()):
            self._progress(past.machine, number / len(past.chunks))
            yield block
        self._progress(past.machine, 1.0)

    async def store(
        self,
        machine: str,
        found: Corrected,
        also: Callable[[sqlite3.Connection], None],
        contents: Sequence[tuple[str, Any]] = (),
        settings: Mapping[str, str] | None = None,
    ) -> bool:
        """Stores a correction with the outcome that `also` writes. False if it was not stored."""

        def write(db: sqlite3.Connection, envelopes: Sequence[tuple[str, int]]) -> None:
            record(db, (), envelopes)
            if found.recomputation is not None:
                replace_checkpoints(db, machine, found.base_ns, found.recomputation)
            also(db)

        correction = Correction(
            machine, found.before, found.state, found.live, found.offers, write, contents, settings or {}
        )
        if not await self.committer.correct(correction):
            return False
        self.health.count("corrections")
        self.health.count("correction_rows", sum(map(len, found.offers)))
        return True

    def failed(self, machine: str) -> None:
        """The engine raised an exception: counted and logged, with its traceback."""
        self.health.count("corrections_failed")
        _LOG.exception("correction failed machine=%s", machine)
