"""The outbox: envelopes and the state that led to them, on disk together.

File format 1: SQLite, WAL, synchronous=FULL (a commit survives a power cut), one writer.

    meta       key, value         `format` = 1, `outbox` = id of this file, random
    streams    no, stream, kind   one current stream for each kind, made when the kind is first used; older ones stay
               next_seq           until they are settled. next_seq: the seq that the next envelope gets
               mark, beyond       what the center's receipts settle: all up to mark, and ranges above it (JSON)
               current            1: new envelopes go here; 0: an older one, still sent; -1: retired, never sent
    envelopes  id, stream, seq,   data: the sealed bytes of wire.envelope, as they are sent; stream: streams.no
               sealed_ns, data
    carry      machine, data      the core's state of each machine as of the last commit
    settings   key, value         `generation` of the center, digest of the last `site` body ...
    journal_*                     see agent.journal
    declarations, recomputes      see agent.declared

What is settled is a property of the stream, not a flag on each envelope: a receipt writes one row, whatever it
covers. Envelopes of one commit, the carry and the settings change in one transaction. Settled envelopes stay until
they are 35 days old or the file is over its budget, so that a center that lost its disk gets them again; of others only
process values are ever deleted (`agent.outbox.eviction`). The newest `site` envelope always stays: without it nobody could
read the rest.

Beside it lie `<file>.lock`, which keeps a second agent out, and `<file>.reserve`: room in which receipts and deletions
can be written down when the disk is full. New envelopes are refused (`DiskFull`) while that room cannot be kept, and
the file gives deleted pages back to the disk (auto_vacuum=incremental), so that receipts end a full disk. Methods block on the disk: call them from one worker
thread, never from the acquisition path.
"""

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from agent.outbox import declarations as declared
from agent.outbox import eviction as sacrifice
from agent.outbox.disk import CorruptOutbox, DiskFull, Reserve, UnknownFormat, lock, translated
from agent.outbox.journal import SCHEMA as JOURNAL
from agent.outbox.journal import WINDOW_NS, Also, Journal
from agent.outbox.streams import EnvelopeKey, OutboxStream
from wire.bodies import Dropped
from wire.envelope import seal
from wire.marks import NO_MARKS, Marks, decode_marks, encode_beyond, is_settled, next_unsettled

FORMAT: Final = 1
T = TypeVar("T")
DAY_NS: Final = 86_400_000_000_000
RESERVE_BYTES: Final = 8 * 2**20  # more than the WAL ever needs for its next checkpoint
KEEP_NS: Final = 35 * DAY_NS
BUDGET_MB: Final = 2048
_VACUUM_PAGES: Final = 256
_VACUUM_STEPS: Final = 32
_TRIES: Final = 4

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


@dataclass(frozen=True)
class Sealed:
    """An envelope that a commit made. gave_up: how many others it stands for."""

    kind: str
    key: EnvelopeKey
    gave_up: int = 0


class Outbox:
    """One open outbox file. `agent.outbox.recovery.open_outbox` opens one whatever state it is in."""

    def __init__(
        self, path: Path, *, budget_mb: int = BUDGET_MB, keep_ns: int = KEEP_NS, reserve_bytes: int = RESERVE_BYTES
    ) -> None:
        """Opens or creates the file. Raises `OutboxInUse`, `UnknownFormat`, `CorruptOutbox` or `CannotStore`."""
        self.path = path
        self._budget_bytes, self._keep_ns = budget_mb * 2**20, keep_ns
        self._gave_up: list[Sealed] = []
        self._lock = lock(path)
        self._reserve = Reserve(Path(f"{path}.reserve"), reserve_bytes)
        try:
            with translated(path):
                self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
                self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        for pragma in (
            "auto_vacuum=incremental",
            "secure_delete=off",
            "journal_mode=wal",
            "synchronous=full",
            "journal_size_limit=4194304",
        ):
            self._db.execute(f"pragma {pragma}")
        if not self._db.execute("select 1 from sqlite_master where name = 'meta'").fetchone():
            self._db.executescript(f"begin; {_SCHEMA} commit;")
        self._db.executescript(f"begin; {JOURNAL} {declared.SCHEMA} commit;")
        found = dict(self._db.execute("select key, value from meta"))
        if found.get("format") != str(FORMAT):
            raise UnknownFormat(
                f"{self.path} has format {found.get('format')!r}; this program reads {FORMAT}: "
                "install the version that wrote it, or give the agent another outbox file"
            )
        (page_bytes,) = self._db.execute("pragma page_size").fetchone()
        # a little above the budget at which pruning starts, so that the deletions themselves have room
        self._db.execute(f"pragma max_page_count={max(64, self._budget_bytes * 21 // 20 // page_bytes)}")
        self._page_bytes = page_bytes
        self.journal = Journal(self._db)

    def close(self) -> None:
        """Frees the file. May be called twice."""
        if db := getattr(self, "_db", None):
            db.close()
        self._lock.close()

    # writing

    def commit(
        self,
        bodies: Sequence[tuple[str, Any]],
        carries: Mapping[str, bytes],
        now_ns: int,
        settings: Mapping[str, str] | None = None,
        also: Also | None = None,
    ) -> list[Sealed]:
        """Seals each (kind, content) into its kind's current stream and stores them with the carries, all or nothing.

        also: what else is written in the same transaction.

        Returns them, and before them the `dropped` envelopes that made room for them. Raises `DiskFull` or
        `CannotStore`; then nothing of this was stored.
        """
        self._gave_up = []
        for _ in range(_TRIES):
            if not self._reserve.fill() and not self._make_room(now_ns):
                break
            try:
                return [*self._gave_up, *self._commit(bodies, carries, now_ns, settings or {}, also)]
            except DiskFull:
                if not self._make_room(now_ns):
                    raise
        raise DiskFull(
            f"no room for {self.path}: the disk is full and nothing here may be deleted; free disk space, "
            "or bring back the connection to the center, whose receipts free what is stored"
        )

    def _make_room(self, now_ns: int) -> bool:
        """Gives up what may be, whatever its age, and gives the pages back to the disk.

        Returns whether there is room again.
        """
        self._reserve.release()
        self._checkpoint()
        with self._transaction():
            gone = self._sacrifice(now_ns)
        with suppress(DiskFull):
            for _ in range(_VACUUM_STEPS if gone else 0):  # small steps: what moves must fit into the reserve
                with translated(self.path):
                    self._db.execute(f"pragma incremental_vacuum({_VACUUM_PAGES})").fetchall()
                self._checkpoint()
        return self._reserve.fill()

    def _sacrifice(self, now_ns: int) -> int:
        """The journal's oldest part, else one step of `agent.outbox.eviction`; returns how many rows or envelopes are gone."""
        if gone := self.journal.sacrifice():
            return gone
        if gone := sacrifice.settled_values(self._db):
            return gone
        if given_up := sacrifice.unsettled_values(self._db, self._budget_bytes // 32):
            content = Dropped(dropped=given_up.ranges, why=sacrifice.WHY).model_dump(mode="json")
            key = self._put(sacrifice.VALUES, content, now_ns)
            self._gave_up.append(Sealed(sacrifice.VALUES, key, given_up.envelopes))
            return given_up.envelopes
        return sacrifice.settled_others(self._db)

    def _checkpoint(self) -> None:
        with translated(self.path):
            self._db.execute("pragma wal_checkpoint(truncate)").fetchall()

    def _commit(
        self,
        bodies: Sequence[tuple[str, Any]],
        carries: Mapping[str, bytes],
        now_ns: int,
        settings: Mapping[str, str],
        also: Also | None,
    ) -> list[Sealed]:
        out = []
        with self._transaction():
            for kind, content in bodies:
                out.append(Sealed(kind, self._put(kind, content, now_ns)))
            self._db.executemany("insert or replace into carry values (?, ?)", carries.items())
            self._db.executemany("insert or replace into settings values (?, ?)", settings.items())
            if also:
                also(self.journal, [(item.key.stream, item.key.seq) for item in out if item.kind == "facts"])
        return out

    def within(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Does something to the file in a transaction of its own. Raises as `commit` does."""
        with self._transaction():
            return work(self._db)

    def _put(self, kind: str, content: Any, now_ns: int) -> EnvelopeKey:
        no, stream, seq = self._next(kind)
        data = seal(stream, seq, now_ns, content).data
        self._db.execute(
            "insert into envelopes (stream, seq, sealed_ns, data) values (?, ?, ?, ?)", (no, seq, now_ns, data)
        )
        return EnvelopeKey(stream, seq)

    def _next(self, kind: str) -> tuple[int, str, int]:
        row = self._db.execute(
            "update streams set next_seq = next_seq + 1 where kind = ? and current = 1 returning no, stream, next_seq - 1",
            (kind,),
        ).fetchone()
        if row:
            return row[0], row[1], row[2]
        stream = secrets.token_hex(8)
        no = self._add_stream(stream, kind, next_seq=2, known=NO_MARKS, current=True)
        return no, stream, 1

    def _add_stream(self, stream: str, kind: str, *, next_seq: int, known: Marks, current: bool) -> int:
        cursor = self._db.execute(
            "insert into streams (stream, kind, next_seq, mark, beyond, current) values (?, ?, ?, ?, ?, ?)",
            (stream, kind, next_seq, known.mark, encode_beyond(known), int(current)),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def adopt(self, streams: Iterable[OutboxStream], envelopes: Iterable[tuple[EnvelopeKey, int, bytes]]) -> int:
        """Takes over what was saved from a damaged file: old streams, and `(key, sealed_ns, data)`; returns how many.

        Nothing is ever added to an old stream: which of its numbers were used is not known for sure.
        """
        count = 0
        with self._transaction():
            number = {
                item.stream: self._add_stream(
                    item.stream, item.kind, next_seq=item.last + 1, known=item.marks, current=False
                )
                for item in streams
            }
            for key, sealed_ns, data in envelopes:
                count += self._db.execute(
                    "insert or ignore into envelopes (stream, seq, sealed_ns, data) values (?, ?, ?, ?)",
                    (number[key.stream], key.seq, sealed_ns, data),
                ).rowcount
        return count

    def stream(self, kind: str) -> str:
        """The id of the kind's current stream; made if there is none."""
        row = self._read("select stream from streams where kind = ? and current = 1", kind)
        if row:
            return str(row[0][0])
        stream = secrets.token_hex(8)
        with self._transaction():
            self._add_stream(stream, kind, next_seq=1, known=NO_MARKS, current=True)
        return stream

    def receipted(self, known: Mapping[str, Marks], generation: str) -> None:
        """Keeps what the center has settled. Losing it costs repetitions, never facts."""
        try:
            self._write_marks(known, generation)
        except DiskFull:
            self._reserve.release()
            self._checkpoint()
            self._write_marks(known, generation)

    def _write_marks(self, known: Mapping[str, Marks], generation: str) -> None:
        with self._transaction():
            self._db.executemany(
                "update streams set mark = ?, beyond = ? where stream = ?",
                [(item.mark, encode_beyond(item), stream) for stream, item in known.items()],
            )
            self._db.execute("insert or replace into settings values ('generation', ?)", (generation,))

    def begin_again(self) -> None:
        """Retires every stream and forgets the carry: for a file that is an old copy of one that went on elsewhere.

        Envelopes of the retired streams stay on disk but are not sent: the other copy used their numbers for
        something else, and its word was first.
        """
        with self._transaction():
            self._db.execute("update streams set current = -1")
            self._db.execute("delete from carry")
            self.journal.clear()
            declared.say_again(self._db)
            self._db.execute("delete from settings where key = 'site_sent'")

    def prune(self, now_ns: int, window_ns: int = WINDOW_NS) -> tuple[int, list[Sealed]]:
        """Deletes settled envelopes and parts of the journal that are too old, and what may be given up while the file
        is over budget.

        Returns how many envelopes, and the `dropped` envelopes made for them; call it now and then, it stops after a
        few hundred.
        """
        self._gave_up = []
        with self._transaction():
            gone = sacrifice.delete_settled(self._db, now_ns - self._keep_ns)
            self.journal.prune(now_ns - window_ns)
            declared.prune(self._db, now_ns)
            if not gone and self._used_bytes() > self._budget_bytes:
                gone = self._sacrifice(now_ns)
        return gone, self._gave_up

    def _used_bytes(self) -> int:
        (pages,) = self._db.execute("pragma page_count").fetchone()
        (free,) = self._db.execute("pragma freelist_count").fetchone()
        return int((pages - free) * self._page_bytes)

    # reading

    def streams(self) -> list[OutboxStream]:
        """Every stream that is current or has envelopes on disk to be sent."""
        rows = self._read(
            "select stream, kind, coalesce((select min(seq) from envelopes where stream = no), next_seq), next_seq, "
            "mark, beyond, current from streams where current >= 0 order by no"
        )
        return [
            OutboxStream(stream, kind, first, following - 1, decode_marks(mark, beyond), current=bool(current))
            for stream, kind, first, following, mark, beyond, current in rows
            if current or first < following
        ]

    def read(self, keys: Iterable[EnvelopeKey]) -> list[tuple[EnvelopeKey, str, bytes | None]]:
        """Each envelope's kind and bytes; None where the disk does not have it."""
        out: list[tuple[EnvelopeKey, str, bytes | None]] = []
        for key in keys:
            row = self._read(
                "select kind, (select data from envelopes where stream = no and seq = ?) from streams where stream = ?",
                key.seq,
                key.stream,
            )
            kind, data = row[0] if row else ("facts", None)
            out.append((key, kind, data))
        return out

    def waiting(self, limit: int = 1000, after: int = 0) -> list[tuple[int, EnvelopeKey]]:
        """Envelopes without a receipt, oldest first, as (row id, key); after: the row id to go on from."""
        known = {item.stream: item.marks for item in self.streams()}
        rows = self._read(
            "select id, s.stream, seq from envelopes e join streams s on s.no = e.stream "
            "where current >= 0 and seq > mark and id > ? order by id limit ?",
            after,
            limit,
        )
        return [(row, EnvelopeKey(stream, seq)) for row, stream, seq in rows if not is_settled(known[stream], seq)]

    def oldest_waiting_ns(self) -> int | None:
        """When the oldest envelope without a receipt was sealed [ns UTC]; None if none waits."""
        found = []
        for item in self.streams():
            seq = next_unsettled(item.marks, item.first - 1)
            found += self._read(
                "select sealed_ns from envelopes e join streams s on s.no = e.stream where s.stream = ? and seq = ?",
                item.stream,
                seq,
            )
        return min((int(row[0]) for row in found), default=None)

    def carries(self) -> dict[str, bytes]:
        """Each machine's state as of the last commit."""
        return dict(self._read("select machine, data from carry"))

    def settings(self) -> dict[str, str]:
        """What earlier commits and receipts put there."""
        return dict(self._read("select key, value from settings"))

    def used_mb(self) -> float:
        """What the file holds, free pages not counted [MB]."""
        with translated(self.path):
            return self._used_bytes() / 2**20

    def check(self) -> None:
        """Reads the whole file. Raises `CorruptOutbox` if SQLite finds it damaged."""
        found = [row[0] for row in self._read("pragma quick_check(3)")]
        if found != ["ok"]:
            raise CorruptOutbox(f"{self.path} is damaged: {'; '.join(map(str, found))}")

    def _read(self, sql: str, *values: object) -> list[Any]:
        with translated(self.path):
            return self._db.execute(sql, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with translated(self.path):
            self._db.execute("begin immediate")
            try:
                yield
                self._db.execute("commit")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("rollback")
                raise
