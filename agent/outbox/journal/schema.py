"""The journal's tables, in the outbox's file.

    journal_recent       no, envelopes, data        one commit: which `facts` envelopes it sealed, and a head
                                                    `[[machine, from_ns, until_ns, tags], ...]` (both as one line of
                                                    JSON, compressed); data: the rows of each machine since its last
                                                    commit, as the engine was given them, packed by `codec`
    journal_rows         machine, from_ns,          a span of these rows, about an hour long; each span begins where the
                         until_ns, tags, data       one before ends. tags: all that the machine used then (JSON)
    journal_sent         machine, hour_ns, data     each key's sum, each minute's number of rows and each stop that was
                                                    offered, by hour of the minute or of the stop's start
    journal_checkpoints  machine, settled_ns, data  the engine state as it stood at its settled time
                                                    (`oee.engine.correction`)

Each commit of the outbox adds a row to `journal_recent`, in the transaction that holds the engine states and the
envelopes; the journal never syncs by itself. Once an hour (of the clock or of recorded time), and before a correction,
recent rows are gathered into the other three tables. What was offered is read from the envelopes themselves, which are in the same file and transaction.

After a restart the journal records what the engine was given: a gap at the last committed confirmation, then every value
again. Where rows
are missing between two spans (another version of this program ran, or samples were dropped for lack of memory), what is
older cannot be used for corrections and is deleted. The journal covers a window (default 7 days). When space is short
it is evicted first, oldest first, since it holds nothing that was not sent.
"""

import sqlite3
import zlib
from typing import Final

from oee.model.facts import HOUR_NS

WINDOW_NS: Final = 7 * 24 * HOUR_NS
UNREADABLE: Final = (ValueError, TypeError, LookupError, zlib.error)
"""Exceptions from reading a damaged row."""
SCHEMA: Final = """
create table if not exists journal_recent (no integer primary key, envelopes text not null, data blob not null);
create table if not exists journal_rows (machine text not null, from_ns integer not null, until_ns integer not null,
    tags text not null, data blob not null, primary key (machine, from_ns)) without rowid;
create table if not exists journal_sent (machine text not null, hour_ns integer not null, data blob not null,
    primary key (machine, hour_ns)) without rowid;
create table if not exists journal_checkpoints (machine text not null, settled_ns integer not null,
    data blob not null, primary key (machine, settled_ns)) without rowid;
"""


def clear(db: sqlite3.Connection) -> None:
    """Deletes everything, when streams are new and states start over."""
    for table in ("recent", "rows", "sent", "checkpoints"):
        db.execute(f"delete from journal_{table}")  # noqa: S608  # one of these four


def clear_machine(db: sqlite3.Connection, machine: str) -> None:
    """Deletes one machine from the gathered tables."""
    for table in ("rows", "sent", "checkpoints"):
        db.execute(f"delete from journal_{table} where machine = ?", (machine,))  # noqa: S608  # as above


def scalar(db: sqlite3.Connection, sql: str, *values: object) -> int | None:
    """The first column of the query's first row; None without a row or value."""
    row = db.execute(sql, values).fetchone()
    return None if row is None or row[0] is None else int(row[0])
