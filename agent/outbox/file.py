"""The outbox file: envelopes and the engine states that led to them, in one SQLite file.

File format 1: SQLite, WAL, synchronous=FULL (a commit survives a power cut), one writer.

    meta       key, value         `format` = 1, `outbox` = id of this file, random
    streams    no, stream, kind   one current stream for each kind, created when the kind is first used; older ones stay
               next_seq           until they are settled. next_seq: the seq that the next envelope gets
               mark, beyond       what the center's receipts settle (`wire.marks`): all up to mark, and ranges above it
                                  (JSON)
               current            1: new envelopes go here; 0: an older one, still sent; -1: retired, never sent
    envelopes  id, stream, seq,   data: the sealed bytes of wire.envelope, as they are sent; stream: streams.no
               sealed_ns, data
    carry      machine, data      each machine's engine state as of the last commit
    settings   key, value         `generation` of the center, digest of the last `site` body ...
    journal_*                     see agent.outbox.journal.schema
    declarations, recomputes      see agent.outbox.declarations
    andon_entries                 see agent.outbox.entries

What is settled is recorded per stream, not per envelope: a receipt updates one row per stream, however many envelopes it
covers.

`<file>.lock` beside it keeps a second agent out, and holds the reason while nothing can be stored. Deleted pages are
returned to the disk (auto_vacuum=incremental), so that receipts resolve a full disk. Everything here blocks on the disk:
call it from one worker thread, never from the event loop.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from agent.outbox import declarations, entries
from agent.outbox.disk import CorruptOutbox, UnknownFormat, lock, note_link, note_trouble, translated
from agent.outbox.journal import schema as journal
from agent.outbox.tables import update_tables

FORMAT: Final = 1
_SCHEMA: Final = """
create table meta (key text primary key, value text not null) without rowid;
create table streams (no integer primary key, stream text not null unique, kind text not null,
    next_seq integer not null, mark integer not null, beyond text not null, current integer not null);
create table envelopes (id integer primary key, stream integer not null, seq integer not null,
    sealed_ns integer not null, data blob not null, unique (stream, seq));
create table carry (machine text primary key, data blob not null) without rowid;
create table settings (key text primary key, value text not null) without rowid;
insert into meta values ('format', '1'), ('outbox', lower(hex(randomblob(8))));
"""
SCHEMA: Final = f"{_SCHEMA} {journal.SCHEMA} {declarations.SCHEMA} {entries.SCHEMA}"
_PRAGMAS: Final = (
    "auto_vacuum=incremental",
    "secure_delete=off",
    "journal_mode=wal",
    "synchronous=full",
    "journal_size_limit=4194304",
)


def check_format(db: sqlite3.Connection, path: Path) -> None:
    """Raises `UnknownFormat` if this is no outbox that this program can read."""
    has_meta = db.execute("select 1 from sqlite_master where name = 'meta'").fetchone()
    meta = dict(db.execute("select key, value from meta")) if has_meta else {}
    if meta.get("format") != str(FORMAT):
        raise UnknownFormat("other_format", path=path, found=repr(meta.get("format")), reads=FORMAT)


class OutboxFile:
    """The open file: its connection, its transactions, and the translation of SQLite's errors."""

    def __init__(self, path: Path, budget_bytes: int) -> None:
        """Opens or creates the file; SQLite lets it grow to slightly more than its budget. Raises `OutboxInUse`,
        `UnknownFormat`, `CorruptOutbox` or `CannotStore`.
        """
        self.path = path
        self._lock = lock(path)
        try:
            with translated(path):
                self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
                self._prepare(budget_bytes)
        except BaseException:
            self.close()
            raise

    def _prepare(self, budget_bytes: int) -> None:
        for pragma in _PRAGMAS:
            self.db.execute(f"pragma {pragma}")
        if not self.db.execute("select 1 from sqlite_master where name = 'meta'").fetchone():
            self.db.executescript(f"begin; {_SCHEMA} commit;")
        check_format(self.db, self.path)
        update_tables(self.db, self.path, SCHEMA)
        self.db.executescript(f"begin; {journal.SCHEMA} {declarations.SCHEMA} {entries.SCHEMA} commit;")
        (self._page_bytes,) = self.db.execute("pragma page_size").fetchone()
        # slightly above the budget at which pruning starts, so that the deletions themselves have room
        self.db.execute(f"pragma max_page_count={max(64, budget_bytes * 21 // 20 // self._page_bytes)}")

    def close(self) -> None:
        """Closes the file and frees its lock. May be called twice."""
        if db := getattr(self, "db", None):
            db.close()
        self._lock.close()

    def note_trouble(self, why: str) -> None:
        """Writes into the lock file, for `nhip outbox`, why nothing can be stored; "" if it can."""
        note_trouble(self._lock, why)

    def note_link(self, troubles: str) -> None:
        """Writes the link's troubles into the lock file, for `nhip outbox`: JSON, or "" for none."""
        note_link(self._lock, troubles)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction for the block. Raises `DiskFull`, `CannotStore` or `CorruptOutbox`; then nothing of it was
        stored.
        """
        with translated(self.path):
            self.db.execute("begin immediate")
            try:
                yield self.db
                self.db.execute("commit")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("rollback")
                raise

    def select(self, sql: str, *values: object) -> list[Any]:
        """The rows of a query. Raises as `transaction` does."""
        with translated(self.path):
            return self.db.execute(sql, values).fetchall()

    def checkpoint(self) -> None:
        """Moves the WAL into the file and empties it."""
        self.select("pragma wal_checkpoint(truncate)")

    def used_bytes(self) -> int:
        """The size of the file's content, without free pages [bytes]."""
        [(pages,)], [(free,)] = self.select("pragma page_count"), self.select("pragma freelist_count")
        return int((pages - free) * self._page_bytes)

    def check(self) -> None:
        """Reads the whole file. Raises `CorruptOutbox` if SQLite finds it damaged."""
        findings = [row[0] for row in self.select("pragma quick_check(3)")]
        if findings != ["ok"]:
            raise CorruptOutbox("damaged", path=self.path, error="; ".join(map(str, findings)))
