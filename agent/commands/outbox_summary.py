"""Reads an outbox file whose agent may be running: what waits for the center, since when, how much."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from agent.commands.outbox_access import outbox_snapshot
from agent.compute.pipeline import closed_until_ns
from agent.corrections.machine_digest import outdated
from agent.outbox.disk import noted_link, noted_trouble
from agent.outbox.journal.schema import UNREADABLE
from agent.store.site import AUTHOR
from oee.engine import step as engine
from wire.bodies import DIVIDED, LinkTrouble
from wire.envelope import Unsound, decode_content, open_envelope
from wire.marks import Marks, count_unsettled, decode_marks, is_settled
from wire.offline_transfer import TransferItem

_LINK_TROUBLES: Final = TypeAdapter(list[LinkTrouble])
_MOST_BYTES_OF_A_LIST: Final = 400
"""A `dropped` envelope that a division made lists one other: it is small."""
_CONDITIONS = {1: "current", 0: "old", -1: "retired"}


@dataclass(frozen=True)
class StreamSummary:
    """One stream. condition: current (new envelopes go there), old (still sent) or retired (never sent, since another
    copy of this file used its numbers). written: the last seq; mark: all up to it are settled; waiting: envelopes without
    a receipt, waiting_bytes their size, oldest_ns and newest_ns when the first and last of them were sealed [ns UTC];
    kept: envelopes on disk, receipted ones included; lost: neither receipted nor on disk.
    """

    stream: str
    kind: str
    condition: str
    written: int
    mark: int
    kept: int
    waiting: int
    waiting_bytes: int
    oldest_ns: int | None
    newest_ns: int | None
    lost: int


@dataclass(frozen=True)
class OutboxSummary:
    """One file. author: `<site>/<gateway>`, "" if it has sealed nothing yet; generation: the center's, "" before its
    first receipt. file_bytes: size with the WAL; outdated: machines whose past was computed as an earlier site file
    described them; trouble: why the running agent cannot store, "" if it can or none is running. closed_ns: by machine,
    facts before this time are in envelopes; later minutes are not closed yet [ns UTC]; link: what is wrong with the running
    agent's link.
    """

    outbox: str
    author: str
    generation: str
    file_bytes: int
    streams: tuple[StreamSummary, ...]
    outdated: tuple[str, ...] = ()
    trouble: str = ""
    closed_ns: dict[str, int] = field(default_factory=dict)
    link: tuple[LinkTrouble, ...] = ()
    timezone: str = ""
    """Of the site, as its latest description in the file says; "" if there is none."""

    @property
    def waiting(self) -> int:
        """Envelopes without a receipt that are still to be sent."""
        return sum(item.waiting for item in self.streams if item.condition != "retired")


def summarize(path: Path) -> OutboxSummary:
    """Summarizes the file as of now. Raises `CannotStore`, `CorruptOutbox` or `UnknownFormat`."""
    with outbox_snapshot(path) as db:
        settings = dict(db.execute("select key, value from settings"))
        rows = db.execute(
            "select no, stream, kind, next_seq, mark, beyond, current from streams order by no"
        ).fetchall()
        return OutboxSummary(
            dict(db.execute("select key, value from meta"))["outbox"],
            settings.get(AUTHOR, ""),
            settings.get("generation", ""),
            sum(item.stat().st_size for item in (path, Path(f"{path}-wal")) if item.exists()),
            tuple(_stream(db, *row) for row in rows),
            tuple(outdated(settings)),
            noted_trouble(path),
            dict(_closed(db)),
            _link_troubles(path),
            _timezone(db),
        )


def _timezone(db: sqlite3.Connection) -> str:
    row = db.execute(
        "select e.data from envelopes e join streams s on s.no = e.stream where s.kind = 'site' order by e.id desc limit 1"
    ).fetchone()
    content = decode_content(open_envelope(row[0])) if row else {}
    return str(content.get("timezone", "")) if isinstance(content, dict) else ""


def _closed(db: sqlite3.Connection) -> Iterator[tuple[str, int]]:
    """Machines with the end of their closed minutes; without those whose state cannot be read."""
    for machine, data in db.execute("select machine, data from carry order by machine"):
        with suppress(*UNREADABLE):
            if (closed_ns := closed_until_ns({machine: engine.load(data).until_ns})) is not None:
                yield machine, closed_ns


def _link_troubles(path: Path) -> tuple[LinkTrouble, ...]:
    try:
        return tuple(_LINK_TROUBLES.validate_json(noted_link(path) or "[]"))
    except ValidationError:  # more than there is room for
        return ()


def waiting_envelopes(path: Path) -> Iterator[TransferItem]:
    """The envelopes without a receipt, oldest first. Raises as `summarize` does."""
    with outbox_snapshot(path) as db:
        marks_of = {
            no: decode_marks(mark, beyond)
            for no, mark, beyond in db.execute("select no, mark, beyond from streams where current >= 0")
        }
        query = "select e.stream, seq, kind, data from envelopes e join streams s on s.no = e.stream order by id"
        for no, seq, kind, data in db.execute(query):
            if no in marks_of and not is_settled(marks_of[no], seq):
                yield TransferItem(kind, data)


def _stream(
    db: sqlite3.Connection, no: int, stream: str, kind: str, next_seq: int, mark: int, beyond: str, current: int
) -> StreamSummary:
    marks = decode_marks(mark, beyond)
    rows = db.execute("select seq, length(data), sealed_ns from envelopes where stream = ? and seq > ?", (no, mark))
    open_rows = _unsettled(rows, marks)
    (kept,) = db.execute("select count(*) from envelopes where stream = ?", (no,)).fetchone()
    return StreamSummary(
        stream,
        kind,
        _CONDITIONS[current],
        next_seq - 1,
        marks.mark,
        kept,
        len(open_rows),
        sum(size for _, size, _ in open_rows),
        min((at for *_, at in open_rows), default=None),
        max((at for *_, at in open_rows), default=None),
        count_unsettled(marks, 1, next_seq - 1) - len(open_rows) - _divided(db, no, marks),
    )


def _divided(db: sqlite3.Connection, no: int, marks: Marks) -> int:
    """How many envelopes without a receipt are no longer on disk because their rows are in smaller ones."""
    rows = db.execute(
        "select seq, data from envelopes where stream = ? and seq > ? and length(data) < ?",
        (no, marks.mark, _MOST_BYTES_OF_A_LIST),
    )
    divided: set[int] = set()
    for seq, data in rows:
        with suppress(Unsound):
            content = {} if is_settled(marks, seq) else decode_content(open_envelope(data))
            if isinstance(content, dict) and content.get("why") == DIVIDED:
                divided.update(seq for first, last in content["dropped"] for seq in range(first, last + 1))
    return sum(not is_settled(marks, seq) for seq in divided)


def _unsettled(rows: Iterable[Sequence[Any]], marks: Marks) -> list[tuple[int, int, int]]:
    return [(seq, size, at) for seq, size, at in rows if not is_settled(marks, seq)]
