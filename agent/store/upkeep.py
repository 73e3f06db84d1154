"""Follow-up of commits and receipts: updates sender and counters, prunes the outbox, and divides what is too large."""

import logging
from collections.abc import Callable, Sequence
from typing import Final

from agent.outbox.disk import CannotStore, CorruptOutbox
from agent.outbox.dividing import Indivisible, divide
from agent.outbox.envelopes import Sealed
from agent.outbox.streams import EnvelopeKey
from agent.process.health import Health
from agent.store.outbox_thread import OutboxThread, all_streams
from agent.uplink.sender import Sender

_LOG: Final = logging.getLogger("nhip.agent.outbox")
_PRUNE_EVERY: Final = 30


class Upkeep:
    """Updates sender, counters and file after commits and receipts. The caller holds the outbox's lock, but for `divide`."""

    def __init__(
        self, thread: OutboxThread, sender: Sender, health: Health, now_ns: Callable[[], int], window_ns: int
    ) -> None:
        """window_ns: how far corrections can reach back [ns]."""
        self._thread, self._sender, self._health = thread, sender, health
        self._now_ns, self._window_ns = now_ns, window_ns
        self._commits = 0

    async def write_marks(self) -> None:
        """Writes the receipts' marks, and for a new generation the `dropped` envelopes for what is no longer on disk."""
        marks = {name: window.marks for name, window in self._sender.streams.items()}
        outbox, generation = self._thread.outbox, self._sender.generation
        dropped = await self._thread.run(outbox.receipted, marks, generation, self._now_ns())
        self._health.count("envelopes_sealed", len(dropped))
        self._on_disk(dropped)

    def sealed(self, sealed: Sequence[Sealed]) -> None:
        """Counts a commit and informs the sender of the envelopes that it sealed."""
        self._health.count("commits")
        self._health.count("envelopes_sealed", len(sealed))
        self._on_disk(sealed)

    def _on_disk(self, sealed: Sequence[Sealed]) -> None:
        for item in sealed:
            self._sender.on_disk(item.key.stream, last=item.key.seq)
        if evicted := sum(item.evicted for item in sealed):
            if not self._health.snapshot().get("values_given_up"):
                _LOG.error(
                    "outbox gives up process values envelopes=%d cure=%r",
                    evicted,
                    "bring back the connection to the center, send fewer values, or give the outbox more disk",
                )
            self._health.count("values_given_up", evicted)

    async def divide(self, key: EnvelopeKey, most_bytes: int) -> bool:
        """Divides an envelope that is too large for the broker into several of at most `most_bytes`; False if that is not
        possible. Takes the outbox's lock itself.
        """
        async with self._thread.lock:
            outbox, now_ns = self._thread.outbox, self._now_ns()
            try:
                sealed = await self._thread.run(lambda: outbox.within(lambda db: divide(db, key, most_bytes, now_ns)))
            except Indivisible:
                return False
            except (CannotStore, CorruptOutbox) as error:
                self._thread.refused(error)
                return False
            self._health.count("envelopes_sealed", len(sealed))
            self._on_disk(sealed)
            return bool(sealed)

    async def prune_now_and_then(self) -> None:
        """At every thirtieth call, prunes the outbox and measures it."""
        self._commits += 1
        if self._commits % _PRUNE_EVERY:
            return
        outbox = self._thread.outbox
        try:
            deleted, sealed = await self._thread.run(outbox.prune, self._now_ns(), self._window_ns)
            if deleted:
                self._health.count("envelopes_pruned", deleted)
                for state in await self._thread.run(outbox.streams):
                    self._sender.on_disk(state.stream, first=state.first)
                self._on_disk(sealed)
            self._health.gauge("outbox_mb", round(await self._thread.run(outbox.used_mb), 3))
        except (CannotStore, CorruptOutbox) as error:
            self._thread.refused(error)

    async def replace_streams(self, *, values: bool) -> None:
        """Gives the sender the outbox's new streams. values: one for process values too."""
        self._sender.replace(await self._thread.run(lambda: all_streams(self._thread.outbox, values=values)))
