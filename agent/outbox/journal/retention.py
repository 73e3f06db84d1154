"""Deletes the journal's oldest parts: by age, or because space is short. Within the caller's transaction."""

import sqlite3
from typing import Final

from agent.outbox.journal.schema import scalar
from oee.model.facts import HOUR_NS

_ROWS_A_STEP: Final = 200


def prune(db: sqlite3.Connection, before_ns: int) -> None:
    """Deletes what is not needed for corrections of time from `before_ns` on."""
    for (machine,) in db.execute("select distinct machine from journal_checkpoints").fetchall():
        base = scalar(
            db,
            "select max(settled_ns) from journal_checkpoints where machine = ? and settled_ns <= ?",
            machine,
            before_ns,
        )
        if base:
            _cut(db, machine, base)


def evict_oldest(db: sqlite3.Connection) -> int:
    """Deletes the oldest part; returns how many rows, 0 if the journal is empty."""
    oldest = db.execute(
        "select machine, until_ns from journal_rows order by until_ns limit ?", (_ROWS_A_STEP,)
    ).fetchall()
    for machine, until_ns in oldest:
        _cut(db, machine, until_ns)
    return len(oldest) or db.execute("delete from journal_recent").rowcount


def _cut(db: sqlite3.Connection, machine: str, base_ns: int) -> None:
    db.execute("delete from journal_rows where machine = ? and until_ns <= ?", (machine, base_ns))
    db.execute("delete from journal_checkpoints where machine = ? and settled_ns < ?", (machine, base_ns))
    db.execute("delete from journal_sent where machine = ? and hour_ns <= ?", (machine, base_ns - 2 * HOUR_NS))
