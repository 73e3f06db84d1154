"""Adds each commit to the journal, and gathers recent commits by machine. Within the caller's transaction."""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.compute.delta import Delta, join
from agent.outbox.journal import spans
from agent.outbox.journal.codec import pack_rows, unpack_rows
from agent.outbox.journal.schema import UNREADABLE, clear
from agent.outbox.journal.spans import SentRows
from oee.engine.state import EngineState
from oee.model.cycle_bins import folded
from oee.model.facts import select
from wire.bodies import read_rows
from wire.envelope import decode_content, open_envelope


def record(db: sqlite3.Connection, deltas: Iterable[Delta], envelopes: Sequence[tuple[str, int]]) -> None:
    """Adds a commit: the samples of machines whose state it writes, and the (stream, seq) of its `facts` envelopes."""
    spanned = [(item, item.samples) for item in deltas if item.samples is not None]
    if not spanned and not envelopes:
        return
    head = [[item.machine, item.from_ns, item.until_ns, sorted(item.tags)] for item, _ in spanned]
    rows = {f"{number}/{tag}": column for number, (_, samples) in enumerate(spanned) for tag, column in samples.items()}
    db.execute(
        "insert into journal_recent (envelopes, data) values (?, ?)",
        (_pack_head(envelopes, head), pack_rows(rows)),
    )


def replace_sent(db: sqlite3.Connection, envelope: tuple[str, int], parts: Sequence[tuple[str, int]]) -> None:
    """The rows of a `facts` envelope, given by (stream, seq), are in these from now on."""
    for no, text in db.execute("select no, envelopes from journal_recent").fetchall():
        envelopes, head = _read_head(text)
        if list(envelope) in envelopes:
            place = envelopes.index(list(envelope))
            envelopes[place : place + 1] = parts
            db.execute("update journal_recent set envelopes = ? where no = ?", (_pack_head(envelopes, head), no))
            return


def _pack_head(envelopes: Sequence[Any], head: Sequence[Any]) -> bytes:
    return zlib.compress(json.dumps([envelopes, head]).encode(), 1)


def _read_head(text: str | bytes) -> tuple[list[Any], list[Any]]:
    envelopes, head = json.loads(text if isinstance(text, str) else zlib.decompress(text))
    return envelopes, head


def gather(db: sqlite3.Connection, states: Mapping[str, EngineState]) -> bool:
    """Moves recent commits into the tables by machine, and keeps a checkpoint of each of these (committed) states.

    False if the journal was cleared instead: an envelope was deleted before it could be read, so that what was offered
    is unknown, or the memory card returned other bytes than were written. Facts never wait for the journal.
    """
    try:
        complete = _gather(db, states)
    except UNREADABLE:
        complete = False
    if not complete:
        clear(db)
    return complete


def _gather(db: sqlite3.Connection, states: Mapping[str, EngineState]) -> bool:
    taken_in: dict[str, list[Delta]] = {}
    sent: dict[str, list[SentRows]] = {}
    complete = True
    for text, data in db.execute("select envelopes, data from journal_recent order by no").fetchall():
        envelopes, head = _read_head(text)
        rows = unpack_rows(data)
        for number, (name, from_ns, until_ns, tags) in enumerate(head):
            prefix = f"{number}/"
            samples = {tag.removeprefix(prefix): column for tag, column in rows.items() if tag.startswith(prefix)}
            taken_in.setdefault(name, []).append(Delta(name, from_ns, until_ns, frozenset(tags), samples))
        for stream, seq in envelopes:
            complete = _read_sent(db, stream, seq, sent) and complete
    if not complete:
        return False
    db.execute("delete from journal_recent")
    for deltas in taken_in.values():
        spans.add_rows(db, join(_unbroken(deltas)))
    for name, tables in sent.items():
        spans.add_sent(db, name, tables)
    for name, state in states.items():
        spans.add_checkpoint(db, name, state)
    return True


def _read_sent(db: sqlite3.Connection, stream: str, seq: int, out: dict[str, list[SentRows]]) -> bool:
    """Adds the rows of an envelope to `out`, by machine; False if it is no longer on disk."""
    row = db.execute(
        "select data from envelopes e join streams s on s.no = e.stream where s.stream = ? and seq = ?",
        (stream, seq),
    ).fetchone()
    if row is None:
        return False
    body = decode_content(open_envelope(row[0]))
    if "dropped" in body:
        return True
    facts, losses, stops, bins = read_rows(body)
    cycles = folded(bins)
    named = {name for table in (facts, losses, cycles) for name in table.machine.tolist()}
    for name in named | {stop.machine for stop in stops}:
        rows = (
            select(facts, facts.machine == name),
            select(losses, losses.machine == name),
            [stop for stop in stops if stop.machine == name],
            select(cycles, cycles.machine == name),
        )
        out.setdefault(name, []).append(rows)
    return True


def _unbroken(deltas: Sequence[Delta]) -> Sequence[Delta]:
    """The last of these deltas, back to the latest break between them."""
    first = len(deltas) - 1
    while first and deltas[first - 1].until_ns == deltas[first].from_ns:
        first -= 1
    return deltas[first:]
