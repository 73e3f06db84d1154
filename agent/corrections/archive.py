"""Reads one machine's past from the outbox: its declarations and its part of the journal."""

from dataclasses import dataclass

from agent.compute.pipeline import Pipeline
from agent.outbox import declarations
from agent.outbox.journal.past import MachinePast, earliest_ns, read_past
from agent.store.outbox_thread import OutboxThread
from oee.model.declarations import Declaration


@dataclass(frozen=True)
class MachineArchive:
    """Reads by machine. The machine must be held meanwhile, with everything committed (`commit(final=True)`). Raises
    `CannotStore` or `CorruptOutbox`.
    """

    thread: OutboxThread
    pipeline: Pipeline

    async def declarations(self, machine: str) -> list[Declaration]:
        """The declarations that its numbers follow, replaced ones too."""
        return await self.thread.do(lambda outbox: outbox.within(lambda db: declarations.followed(db, machine)))

    async def past(self, machine: str, at_most_ns: int) -> MachinePast | None:
        """The past that a correction of time from `at_most_ns` on needs; None if the journal does not reach back so far."""
        tags, until_ns = self.pipeline.tags[machine], self.pipeline.runs[machine].state.until_ns
        return await self.thread.do(
            lambda outbox: outbox.within(lambda db: read_past(db, machine, at_most_ns, tags, until_ns))
        )

    async def earliest_ns(self, machine: str) -> int | None:
        """The earliest time that can still be corrected [ns]; None if there is none."""
        tags, until_ns = self.pipeline.tags[machine], self.pipeline.runs[machine].state.until_ns
        return await self.thread.do(lambda outbox: outbox.within(lambda db: earliest_ns(db, machine, tags, until_ns)))

    async def earliest_past(self, machine: str) -> MachinePast | None:
        """The past from the earliest such time on; None if there is none."""
        earliest = await self.earliest_ns(machine)
        return None if earliest is None else await self.past(machine, earliest)
