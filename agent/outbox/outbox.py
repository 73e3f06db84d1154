"""The outbox: stores each commit in one transaction, and what receipts settle.

Envelopes of one commit, the engine states and the settings change in one transaction. Settled envelopes stay until they
are 35 days old or the file is over its budget, so that a center that lost its disk gets them again; of
unsettled ones only process values are ever deleted (`agent.outbox.eviction`). The newest `site` envelope always stays, since
the others cannot be interpreted without it.

Everything here blocks on the disk: call it from one worker thread, never from the event loop.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from agent.outbox import declarations, entries
from agent.outbox.disk import DiskFull
from agent.outbox.envelopes import Sealed, put, states, write_marks
from agent.outbox.eviction import Room, delete_settled
from agent.outbox.file import OutboxFile
from agent.outbox.journal import retention
from agent.outbox.journal import schema as journal
from agent.outbox.streams import OutboxStream
from wire.bodies import Dropped
from wire.marks import Marks, unsettled_below

T = TypeVar("T")
DAY_NS: Final = 86_400_000_000_000
RESERVE_BYTES: Final = 8 * 2**20  # more than the WAL needs for a checkpoint
KEEP_NS: Final = 35 * DAY_NS
BUDGET_MB: Final = 2048
PRUNED: Final = "no longer on the gateway's disk"
_TRIES: Final = 4

Also = Callable[[sqlite3.Connection, Sequence[tuple[str, int]]], None]
"""What else a commit writes, within its transaction; given the (stream, seq) of the `facts` envelopes that it sealed."""


class Outbox:
    """One open outbox. `agent.outbox.recovery.open_outbox` opens one whatever state its file is in."""

    def __init__(
        self, path: Path, *, budget_mb: int = BUDGET_MB, keep_ns: int = KEEP_NS, reserve_bytes: int = RESERVE_BYTES
    ) -> None:
        """Opens or creates the file. Raises `OutboxInUse`, `UnknownFormat`, `CorruptOutbox` or `CannotStore`."""
        self.path, self._keep_ns = path, keep_ns
        self.file = OutboxFile(path, budget_mb * 2**20)
        self.room = Room(self.file, budget_mb * 2**20, reserve_bytes)

    def close(self) -> None:
        """Closes the file. May be called twice."""
        self.file.close()

    def commit(
        self,
        bodies: Sequence[tuple[str, Any]],
        carries: Mapping[str, bytes],
        now_ns: int,
        settings: Mapping[str, str] | None = None,
        also: Also | None = None,
    ) -> list[Sealed]:
        """Seals each (kind, content) into its kind's current stream and stores them with the engine states (`carries`)
        and settings, all or nothing.

        Returns them, preceded by the `dropped` envelopes that were sealed to make room. Raises `DiskFull` or
        `CannotStore`; then nothing of this was stored.
        """
        self.room.dropped = []
        for _ in range(_TRIES):
            if not self.room.keep(now_ns):
                break
            try:
                return [*self.room.dropped, *self._commit(bodies, carries, now_ns, settings or {}, also)]
            except DiskFull:
                if not self.room.make(now_ns):
                    raise
        raise DiskFull("nothing_to_delete", path=self.path)

    def _commit(
        self,
        bodies: Sequence[tuple[str, Any]],
        carries: Mapping[str, bytes],
        now_ns: int,
        settings: Mapping[str, str],
        also: Also | None,
    ) -> list[Sealed]:
        with self.file.transaction() as db:
            out = [Sealed(kind, put(db, kind, content, now_ns)) for kind, content in bodies]
            db.executemany("insert or replace into carry values (?, ?)", carries.items())
            db.executemany("insert or replace into settings values (?, ?)", settings.items())
            if also:
                also(db, [(item.key.stream, item.key.seq) for item in out if item.kind == "facts"])
        return out

    def within(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Calls `work` in a transaction of its own. Raises as `commit` does."""
        with self.file.transaction() as db:
            return work(db)

    def receipted(self, marks: Mapping[str, Marks], generation: str, now_ns: int) -> list[Sealed]:
        """Stores what the center has settled. If that is lost, envelopes are sent twice, and no facts are lost.

        A center of a new generation does not have what was pruned. The `dropped` envelopes that list it are stored in one
        transaction with the marks, and returned: after a kill both are there, or neither, and the next receipt repeats it.
        """

        def write(db: sqlite3.Connection) -> list[Sealed]:
            return _put_dropped(db, self.streams(), now_ns) if write_marks(db, marks, generation) else []

        try:
            return self.within(write)
        except DiskFull:
            self.room.use_reserve()
            return self.within(write)

    def retire_streams(self) -> None:
        """Retires every stream and deletes the engine states: for a file that is an old copy of one that was used
        further elsewhere.

        Envelopes of the retired streams stay on disk but are not sent: the other copy used their numbers for
        other content, which the center received first.
        """
        with self.file.transaction() as db:
            db.execute("update streams set current = -1")
            db.execute("delete from carry")
            journal.clear(db)
            declarations.follow_again(db)
            db.execute("delete from settings where key = 'site_sent'")

    def prune(self, now_ns: int, window_ns: int = journal.WINDOW_NS) -> tuple[int, list[Sealed]]:
        """Deletes settled envelopes and parts of the journal that are too old, and what may be evicted while the file
        is over budget.

        Returns how many envelopes, and the `dropped` envelopes sealed for them. Each call deletes a few hundred at most,
        so call it periodically.
        """
        self.room.dropped = []
        with self.file.transaction() as db:
            deleted = delete_settled(db, now_ns - self._keep_ns)
            retention.prune(db, now_ns - window_ns)
            declarations.prune(db, now_ns)
            entries.prune(db, now_ns)
            if not deleted and self.room.over_budget():
                deleted = self.room.evict(db, now_ns)
        return deleted, self.room.dropped

    def streams(self) -> list[OutboxStream]:
        """Every stream that is current or has envelopes on disk to be sent."""
        return states(self.file)

    def carries(self) -> dict[str, bytes]:
        """Each machine's engine state as of the last commit."""
        return dict(self.file.select("select machine, data from carry"))

    def settings(self) -> dict[str, str]:
        """The settings that commits and receipts have stored."""
        return dict(self.file.select("select key, value from settings"))

    def used_mb(self) -> float:
        """The size of the file's content, without free pages [MB]."""
        return self.file.used_bytes() / 2**20


def _put_dropped(db: sqlite3.Connection, streams: Iterable[OutboxStream], now_ns: int) -> list[Sealed]:
    """Seals, for each current stream, a list of what is neither settled nor on disk."""
    lost = [(item.kind, unsettled_below(item.marks, item.first)) for item in streams if item.current]
    contents = [(kind, Dropped(dropped=ranges, why=PRUNED).model_dump(mode="json")) for kind, ranges in lost if ranges]
    return [Sealed(kind, put(db, kind, content, now_ns)) for kind, content in contents]
