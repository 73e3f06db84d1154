"""Keeps the outbox: everything that goes to disk or comes from it passes here.

One thing at a time, in a thread of its own, so that neither the devices nor the network ever wait for a disk. What
a commit could not store goes back to the pipeline and is offered again. A file found damaged while in use is set
aside like one found damaged at the start. A receipt that claims what this file never wrote (a copied card) and a
damaged file both mean new streams and an empty carry.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from agent.compute.pipeline import Batch, Pipeline
from agent.devices.recorder import Recorder
from agent.outbox.disk import CannotStore, CorruptOutbox
from agent.outbox.file import Outbox, Sealed
from agent.outbox.journal import HOUR_NS, WINDOW_NS, Also, Journal
from agent.outbox.packing import Part, bodies
from agent.outbox.recovery import open_outbox
from agent.outbox.streams import EnvelopeKey, OutboxStream
from agent.process.health import Health
from agent.store.site import AUTHOR, SENT, news
from agent.uplink.sender import ReceiptEffect, Sender
from oee.engine import step as engine
from wire.bodies import Dropped
from wire.gathered import Gathered
from wire.values import values_bodies

_LOG: Final = logging.getLogger("nhip.agent.outbox")
_PRUNE_EVERY: Final = 30
_LARGE_CARRY_BYTES: Final = 64 * 1024
T = TypeVar("T")


def all_streams(outbox: Outbox, *, values: bool = False) -> list[OutboxStream]:
    """The outbox's streams, with one for each kind that this agent sends. values: process values too."""
    for kind in ("site", "facts", *(("values",) if values else ())):
        outbox.stream(kind)
    return outbox.streams()


@dataclass(frozen=True)
class Correction:
    """What is stored of a correction. before: the machine's state that it began with, or replaces; parts: the
    differences; contents, settings: what else goes with it; also: what is kept of it in the file.
    """

    machine: str
    before: engine.EngineState
    state: engine.EngineState
    live: engine.MachineSnapshot | None
    parts: Sequence[Part]
    also: Also
    contents: Sequence[tuple[str, Any]] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


class Committer:
    """The outbox, the pipeline whose states it holds, and the sender that knows what is on it."""

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
        delivered without a network. window_ns: how far corrections shall reach back [ns].
        """
        self._outbox, self._pipeline, self._sender = outbox, pipeline, sender
        self._health, self._now_ns, self._author = health, now_ns, author
        self._recorder = recorder or Recorder({})
        self._thread = ThreadPoolExecutor(1, "outbox")
        self._turn = asyncio.Lock()
        self._commits = 0
        self._to_keep: ReceiptEffect | None = None
        self._large: set[str] = set()
        self._late = Batch((), {})
        self._gathered_ns, self._window_ns = 0, window_ns
        self._damaged = False
        self._site: dict[str, Any] | None = None
        self._described: dict[str, Any] | None = None
        self._valid_from_ns = 0
        self.on_commit: Callable[[], None] = lambda: None
        self.more_settings: Callable[[], dict[str, str]] = dict
        """Settings that each commit keeps beside what it is about."""
        self.trouble = ""
        """Why nothing can be stored at the moment; "" if it can."""

    async def _do(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *args)

    # for the uplink

    async def read(self, keys: Iterable[EnvelopeKey]) -> list[tuple[EnvelopeKey, str, bytes | None]]:
        """Envelopes from disk; None where it has none any more, or cannot be read now."""
        wanted = list(keys)
        try:
            return await self._do(lambda: self._outbox.read(wanted))
        except (CannotStore, CorruptOutbox) as error:
            self._complain(error)
            return [(key, "facts", None) for key in wanted]

    async def backlog(self) -> tuple[int | None, float | None]:
        """When the oldest envelope without a receipt was sealed [ns UTC], and what the file holds [MB]."""
        try:
            return await self._do(self._outbox.oldest_waiting_ns), await self._do(self._outbox.used_mb)
        except (CannotStore, CorruptOutbox) as error:
            self._complain(error)
            return None, None

    def learned(self, learned: ReceiptEffect) -> None:
        """A receipt taught something; it goes to disk with the next commit."""
        before = self._to_keep
        self._to_keep = learned if before is None else before.and_then(learned)

    # for the run loop

    def tell_site(self, described: dict[str, Any], valid_from_ns: int) -> None:
        """The next commit brings the `site` body, unless the last one in this outbox said the same."""
        self._site = self._described = described
        self._valid_from_ns = valid_from_ns

    async def commit(self, *, final: bool = False) -> bool:
        """Stores what the machines have offered and were given, with their states, and what the receipts have said.

        A large state is written only together with facts, once a minute, unless this is the final commit: a machine
        that stood still for days would otherwise wear out the memory card. final also has the journal gathered.
        False if the disk refused; everything then waits for the next call.
        """
        async with self._turn:
            taken: tuple[Batch, list[Gathered]] | None = None
            learned: ReceiptEffect | None = None
            try:
                if self._damaged:
                    await self._reopen()
                learned, self._to_keep = self._to_keep, None
                if learned and learned.ahead:
                    await self._begin_again(learned.ahead[0])
                    learned = replace(learned, ahead=())
                contents = await self._keep(learned) if learned else []
                settings = {
                    AUTHOR: self._author
                }  # with the first facts already: a stick may be asked for before the site is told
                if self._described and (body := await self._do(self._news)):
                    contents, settings = [*contents, ("site", body[0])], settings | {SENT: body[1]}
                taken = self._pipeline.take(), self._recorder.take()
                sealed = await self._do(self._store, *taken, contents, settings, final)
            except (CannotStore, CorruptOutbox) as error:
                self._give_back(taken, learned)
                self._complain(error)
                return False
            except Exception:  # not if cancelled: the thread goes on, and stores it
                self._give_back(taken, learned)
                raise
            self._described = None
            self._stored(sealed)
            await self._prune()
            return True

    def _give_back(self, taken: tuple[Batch, list[Gathered]] | None, learned: ReceiptEffect | None) -> None:
        """What was not stored waits for the next call. It passes through here even if nothing was taken yet, since of
        too much some is let go here.
        """
        batch, recorded = taken or (self._pipeline.take(), self._recorder.take())
        self._pipeline.put_back(batch)
        self._recorder.put_back(recorded)
        if learned:
            self._to_keep = learned.and_then(self._to_keep) if self._to_keep else learned

    async def store_values(self) -> bool:
        """Stores the process values alone: they come by the thousand, and the states of all machines need not go to disk
        with each envelope of them. False if the disk refused.
        """
        if self._damaged or self.trouble:
            return await self.commit()
        async with self._turn:
            recorded, stored = self._recorder.take(), False
            try:
                sealed = await self._do(lambda: self._outbox.commit(_packed(recorded), {}, self._now_ns()))
                stored = True
            except (CannotStore, CorruptOutbox) as error:
                self._complain(error)
                return False
            finally:
                if not stored:
                    self._recorder.put_back(recorded)
            self._counted(sealed)
            await self._prune()
            return True

    async def do(self, work: Callable[[Outbox], T]) -> T:
        """Does something with the outbox between two commits. Raises what the outbox raises."""
        async with self._turn:
            try:
                return await self._do(lambda: work(self._outbox))
            except (CannotStore, CorruptOutbox) as error:
                self._complain(error)
                raise

    async def set(self, settings: Mapping[str, str]) -> None:
        """Writes settings into the file, if the disk lets it."""
        with suppress(CannotStore, CorruptOutbox):
            await self.do(lambda outbox: outbox.commit([], {}, self._now_ns(), settings))

    async def correct(self, found: Correction) -> bool:
        """Stores what a correction came to and lets the machine go on from it. False if the machine began anew
        meanwhile or the disk refused: then nothing has changed.
        """
        async with self._turn:
            if self._damaged or self._pipeline.state(found.machine) is not found.before:
                return False
            contents = [*found.contents, *(("facts", body) for body in bodies(found.parts))]
            carry = {found.machine: engine.dump(found.state)}
            try:
                sealed = await self._do(
                    lambda: self._outbox.commit(contents, carry, self._now_ns(), found.settings, found.also)
                )
            except (CannotStore, CorruptOutbox) as error:
                self._complain(error)
                return False
            self._pipeline.install(found.machine, found.before, found.state, found.live)
            self._stored(sealed)
            return True

    def _news(self) -> tuple[dict[str, Any], str] | None:
        assert self._described is not None
        return news(self._described, self._outbox.settings(), self._valid_from_ns)

    def _store(
        self,
        batch: Batch,
        recorded: Sequence[Gathered],
        contents: Sequence[tuple[str, Any]],
        settings: dict[str, str],
        final: bool,
    ) -> list[Sealed]:
        contents = [*contents, *(("facts", body) for body in bodies(batch.parts))]
        contents += _packed(recorded)
        batch = batch.after(self._late)
        if not contents and not batch.states and not final:
            return []
        now_ns = self._now_ns()
        gather = final or now_ns - self._gathered_ns >= HOUR_NS
        carries = batch.carries(() if gather else self._large)
        stored, late = batch.split(carries)

        def also(journal: Journal, envelopes: Sequence[tuple[str, int]]) -> None:
            recent = {name: part for name, part in stored.fed.items() if part.until_ns > now_ns - self._window_ns}
            if recent or not stored.fed:  # of days that nobody will correct any more nothing is kept
                journal.record(recent, envelopes)
            if gather and not journal.gather(stored.states):
                self._health.count("journal_begun_anew")
                _LOG.error("journal begins anew why=%r", "what it held cannot be read, or what was sent is gone")

        sealed = self._outbox.commit(contents, carries, now_ns, settings | self.more_settings(), also)
        self._gathered_ns, self._late = now_ns if gather else self._gathered_ns, late
        self._large = {name for name in self._large if name not in carries}
        self._large |= {name for name, data in carries.items() if len(data) > _LARGE_CARRY_BYTES}
        return sealed

    def _stored(self, sealed: list[Sealed]) -> None:
        if self.trouble:
            _LOG.warning("outbox stores again path=%s", self._outbox.path)
            self.trouble = ""
        if self._pipeline.paused:
            self._pipeline.resume(self._now_ns())
        self._counted(sealed)

    def _counted(self, sealed: list[Sealed]) -> None:
        self._health.count("commits")
        self._health.count("envelopes_sealed", len(sealed))
        self._told(sealed)
        self.on_commit()

    def _told(self, sealed: Sequence[Sealed]) -> None:
        for item in sealed:
            self._sender.on_disk(item.key.stream, last=item.key.seq)
        if gave_up := sum(item.gave_up for item in sealed):
            if not self._health.snapshot().get("values_given_up"):
                _LOG.error(
                    "outbox gives up process values envelopes=%d cure=%r",
                    gave_up,
                    "bring back the connection to the center, send fewer values, or give the outbox more disk",
                )
            self._health.count("values_given_up", gave_up)

    async def _keep(self, learned: ReceiptEffect) -> list[tuple[str, Any]]:
        """Writes the receipts' marks; of a new generation, says what is no longer here to be sent again."""
        windows, generation = self._sender.streams, self._sender.generation
        marks = {name: window.marks for name, window in windows.items()}
        await self._do(self._outbox.receipted, marks, generation)
        lost = [(item.kind, item.lost()) for item in windows.values() if item.current and learned.new_generation]
        return [
            (kind, Dropped(dropped=ranges, why="no longer on the gateway's disk").model_dump(mode="json"))
            for kind, ranges in lost
            if ranges
        ]

    async def _prune(self) -> None:
        self._commits += 1
        if self._commits % _PRUNE_EVERY:
            return
        try:
            gone, sealed = await self._do(self._outbox.prune, self._now_ns(), self._window_ns)
            if gone:
                self._health.count("envelopes_pruned", gone)
                for state in await self._do(self._outbox.streams):
                    self._sender.on_disk(state.stream, first=state.first)
                self._told(sealed)
            self._health.gauge("outbox_mb", round(await self._do(self._outbox.used_mb), 3))
        except (CannotStore, CorruptOutbox) as error:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        self._health.count("commits_refused")
        self._damaged = self._damaged or isinstance(error, CorruptOutbox)
        if str(error) != self.trouble:
            self.trouble = str(error)
            _LOG.error("outbox cannot store why=%r pending_rows=%d", self.trouble, self._pipeline.pending_rows)

    # when the file cannot be gone on with

    async def _reopen(self) -> None:
        path, now_ns = self._outbox.path, self._now_ns()
        await self._do(self._outbox.close)
        opened = await self._do(lambda: open_outbox(path, now_ns, thorough=True))
        self._outbox, self._damaged = opened.outbox, False
        self._health.count("outbox_set_aside")
        _LOG.error("outbox damaged message=%r", opened.message)
        await self._start_anew()

    async def _begin_again(self, stream: str) -> None:
        await self._do(self._outbox.begin_again)
        self._health.count("outbox_begun_again")
        _LOG.error(
            "outbox is an old copy why=%r cure=%r",
            f"the center has envelopes of stream {stream} that this outbox never wrote",
            "new streams begin by themselves; make sure that no second gateway runs from a copy of this card",
        )
        await self._start_anew()

    async def _start_anew(self) -> None:
        again = await self._do(lambda: all_streams(self._outbox, values=bool(self._recorder)))
        self._sender.replace(again)
        self._to_keep, self._late = None, Batch((), {})
        self._pipeline.forget(self._now_ns())
        if self._site is not None:
            self.tell_site(self._site, self._now_ns())

    async def close(self) -> None:
        """Frees the file."""
        async with self._turn:
            await self._do(self._outbox.close)
        self._thread.shutdown()


def _packed(recorded: Iterable[Gathered]) -> list[tuple[str, Any]]:
    return [("values", body) for rows in recorded for body in values_bodies(rows)]
