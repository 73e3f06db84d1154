"""Commits: all writes to the outbox pass here, each commit in one transaction.

What a commit could not store, for whatever reason, goes back to the pipeline for the next one, and `OutboxThread.trouble`
says why. A file found damaged while in use is set aside, as at a start. A damaged file, and a receipt for envelopes that
this file never wrote (a copied card), both mean that new streams begin and the machines start over.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from agent.compute.delta import Delta
from agent.compute.pipeline import Pipeline
from agent.devices.recorder import Recorder
from agent.outbox.envelopes import Sealed
from agent.outbox.journal.schema import WINDOW_NS
from agent.outbox.outbox import Also, Outbox
from agent.outbox.packing import bodies
from agent.process.health import Health
from agent.store.delta_store import DeltaStore
from agent.store.outbox_thread import OutboxThread
from agent.store.site import AUTHOR, KNOWS, SiteAnnouncement
from agent.store.upkeep import Upkeep
from agent.uplink.sender import ReceiptEffect, Sender
from oee.engine import step as engine
from oee.engine.state import EngineState
from oee.engine.step import MachineSnapshot
from wire.bodies import CYCLES
from wire.value_buffer import ValueBuffer
from wire.values import values_bodies

_LOG: Final = logging.getLogger("nhip.agent.outbox")


@dataclass(frozen=True)
class Correction:
    """What is stored of a correction. before: the machine's state that it started from, which `state` replaces; live:
    what the machine is doing, None if unchanged; offers: the differences; also: writes more in the same transaction;
    contents, settings: what else is sent and kept with it.
    """

    machine: str
    before: EngineState
    state: EngineState
    live: MachineSnapshot | None
    offers: Sequence[Delta]
    also: Also
    contents: Sequence[tuple[str, Any]] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Taken:
    """What a commit has taken, to be put back if it fails. None: not taken yet."""

    receipts: ReceiptEffect | None = None
    batch: list[Delta] | None = None
    recorded: list[ValueBuffer] | None = None


class Committer:
    """Stores the data of the pipeline, the recorder and the receipts, and informs the sender.

    thread: the outbox; upkeep: what follows a commit; site: the `site` body for the next commit; on_commit: called after
    each commit; on_stored: called with the rows that a commit or a correction stored; more_settings: returns settings that
    each commit stores too.
    """

    def __init__(
        self,
        outbox: Outbox,
        pipeline: Pipeline,
        sender: Sender,
        health: Health,
        now_ns: Callable[[], int],
        *,
        recorder: Recorder | None = None,
        author: str = "",
        window_ns: int = WINDOW_NS,
    ) -> None:
        """recorder: process values for the center. author: `<site>/<gateway>`, kept in the file, so that it can be
        delivered without a network. window_ns: how far corrections can reach back [ns].
        """
        self._pipeline, self._health, self._now_ns = pipeline, health, now_ns
        self._author = author
        self.recorder = recorder or Recorder({})
        self.thread = OutboxThread(outbox, health, lambda: pipeline.uncommitted.rows)
        self.deltas = DeltaStore(health, window_ns)
        known = outbox.settings().get(KNOWS, "")
        self.site = SiteAnnouncement(frozenset(known.split(",") if known else ()))
        self.on_commit: Callable[[], None] = lambda: None
        self.on_stored: Callable[[Sequence[Delta]], None] = lambda _: None
        self.more_settings: Callable[[], dict[str, str]] = dict
        self.upkeep = Upkeep(self.thread, sender, health, now_ns, window_ns)
        self._receipts: ReceiptEffect | None = None

    def receipted(self, effect: ReceiptEffect) -> None:
        """A receipt changed something: the next commit writes it to disk."""
        self._receipts = effect if self._receipts is None else self._receipts.and_then(effect)

    async def commit(self, *, final: bool = False) -> bool:
        """Stores the machines' progress since the last commit, and what the receipts settle.

        final: large states too, and the journal is gathered (`DeltaStore`). False if the disk refused; everything then
        waits for the next call.
        """
        async with self.thread.lock:
            taken = _Taken()
            try:
                if self.thread.damaged:
                    await self._reopen()
                taken.receipts, self._receipts = self._receipts, None
                if taken.receipts and taken.receipts.ahead:
                    await self._leave_streams(taken.receipts.ahead[0])
                    taken.receipts = replace(taken.receipts, ahead=())
                if taken.receipts:
                    await self.upkeep.write_marks()
                description = self.site.due
                sealed = await self._store(taken, final=final)
            except Exception as error:  # noqa: BLE001  # reported; not CancelledError: then the thread continues and stores it
                self._put_back(taken)
                self.thread.refused(error)
                return False
            self.site.stored(description)
            self._stored(sealed, taken.batch or ())
            await self.upkeep.prune_now_and_then()
            return True

    async def _store(self, taken: _Taken, *, final: bool) -> list[Sealed]:
        # the author goes into the first commit already: the outbox may be exported before the site is announced
        contents: Sequence[tuple[str, Any]] = ()
        settings = {AUTHOR: self._author}
        if self.site.due:
            contents, site_settings = await self.thread.run(lambda: self.site.extras(self.thread.outbox.settings()))
            settings |= dict(site_settings)
        taken.batch, taken.recorded = batch, recorded = self._pipeline.take(), self.recorder.take()

        def store() -> list[Sealed]:
            all_contents = [*contents, *_facts(batch, self.site), *_values(recorded)]
            all_settings, now_ns = settings | self.more_settings(), self._now_ns()
            return self.deltas.store(self.thread.outbox, batch, all_contents, all_settings, now_ns, complete=final)

        return await self.thread.run(store)

    def _put_back(self, taken: _Taken) -> None:
        """Puts back what was not stored, for the next call; also what was not taken yet, since `put_back` is where the
        oldest is dropped if there is too much.
        """
        self._pipeline.put_back(self._pipeline.take() if taken.batch is None else taken.batch)
        self.recorder.put_back(self.recorder.take() if taken.recorded is None else taken.recorded)
        if taken.receipts:
            self._receipts = taken.receipts.and_then(self._receipts) if self._receipts else taken.receipts

    async def store_values(self) -> bool:
        """Stores process values only: they come by the thousand, and the states of all machines need not be written with
        each envelope of them. False if the disk refused.
        """
        if self.thread.damaged or self.thread.trouble:
            return await self.commit()
        async with self.thread.lock:
            recorded, stored = self.recorder.take(), False
            try:
                sealed = await self.thread.run(lambda: self.thread.outbox.commit(_values(recorded), {}, self._now_ns()))
                stored = True
            except Exception as error:  # noqa: BLE001  # as in `commit`
                self.thread.refused(error)
                return False
            finally:
                if not stored:
                    self.recorder.put_back(recorded)
            self.upkeep.sealed(sealed)
            self.on_commit()
            await self.upkeep.prune_now_and_then()
            return True

    async def correct(self, correction: Correction) -> bool:
        """Stores a correction and lets the machine continue from it. False if the machine started over meanwhile or the
        disk refused: then nothing has changed.
        """
        async with self.thread.lock:
            if self.thread.damaged or self._pipeline.runs[correction.machine].state is not correction.before:
                return False
            try:
                sealed = await self.thread.run(self._store_correction, correction)
            except Exception as error:  # noqa: BLE001  # as in `commit`
                self.thread.refused(error)
                return False
            self._pipeline.install(correction.machine, correction.before, correction.state, correction.live)
            self._stored(sealed, correction.offers)
            return True

    def _store_correction(self, correction: Correction) -> list[Sealed]:
        contents = [*correction.contents, *_facts(correction.offers, self.site)]
        carry = {correction.machine: engine.dump(correction.state)}
        return self.thread.outbox.commit(contents, carry, self._now_ns(), correction.settings, correction.also)

    def _stored(self, sealed: list[Sealed], rows: Sequence[Delta]) -> None:
        self.thread.stored()
        self.on_stored(rows)
        if self._pipeline.paused:
            self._pipeline.resume(self._now_ns())
        self.upkeep.sealed(sealed)
        self.on_commit()

    # when the file can no longer be used

    async def _reopen(self) -> None:
        await self.thread.reopen(self._now_ns())
        await self._start_over()

    async def _leave_streams(self, stream: str) -> None:
        await self.thread.run(self.thread.outbox.retire_streams)
        self._health.count("outbox_begun_again")
        _LOG.error(
            "outbox is an old copy why=%r cure=%r",
            f"the center has envelopes of stream {stream} that this outbox never wrote",
            "new streams begin by themselves; make sure that no second gateway runs from a copy of this card",
        )
        await self._start_over()

    async def _start_over(self) -> None:
        """Gives the sender the new streams, and lets all machines start over."""
        await self.upkeep.replace_streams(values=bool(self.recorder))
        self._receipts = None
        self.deltas.forget()
        self._pipeline.forget(self._now_ns())
        self.site.repeat(self._now_ns())


def _facts(deltas: Iterable[Delta], site: SiteAnnouncement) -> list[tuple[str, Any]]:
    return [("facts", body) for body in bodies(deltas, histograms=CYCLES in site.knows)]


def _values(recorded: Iterable[ValueBuffer]) -> list[tuple[str, Any]]:
    return [("values", body) for rows in recorded for body in values_bodies(rows)]
