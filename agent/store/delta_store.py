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
from agent.outbox.journal.schema import WINDOW_NS
from agent.outbox.journal.spans import begin
from agent.outbox.outbox import Outbox
from agent.process.health import Health
from oee.model.facts import HOUR_NS

_LOG: Final = logging.getLogger("nhip.agent.outbox")
_LARGE_BYTES: Final = 64 * 1024
_EDGE_NS: Final = 24 * HOUR_NS
"""Commits that end so shortly before the window are where the journal may begin."""


class DeltaStore:
    """Stores batches, each in one transaction. Called in the outbox's thread.

    gathered_ns: when the journal was last gathered [ns UTC]; large: machines whose last stored state was large.
    """

    def __init__(self, health: Health, window_ns: int = WINDOW_NS) -> None:
        """window_ns: how far corrections can reach back [ns]."""
        self._health, self._window_ns = health, window_ns
        self._deferred: list[Delta] = []
        self.gathered_ns = self._gathered_to_ns = 0
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
        end_ns = max((item.until_ns for item in deltas if item.samples is not None), default=0)
        begins = end_ns and now_ns - self._window_ns - _EDGE_NS < end_ns <= now_ns - self._window_ns
        gathers = complete or begins or max(now_ns - self.gathered_ns, end_ns - self._gathered_to_ns) >= HOUR_NS
        states = carries(deltas, () if gathers else self.large)
        stored = [item for item in deltas if item.machine in states]
        also = self._journal(stored, now_ns, gathers=gathers)
        sealed = outbox.commit(contents, states, now_ns, settings, also)
        if gathers:
            self.gathered_ns, self._gathered_to_ns = now_ns, max(end_ns, self._gathered_to_ns)
        self._deferred = [item for item in deltas if item.machine not in states]
        self.large = {name for name in self.large if name not in states}
        self.large |= {name for name, data in states.items() if len(data) > _LARGE_BYTES}
        return sealed

    def _journal(
        self, stored: Sequence[Delta], now_ns: int, *, gathers: bool
    ) -> Callable[[sqlite3.Connection, Sequence[tuple[str, int]]], None]:
        """What the commit writes into the journal, within its transaction.

        Nothing is kept of days before the window: there the journal begins anew with each commit shortly before it, so
        that it reaches back to the window's beginning once later time is recorded.
        """
        spans = [item for item in stored if item.samples is not None]
        is_past = bool(spans) and all(item.until_ns <= now_ns - self._window_ns for item in spans)
        states = {item.machine: (item.tags, item.state) for item in stored if item.state is not None}

        def write(db: sqlite3.Connection, envelopes: Sequence[tuple[str, int]]) -> None:
            if not is_past:
                record(db, spans, envelopes)
            complete = not gathers or gather(db, {name: state for name, (_, state) in states.items()})
            if not complete:
                self._health.count("journal_begun_anew")
                _LOG.error("journal begins anew why=%r", "what it held cannot be read, or what was sent is gone")
            if not complete or (is_past and gathers):
                for name, (tags, state) in states.items():
                    begin(db, name, tags, state)

        return write

    def forget(self) -> None:
        """Drops what is deferred: all machines start over."""
        self._deferred = []
