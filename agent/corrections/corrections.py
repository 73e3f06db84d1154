"""Corrections: follows declarations about the past and recomputes machines, one machine at a time.

Pending work is stored in the outbox's file, so a kill loses none of it.
"""

import asyncio
import sqlite3
from collections.abc import Callable

from agent.compute.pipeline import Pipeline
from agent.corrections import validate
from agent.corrections.corrector import Interrupted, MachineCorrector, Progress
from agent.corrections.inbox import DeclarationInbox
from agent.corrections.late_declarations import follow
from agent.corrections.recomputation import SiteRevisionAt, recompute_next
from agent.outbox import declarations
from agent.outbox.declarations import RecomputeRequest
from agent.outbox.disk import CannotStore, CorruptOutbox
from agent.outbox.outbox import Outbox
from agent.process.health import Health
from agent.store.commit import Committer
from oee.model.declarations import Declaration


class Corrections:
    """Follows declarations and recomputes machines. `run_pending` is called periodically.

    inbox: what the center declares; busy: held while corrections run; whoever feeds whole blocks or ends the run
    must acquire it first.
    """

    def __init__(
        self,
        committer: Committer,
        pipeline: Pipeline,
        stepping: asyncio.Lock,
        health: Health,
        now_ns: Callable[[], int],
        revise_site: SiteRevisionAt = lambda _: ((), {}),
        *,
        progress: Progress = lambda _name, _share: None,
    ) -> None:
        """stepping: held while the pipeline steps; progress: called with a machine and the share computed [1]."""
        self.corrector = MachineCorrector(committer, pipeline, stepping, health, progress)
        self.inbox = DeclarationInbox(committer.thread, health)
        self.busy = asyncio.Lock()
        self._thread, self._pipeline = committer.thread, pipeline
        self._now_ns, self._revise_site = now_ns, revise_site

    async def run_pending(self) -> None:
        """Follows all pending declarations, and recomputes one machine. What the disk refuses waits for the next call."""
        async with self.busy:
            if self.corrector.interrupted:
                return
            try:
                await self.inbox.write_down()
                new, requests = await self._thread.do(_pending)
                for machine in dict.fromkeys(item.machine for item in new):
                    await self._follow(machine, [item for item in new if item.machine == machine])
                if any(item.state == "new" for item in requests):
                    await recompute_next(self.corrector, requests, self._revise_site)
            except (CannotStore, CorruptOutbox, Interrupted):
                return  # a refusal is counted and logged by the outbox's thread

    def interrupt(self) -> None:
        """The agent ends: a correction in progress is left to the next start, and no further one begins."""
        self.corrector.interrupted = True

    async def _follow(self, machine: str, new: list[Declaration]) -> None:
        outcome = {item.id: validate.impossible(item, self._pipeline.runs, self._now_ns()) for item in new}
        possible = [item for item in new if not outcome[item.id]]
        if not possible:
            await self._thread.do(lambda outbox: outbox.within(lambda db: declarations.decide(db, outcome.items())))
            self.inbox.decided(outcome)
            return
        async with self.corrector.held(machine) as committed:
            if not committed:
                return
            corrected, decided = await follow(self.corrector, machine, possible)
            outcome |= decided
            if await self.corrector.store(machine, corrected, lambda db: declarations.decide(db, outcome.items())):
                self.inbox.decided(outcome)


def _pending(outbox: Outbox) -> tuple[list[Declaration], list[RecomputeRequest]]:
    def read(db: sqlite3.Connection) -> tuple[list[Declaration], list[RecomputeRequest]]:
        return declarations.undecided(db), declarations.recompute_requests(db)

    return outbox.within(read)
