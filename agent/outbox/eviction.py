"""Making room in a full outbox: what is deleted, and in which order.

    0  the journal, which holds nothing that was not sent
    1  process values that the center has
    2  process values that it does not have, the oldest: an envelope that lists them (`dropped`) takes their place
    3  everything else that the center has

Facts, losses, stops and site bodies that the center does not have are never deleted; without room for more of them, new
time is recorded as unknown.

`<file>.reserve` is room in which receipts and deletions can be written down when the disk is full. New envelopes are
refused (`DiskFull`) while that room cannot be kept.
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


class Room:
    """The space that an outbox may use: a reserve on the disk and a budget for the file [bytes].

    dropped: the `dropped` envelopes made since the caller last emptied the list.
    """

    def __init__(self, file: OutboxFile, budget_bytes: int, reserve_bytes: int) -> None:
        self._file, self.budget_bytes = file, budget_bytes
        self._reserve = Reserve(Path(f"{file.path}.reserve"), reserve_bytes)
        self.dropped: list[Sealed] = []

    def keep(self, now_ns: int) -> bool:
        """Takes the reserve, making room for it where the disk is full. False if there is none."""
        return self._reserve.fill() or self.make(now_ns)

    def use_reserve(self) -> None:
        """Gives the reserve to what must be written now."""
        self._reserve.release()
        self._file.checkpoint()

    def make(self, now_ns: int) -> bool:
        """Evicts what may be evicted, whatever its age, and gives the pages back to the disk. Whether there is room
        again.
        """
        self.use_reserve()
        with self._file.transaction() as db:
            gone = self.evict(db, now_ns)
        with suppress(DiskFull):
            for _ in range(_VACUUM_STEPS if gone else 0):  # small steps: what moves must fit into the reserve
                self._file.select(f"pragma incremental_vacuum({_VACUUM_PAGES})")
                self._file.checkpoint()
        return self._reserve.fill()

    def evict(self, db: sqlite3.Connection, now_ns: int) -> int:
        """One step of the order above, within the caller's transaction; returns how many rows or envelopes are gone."""
        if gone := evict_oldest(db):
            return gone
        if gone := settled_values(db):
            return gone
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
    """Process values that the center will never receive. stream: `streams.no`; ranges: all that is missing below the next
    seq, what earlier `dropped` envelopes listed included, since those may be evicted in their turn; envelopes: how many
    were deleted now.
    """

    stream: int
    ranges: list[Range]
    envelopes: int


def delete_settled(db: sqlite3.Connection, before_ns: int, kinds: str = "1") -> int:
    """Deletes some hundred settled envelopes sealed before then, the oldest of each stream; returns how many.

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
        gone = [(row,) for row, sealed_ns in rows if sealed_ns < before_ns]
        db.executemany("delete from envelopes where id = ?", gone)
        count += len(gone)
    return count


def settled_values(db: sqlite3.Connection) -> int:
    """Step 1; returns how many envelopes."""
    return delete_settled(db, ANY_AGE, f"kind = '{VALUES}'")


def unsettled_values(db: sqlite3.Connection, least_bytes: int) -> EvictedValues | None:
    """Step 2: the oldest, until about `least_bytes` are free; None if there are none."""
    found = db.execute("select no, mark, next_seq from streams where kind = ? and current = 1", (VALUES,)).fetchone()
    if found is None:
        return None
    no, mark, next_seq = found
    rows = db.execute(
        "select id, length(data) from envelopes where stream = ? and seq > ? and seq < ? order by seq limit ?",
        (no, mark, next_seq - 1, _ROWS),  # the newest stays: it may be the list of what was evicted
    ).fetchall()
    gone, freed = [], 0
    for row, size in rows:
        if freed >= least_bytes:
            break
        gone.append((row,))
        freed += size
    if freed < _WORTH_BYTES:
        return None  # nothing but the list of what was evicted
    db.executemany("delete from envelopes where id = ?", gone)
    (first,) = db.execute("select min(seq) from envelopes where stream = ?", (no,)).fetchone()
    return EvictedValues(no, [(mark + 1, first - 1)], len(gone))


def settled_others(db: sqlite3.Connection) -> int:
    """Step 3; returns how many envelopes."""
    return delete_settled(db, ANY_AGE, f"kind != '{VALUES}'")
