"""Entries of people at the machine, in the outbox's file, as a tablet sent them. Functions run within the caller's transaction.

    andon_entries  no, id, at_ns    id: the tablet's own, so that a repetition counts once; at_ns: when it was made [ns UTC]
                   machine, kind    kind: `agent.andon.entries.forms`
                   data             the entry as JSON
                   declared         ids of the declarations that followed from it (JSON), see `agent.outbox.declarations`
                   notice           0: not for the center; 1: not confirmed by it yet; 2: confirmed

An entry and its declarations are written in one transaction, before the tablet is told. Rows are never changed, apart
from `notice`, and kept a year.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from agent.outbox import declarations
from agent.outbox.declarations import KEEP_NS

SCHEMA: Final = """
create table if not exists andon_entries (no integer primary key, id text not null unique, at_ns integer not null,
    machine text not null, kind text not null, data text not null, declared text not null default '[]',
    notice integer not null default 0);
create index if not exists andon_entries_notice on andon_entries (notice) where notice = 1;
create index if not exists andon_entries_machine on andon_entries (machine, at_ns);
"""
_SELECT: Final = "select id, at_ns, machine, kind, data, declared, notice from andon_entries"
_INSERT: Final = "insert or ignore into andon_entries (id, at_ns, machine, kind, data, declared, notice) values (?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class AndonEntry:
    """An entry. at_ns: when it was made [ns UTC]; data: what it says, by name; declared: ids of its declarations; notice:
    see above.
    """

    id: str
    at_ns: int
    machine: str
    kind: str
    data: dict[str, Any] = field(hash=False)
    declared: tuple[str, ...] = ()
    notice: int = 0

    @property
    def tablet(self) -> str:
        """The tablet's name."""
        return str(self.data.get("tablet", ""))


@dataclass(frozen=True)
class EntryOutcome:
    """What became of an entry's declarations. state: new (not computed yet), done, or refused, with the reason."""

    state: Literal["new", "done", "refused"]
    why: str = ""


def add(db: sqlite3.Connection, entry: AndonEntry) -> None:
    """Adds an entry; one whose id is there already is left as it is."""
    db.execute(
        _INSERT,
        (
            entry.id,
            entry.at_ns,
            entry.machine,
            entry.kind,
            json.dumps(entry.data, ensure_ascii=False),
            json.dumps(entry.declared),
            entry.notice,
        ),
    )


def find(db: sqlite3.Connection, entry_id: str) -> AndonEntry | None:
    """The entry with this id; None if there is none."""
    return next(iter(_entries(db, "where id = ?", entry_id)), None)


def since(db: sqlite3.Connection, from_ns: int, machine: str = "") -> list[AndonEntry]:
    """The entries made from then on, of one machine or of all, in the order in which they came."""
    if machine:
        return _entries(db, "where machine = ? and at_ns >= ? order by no", machine, from_ns)
    return _entries(db, "where at_ns >= ? order by no", from_ns)


def outcomes(db: sqlite3.Connection, entries: Iterable[AndonEntry]) -> dict[str, EntryOutcome]:
    """What became of these entries, by id. An entry without declarations is done."""
    declared = {entry.id: entry.declared for entry in entries}
    ids = [item for items in declared.values() for item in items]
    why: dict[str, str] = {}
    for first in range(0, len(ids), 500):
        why |= declarations.outcomes(db, ids[first : first + 500])
    return {key: _outcome([why.get(item) for item in items]) for key, items in declared.items()}


def _outcome(outcomes_of_all: Sequence[str | None]) -> EntryOutcome:
    if refused := next((why for why in outcomes_of_all if why), ""):
        return EntryOutcome("refused", refused)
    return EntryOutcome("new" if None in outcomes_of_all else "done")


def confirm_and_read(
    db: sqlite3.Connection, stored: Iterable[str], limit: int
) -> list[tuple[AndonEntry, AndonEntry | None]]:
    """Marks what the center has, and returns the oldest that it has not confirmed, each with the entry that it takes back."""
    db.executemany("update andon_entries set notice = 2 where id = ? and notice = 1", [(item,) for item in stored])
    waiting = _entries(db, "where notice = 1 order by no limit ?", limit)
    return [(item, find(db, str(item.data["entry"])) if item.kind == "take_back" else None) for item in waiting]


def prune(db: sqlite3.Connection, now_ns: int) -> None:
    """Deletes entries older than a year."""
    db.execute("delete from andon_entries where at_ns < ?", (now_ns - KEEP_NS,))


def all_rows(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """All rows, oldest first, for `adopt`."""
    return db.execute(f"{_SELECT} order by no").fetchall()


def adopt(db: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Adds rows of another file (`all_rows`)."""
    db.executemany(_INSERT, rows)


def _entries(db: sqlite3.Connection, clauses: str, *values: object) -> list[AndonEntry]:
    rows = db.execute(f"{_SELECT} {clauses}", values)
    return [
        AndonEntry(key, at_ns, machine, kind, json.loads(data), tuple(json.loads(declared)), notice)
        for key, at_ns, machine, kind, data, declared, notice in rows.fetchall()
    ]
