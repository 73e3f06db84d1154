"""Eviction: what a full outbox deletes, and in which order.

    0  the journal: it holds nothing that was not sent
    1  process values that the center has
    2  the oldest process values that it does not have: an envelope that lists them (`dropped`) replaces them
    3  everything else that the center has

Facts, losses, stops and site bodies that the center does not have are never deleted; without room for more of them, new
time is recorded as unknown.

`<file>.reserve` holds disk space for writing receipts and deletions when the disk is full. New envelopes are refused
(`DiskFull`) while that space cannot be reserved.
"""

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.outbox.disk import DiskFull, Reserve
from agent.outbox.envelopes import Sealed, put
from agent.outbox.file import OutboxFile
from agent.outbox.journal.retention import evict_oldest
from wire.bodies import Dropped
from wire.marks import Range

VALUES: Final = "values"
ANY_AGE: Final = 2**63 - 1
WHY: Final = "given up for want of disk space on the gateway"
_ROWS: Final = 500
_WORTH_BYTES: Final = 4096
_VACUUM_PAGES: Final = 256
_VACUUM_STEPS: Final = 32


def reserve_path(outbox: Path) -> Path:
    """The file that holds disk space in reserve."""
    return outbox.with_name(f"{outbox.name}.reserve")


class Room:
    """The space that an outbox may use: a reserve on the disk and a budget for the file [bytes].

    dropped: the `dropped` envelopes made since the caller last emptied the list.
    """

    def __init__(self, file: OutboxFile, budget_bytes: int, reserve_bytes: int) -> None:
        self._file, self.budget_bytes = file, budget_bytes
        self._reserve = Reserve(reserve_path(file.path), reserve_bytes)
        self.dropped: list[Sealed] = []

    def keep(self, now_ns: int) -> bool:
        """Ensures that the reserve exists, making room for it on a full disk. False if there is no room."""
        return self._reserve.fill() or self.make(now_ns)

    def use_reserve(self) -> None:
        """Frees the reserve for what must be written now."""
        self._reserve.release()
        self._file.checkpoint()

    def make(self, now_ns: int) -> bool:
        """Makes one eviction step, whatever the age, and returns the pages to the disk. Whether there is room for the
        reserve again.
        """
        self.use_reserve()
        with self._file.transaction() as db:
            deleted = self.evict(db, now_ns)
        with suppress(DiskFull):
            for _ in range(
                _VACUUM_STEPS if deleted else 0
            ):  # in small steps, since the moved pages must fit into the reserve
                self._file.select(f"pragma incremental_vacuum({_VACUUM_PAGES})")
                self._file.checkpoint()
        return self._reserve.fill()

    def evict(self, db: sqlite3.Connection, now_ns: int) -> int:
        """One step of the order above, within the caller's transaction; returns how many rows or envelopes were deleted."""
        if deleted := evict_oldest(db):
            return deleted
        if deleted := settled_values(db):
            return deleted
        if evicted := unsettled_values(db, self.budget_bytes // 32):
            content = Dropped(dropped=evicted.ranges, why=WHY).model_dump(mode="json")
            key = put(db, VALUES, content, now_ns)
            self.dropped.append(Sealed(VALUES, key, evicted.envelopes))
            return evicted.envelopes
        return settled_others(db)

    def over_budget(self) -> bool:
        """Whether the file holds more than its budget."""
        return self._file.used_bytes() > self.budget_bytes


@dataclass(frozen=True)
class EvictedValues:
    """Process values that the center will never receive. stream: `streams.no`; ranges: all that is missing below the first
    envelope still on disk, including what earlier `dropped` envelopes listed, since those may be evicted in turn;
    envelopes: how many were deleted now.
    """

    stream: int
    ranges: list[Range]
    envelopes: int


def delete_settled(db: sqlite3.Connection, before_ns: int, kinds: str = "1") -> int:
    """Deletes settled envelopes sealed before `before_ns`, at most `_ROWS` and the oldest of each stream; returns how many.

    kinds: a condition on `streams`. The newest `site` envelope always stays.
    """
    count = 0
    streams = db.execute(
        f"select no, min(mark, next_seq - 1 - (kind = 'site')) from streams where {kinds} order by no"  # noqa: S608  # constants
    ).fetchall()
    for no, last in streams:
        rows = db.execute(
            "select id, sealed_ns from envelopes where stream = ? and seq <= ? order by seq limit ?", (no, last, _ROWS)
        ).fetchall()
        old_rows = [(row,) for row, sealed_ns in rows if sealed_ns < before_ns]
        db.executemany("delete from envelopes where id = ?", old_rows)
        count += len(old_rows)
    return count


def settled_values(db: sqlite3.Connection) -> int:
    """Step 1; returns how many envelopes."""
    return delete_settled(db, ANY_AGE, f"kind = '{VALUES}'")


def unsettled_values(db: sqlite3.Connection, least_bytes: int) -> EvictedValues | None:
    """Step 2: the oldest, until about `least_bytes` are free; None if there are none."""
    stream_row = db.execute(
        "select no, mark, next_seq from streams where kind = ? and current = 1", (VALUES,)
    ).fetchone()
    if stream_row is None:
        return None
    no, mark, next_seq = stream_row
    rows = db.execute(
        "select id, length(data) from envelopes where stream = ? and seq > ? and seq < ? order by seq limit ?",
        (no, mark, next_seq - 1, _ROWS),  # the newest stays: it may be the list of what was evicted
    ).fetchall()
    deleted, freed = [], 0
    for row, size in rows:
        if freed >= least_bytes:
            break
        deleted.append((row,))
        freed += size
    if freed < _WORTH_BYTES:
        return None  # only the list of what was evicted is left
    db.executemany("delete from envelopes where id = ?", deleted)
    (first,) = db.execute("select min(seq) from envelopes where stream = ?", (no,)).fetchone()
    return EvictedValues(no, [(mark + 1, first - 1)], len(deleted))


def settled_others(db: sqlite3.Connection) -> int:
    """Step 3; returns how many envelopes."""
    return delete_settled(db, ANY_AGE, f"kind != '{VALUES}'")
