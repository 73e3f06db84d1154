"""Reads the past of one machine, for a correction, from the journal. Within the caller's transaction."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.compute.delta import Delta
from agent.outbox.journal.codec import unpack_rows, unpack_sent
from agent.outbox.journal.schema import UNREADABLE, scalar
from oee.engine import step as engine
from oee.engine.correction import Sent, SentTable, since
from oee.engine.state import EngineState
from oee.model.facts import HOUR_NS, Facts, Int64, Losses, RowKey
from oee.model.samples import Samples, Series, between, concat

BLOCK_NS: Final = 6 * HOUR_NS
"""A recomputation goes on in steps of this time, and makes a checkpoint after each [ns]."""


@dataclass(frozen=True)
class MachinePast:
    """A checkpoint of one machine (`base`) and everything after it. chunks: packed rows from the checkpoint on, each with
    its end [ns]; sent: what was offered since; from_ns: where the first chunk begins [ns].
    """

    machine: str
    base: EngineState
    chunks: Sequence[tuple[bytes, int]]
    sent: Sent
    from_ns: int = 0

    def spans(self) -> Iterable[Delta]:
        """The recorded spans in full, unpacked on demand."""
        from_ns = self.from_ns
        for data, until_ns in self.chunks:
            yield Delta(self.machine, from_ns, until_ns, samples=unpack_rows(data))
            from_ns = until_ns

    def blocks(self) -> Iterable[tuple[Samples, int]]:
        """The rows from the settled time on in blocks of some hours, each with its end [ns], unpacked on demand. A step of
        the engine costs much the same for an hour and for six.
        """
        waiting: dict[str, list[Series]] = {}
        begin_ns = self.base.settled_ns
        for number, (data, until_ns) in enumerate(self.chunks, 1):
            for tag, rows in unpack_rows(data).items():
                waiting.setdefault(tag, []).append(between(rows, self.base.settled_ns, until_ns))
            if number == len(self.chunks) or until_ns - begin_ns >= BLOCK_NS:
                yield {tag: concat(parts) for tag, parts in waiting.items()}, until_ns
                waiting, begin_ns = {}, until_ns


def earliest_ns(
    db: sqlite3.Connection, machine: str, tags: Iterable[str] = (), until_ns: int | None = None
) -> int | None:
    """The earliest time [ns] that a correction of a machine that uses these tags can change; None if there is none.
    until_ns: see `read_past`.
    """
    if not _ends_at(db, machine, until_ns):
        return None
    return scalar(
        db,
        "select min(settled_ns) from journal_checkpoints where machine = ? and settled_ns >= ?",
        machine,
        _unrecorded_until_ns(db, machine, tags),
    )


def _ends_at(db: sqlite3.Connection, machine: str, until_ns: int | None) -> bool:
    return until_ns is None or until_ns == scalar(
        db, "select max(until_ns) from journal_rows where machine = ?", machine
    )


def _unrecorded_until_ns(db: sqlite3.Connection, machine: str, tags: Iterable[str]) -> int:
    """The end [ns] of the last span in which one of these tags was not recorded, since it was not used; 0 without one."""
    used_tags = set(tags)
    rows = db.execute("select tags, max(until_ns) from journal_rows where machine = ? group by tags", (machine,))
    return max(
        (until_ns for recorded_tags, until_ns in rows.fetchall() if not used_tags <= set(json.loads(recorded_tags))),
        default=0,
    )


def read_past(
    db: sqlite3.Connection, machine: str, at_most_ns: int, tags: Iterable[str] = (), until_ns: int | None = None
) -> MachinePast | None:
    """The past that a correction of time from `at_most_ns` on needs, of a machine that uses these tags; None if it was
    deleted or never recorded.

    Call it right after `recording.gather`, while the machine is held. until_ns: until when it is computed; with rows that
    end elsewhere (samples were dropped for lack of memory, or another version of this program ran) there is no past.
    """
    if not _ends_at(db, machine, until_ns):
        return None
    row = db.execute(
        "select settled_ns, data from journal_checkpoints where machine = ? and settled_ns <= ? and settled_ns >= ? "
        "order by settled_ns desc limit 1",
        (machine, at_most_ns, _unrecorded_until_ns(db, machine, tags)),
    ).fetchone()
    if row is None:
        return None
    base_ns = row[0]
    rows = db.execute(
        "select from_ns, data, until_ns from journal_rows where machine = ? and until_ns > ? order by from_ns",
        (machine, base_ns),
    ).fetchall()
    if not rows or rows[0][0] > base_ns:
        return None
    chunks = [(data, until_ns) for _, data, until_ns in rows]
    try:
        return MachinePast(machine, engine.load(row[1]), chunks, _read_sent(db, machine, base_ns), rows[0][0])
    except UNREADABLE:
        return None


def _read_sent(db: sqlite3.Connection, machine: str, base_ns: int) -> Sent:
    """What was sent for the minutes (of cycles: hours) from the one of `base_ns` on, and stops that begin at it or later."""
    rows = db.execute(
        "select data from journal_sent where machine = ? and hour_ns >= ? order by hour_ns",
        (machine, base_ns - base_ns % HOUR_NS),
    ).fetchall()
    parts = [unpack_sent(data) for (data,) in rows]
    return Sent(
        since(Facts, _all(part.facts for part in parts), base_ns),
        since(Losses, _all(part.losses for part in parts), base_ns),
        {key: stop for part in parts for key, stop in part.stops.items() if stop.start_ns >= base_ns},
        _all(part.cycles for part in parts),
    )


def _all(hours: Iterable[SentTable]) -> SentTable:
    """What was sent of several hours."""
    sums: dict[RowKey, Int64] = {}
    row_counts: dict[int, int] = {}
    for hour in hours:
        sums |= hour.sums
        row_counts |= hour.row_counts
    return SentTable(sums, row_counts)


def sent_hours(db: sqlite3.Connection, machine: str, from_ns: int, until_ns: int) -> list[int]:
    """The hours that begin in `[from_ns, until_ns)` of which something was sent, the latest first [ns]."""
    rows = db.execute(
        "select hour_ns from journal_sent where machine = ? and hour_ns >= ? and hour_ns < ? order by hour_ns desc",
        (machine, from_ns, until_ns),
    )
    return [hour_ns for (hour_ns,) in rows.fetchall()]


def sent_hour(db: sqlite3.Connection, machine: str, hour_ns: int) -> Sent | None:
    """What was sent of one hour; None if there is nothing, or it cannot be read. What was committed since recent commits were
    gathered (`recording.gather`) is not in it.
    """
    row = db.execute("select data from journal_sent where machine = ? and hour_ns = ?", (machine, hour_ns)).fetchone()
    try:
        return unpack_sent(row[0]) if row else None
    except UNREADABLE:
        return None
