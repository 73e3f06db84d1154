"""What an outbox gives up, and in which order, when there is no more room. Runs inside the outbox's transaction.

    0  the journal, which holds nothing that was not sent (agent.journal)
    1  process values that the center has
    2  process values that it does not have, the oldest: an envelope that says which (`dropped`) takes their place
    3  everything else that the center has

What it does not have of facts, losses, stops and site bodies is never given up; without room for more of it, new time
is recorded as unknown.
"""

import sqlite3
from dataclasses import dataclass
from typing import Final

from wire.marks import Range

VALUES: Final = "values"
ANY_AGE: Final = 2**63 - 1
WHY: Final = "given up for want of disk space on the gateway"
_ROWS: Final = 500
_WORTH_BYTES: Final = 4096


@dataclass(frozen=True)
class GivenUp:
    """Process values that the center will never get. stream: `streams.no`; ranges: all that is missing below the next
    seq, what earlier `dropped` envelopes said included, since those may be given up in their turn; envelopes: how
    many were deleted now.
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
    """The first stage; returns how many envelopes."""
    return delete_settled(db, ANY_AGE, f"kind = '{VALUES}'")


def unsettled_values(db: sqlite3.Connection, least_bytes: int) -> GivenUp | None:
    """The second stage: the oldest, until about `least_bytes` are free; None if there are none."""
    found = db.execute("select no, mark, next_seq from streams where kind = ? and current = 1", (VALUES,)).fetchone()
    if found is None:
        return None
    no, mark, next_seq = found
    rows = db.execute(
        "select id, length(data) from envelopes where stream = ? and seq > ? and seq < ? order by seq limit ?",
        (no, mark, next_seq - 1, _ROWS),  # the newest stays: it may be what says that others are gone
    ).fetchall()
    gone, freed = [], 0
    for row, size in rows:
        if freed >= least_bytes:
            break
        gone.append((row,))
        freed += size
    if freed < _WORTH_BYTES:
        return None  # only what says that others are gone
    db.executemany("delete from envelopes where id = ?", gone)
    (first,) = db.execute("select min(seq) from envelopes where stream = ?", (no,)).fetchone()
    return GivenUp(no, [(mark + 1, first - 1)], len(gone))


def settled_others(db: sqlite3.Connection) -> int:
    """The third stage; returns how many envelopes."""
    return delete_settled(db, ANY_AGE, f"kind != '{VALUES}'")
