"""Reads and writes streams and their envelopes in the outbox file. Functions that write run within the caller's transaction."""

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.outbox.file import OutboxFile
from agent.outbox.streams import EnvelopeKey, OutboxStream
from wire.envelope import seal
from wire.marks import NO_MARKS, Marks, decode_marks, encode_beyond, is_settled, next_unsettled


@dataclass(frozen=True)
class Sealed:
    """An envelope that a commit sealed. evicted: for a `dropped` envelope, how many envelopes were deleted with it."""

    kind: str
    key: EnvelopeKey
    evicted: int = 0


def put(db: sqlite3.Connection, kind: str, content: Any, now_ns: int) -> EnvelopeKey:
    """Seals a content into an envelope of its kind's current stream, and stores it."""
    no, stream, seq = _next_seq(db, kind)
    data = seal(stream, seq, now_ns, content).data
    db.execute("insert into envelopes (stream, seq, sealed_ns, data) values (?, ?, ?, ?)", (no, seq, now_ns, data))
    return EnvelopeKey(stream, seq)


def _next_seq(db: sqlite3.Connection, kind: str) -> tuple[int, str, int]:
    row = db.execute(
        "update streams set next_seq = next_seq + 1 where kind = ? and current = 1 returning no, stream, next_seq - 1",
        (kind,),
    ).fetchone()
    if row:
        return row[0], row[1], row[2]
    stream = secrets.token_hex(8)
    return _add_stream(db, stream, kind, next_seq=2, marks=NO_MARKS, current=True), stream, 1


def _add_stream(db: sqlite3.Connection, stream: str, kind: str, *, next_seq: int, marks: Marks, current: bool) -> int:
    cursor = db.execute(
        "insert into streams (stream, kind, next_seq, mark, beyond, current) values (?, ?, ?, ?, ?, ?)",
        (stream, kind, next_seq, marks.mark, encode_beyond(marks), int(current)),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def adopt(
    db: sqlite3.Connection, streams: Iterable[OutboxStream], envelopes: Iterable[tuple[EnvelopeKey, int, bytes]]
) -> int:
    """Adds what was recovered from a damaged file: its streams, as old ones, and envelopes `(key, sealed_ns, data)`; returns
    how many envelopes.

    Nothing is ever added to an old stream, since which of its numbers were used is not known for certain.
    """
    stream_no = {
        item.stream: _add_stream(db, item.stream, item.kind, next_seq=item.last + 1, marks=item.marks, current=False)
        for item in streams
    }
    count = 0
    for key, sealed_ns, data in envelopes:
        count += db.execute(
            "insert or ignore into envelopes (stream, seq, sealed_ns, data) values (?, ?, ?, ?)",
            (stream_no[key.stream], key.seq, sealed_ns, data),
        ).rowcount
    return count


def write_marks(db: sqlite3.Connection, marks: Mapping[str, Marks], generation: str) -> bool:
    """Stores what the center of this generation has settled, by stream. Whether the generation is a new one."""
    known = db.execute("select value from settings where key = 'generation'").fetchone()
    db.executemany(
        "update streams set mark = ?, beyond = ? where stream = ?",
        [(item.mark, encode_beyond(item), stream) for stream, item in marks.items()],
    )
    db.execute("insert or replace into settings values ('generation', ?)", (generation,))
    return known is None or known[0] != generation


def current_stream(file: OutboxFile, kind: str) -> str:
    """The id of the kind's current stream; created, in a transaction of its own, if there is none."""
    row = file.select("select stream from streams where kind = ? and current = 1", kind)
    if row:
        return str(row[0][0])
    stream = secrets.token_hex(8)
    with file.transaction() as db:
        _add_stream(db, stream, kind, next_seq=1, marks=NO_MARKS, current=True)
    return stream


def states(file: OutboxFile) -> list[OutboxStream]:
    """Every stream that is current or has envelopes on disk to be sent."""
    rows = file.select(
        "select stream, kind, coalesce((select min(seq) from envelopes where stream = no), next_seq), next_seq, "
        "mark, beyond, current from streams where current >= 0 order by no"
    )
    return [
        OutboxStream(stream, kind, first, following - 1, decode_marks(mark, beyond), current=bool(current))
        for stream, kind, first, following, mark, beyond, current in rows
        if current or first < following
    ]


def read(file: OutboxFile, keys: Iterable[EnvelopeKey]) -> list[tuple[EnvelopeKey, str, bytes | None]]:
    """Each envelope's kind and bytes; None if it is not on disk."""
    out: list[tuple[EnvelopeKey, str, bytes | None]] = []
    for key in keys:
        row = file.select(
            "select kind, (select data from envelopes where stream = no and seq = ?) from streams where stream = ?",
            key.seq,
            key.stream,
        )
        kind, data = row[0] if row else ("facts", None)
        out.append((key, kind, data))
    return out


def waiting(file: OutboxFile, limit: int = 1000, after: int = 0) -> list[tuple[int, EnvelopeKey]]:
    """Envelopes without a receipt, oldest first, as (row id, key); after: the row id to continue from."""
    marks = {item.stream: item.marks for item in states(file)}
    rows = file.select(
        "select id, s.stream, seq from envelopes e join streams s on s.no = e.stream "
        "where current >= 0 and seq > mark and id > ? order by id limit ?",
        after,
        limit,
    )
    return [(row, EnvelopeKey(stream, seq)) for row, stream, seq in rows if not is_settled(marks[stream], seq)]


def newest(file: OutboxFile, kind: str, limit: int) -> Iterator[bytes]:
    """The bytes of the latest envelopes of a kind, settled or not, newest first."""
    rows = file.select(
        "select data from envelopes e join streams s on s.no = e.stream where kind = ? order by id desc limit ?",
        kind,
        limit,
    )
    return (data for (data,) in rows)


def oldest_waiting_ns(file: OutboxFile) -> int | None:
    """When the oldest envelope without a receipt was sealed [ns UTC]; None if none waits."""
    rows = []
    for item in states(file):
        seq = next_unsettled(item.marks, item.first - 1)
        rows += file.select(
            "select sealed_ns from envelopes e join streams s on s.no = e.stream where s.stream = ? and seq = ?",
            item.stream,
            seq,
        )
    return min((int(row[0]) for row in rows), default=None)
