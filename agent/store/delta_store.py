"""Decides what of a batch one commit writes: rows as envelopes, samples into the journal, states as carries.

A large state is written only together with rows that its machine offers, once a minute, unless the commit is complete
(at an hour's end, before a correction, at the end of the run): otherwise a machine that stood still for days would wear
out the memory card. Samples whose state is not written wait with it, so that rows and states on disk always agree.
"""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

from agent.compute.delta import Delta, carries, merge
from agent.outbox.envelopes import Sealed
from agent.outbox.journal.recording import gather, record
from agent.outbox.journal.schema import HOUR_NS, WINDOW_NS
from agent.outbox.outbox import Outbox
from agent.process.health import Health

_LOG: Final = logging.getLogger("nhip.agent.outbox")
_LARGE_BYTES: Final = 64 * 1024


class DeltaStore:
    """Stores batches, each in one transaction. Called in the outbox's thread.

    gathered_ns: when the journal was last gathered [ns UTC]; large: machines whose last stored state was large.
    """

    def __init__(self, health: Health, window_ns: int = WINDOW_NS) -> None:
        """window_ns: how far corrections can reach back [ns]."""
        self._health, self._window_ns = health, window_ns
        self._deferred: list[Delta] = []
        self.gathered_ns = 0
        self.large: set[str] = set()

    def store(
        self,
        outbox: Outbox,
        batch: Sequence[Delta],
        contents: Sequence[tuple[str, Any]],
        settings: dict[str, str],
        now_ns: int,
        *,
        complete: bool,
    ) -> list[Sealed]:
        """Commits a batch. contents: of all envelopes, including those of its offered rows; complete: large states too, and
        the journal gathered.

        Raises as `Outbox.commit` does; then nothing has changed.
        """
        deltas = merge([*self._deferred, *batch])
        if not contents and not deltas and not complete:
            return []
        gathers = complete or now_ns - self.gathered_ns >= HOUR_NS
        states = carries(deltas, () if gathers else self.large)
        stored = [item for item in deltas if item.machine in states]
        also = self._journal(stored, now_ns, gathers=gathers)
        sealed = outbox.commit(contents, states, now_ns, settings, also)
        self.gathered_ns = now_ns if gathers else self.gathered_ns
        self._deferred = [item for item in deltas if item.machine not in states]
        self.large = {name for name in self.large if name not in states}
        self.large |= {name for name, data in states.items() if len(data) > _LARGE_BYTES}
        return sealed

    def _journal(
        self, stored: Sequence[Delta], now_ns: int, *, gathers: bool
    ) -> Callable[[sqlite3.Connection, Sequence[tuple[str, int]]], None]:
        """What the commit writes into the journal, within its transaction."""
        spans = [item for item in stored if item.samples is not None]
        recent = [item for item in spans if item.until_ns > now_ns - self._window_ns]

        def write(db: sqlite3.Connection, envelopes: Sequence[tuple[str, int]]) -> None:
            if recent or not spans:  # nothing is kept of days before the window
                record(db, recent, envelopes)
            if gathers and not gather(db, {item.machine: item.state for item in stored if item.state is not None}):
                self._health.count("journal_begun_anew")
                _LOG.error("journal begins anew why=%r", "what it held cannot be read, or what was sent is gone")

        return write

    def forget(self) -> None:
        """Drops what is deferred: all machines start over."""
        self._deferred = []
