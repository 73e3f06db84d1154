"""Compares the tables of an outbox file with those that this program uses, and brings them up to date.

A file keeps the tables that it was created with. A missing column is added where it has a default or may be null. The
journal holds nothing that was not sent: a table of it that differs is dropped and created anew, and corrections then reach
back to that moment only. Any other difference is refused before anything is read or written.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from agent.outbox.disk import UnknownFormat

Columns = Mapping[str, tuple[str, bool, str | None, int]]
"""By name: type, whether it must not be null, default, and place in the primary key (from 1; 0: not part of it)."""

_JOURNAL: Final = "journal_"


def update_tables(db: sqlite3.Connection, path: Path, schema: str) -> None:
    """Brings every table that `schema` creates up to date, in a transaction. Missing tables are not
    created.

    Raises `UnknownFormat` where a table differs in a way that cannot be brought up to date; then nothing has changed.
    """
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(schema)
        names = [name for (name,) in fresh.execute("select name from sqlite_master where type = 'table'")]
        wanted = {name: _columns(fresh, name) for name in names}
    if all(_columns(db, name) in ({}, columns) for name, columns in wanted.items()):
        return
    db.execute("begin immediate")
    try:
        for name, columns in wanted.items():
            _update_table(db, path, name, columns)
        db.execute("commit")
    except BaseException:
        if db.in_transaction:
            db.execute("rollback")
        raise


def _update_table(db: sqlite3.Connection, path: Path, table: str, wanted: Columns) -> None:
    existing = _columns(db, table)
    if existing in ({}, wanted):
        return
    if table.startswith(_JOURNAL):
        # the journal's tables are useless without each other, so all are emptied
        for (name,) in db.execute("select name from sqlite_master where type = 'table'").fetchall():
            if str(name).startswith(_JOURNAL):
                db.execute(f"delete from {name}")  # noqa: S608  # the name of a table
        db.execute(f"drop table {table}")
        return
    for name, (kind, not_null, default, key) in wanted.items():
        if name in existing:
            continue
        if key or (not_null and default is None):
            raise UnknownFormat("column_missing", path=path, table=table, column=name)
        constraints = f"{' not null' if not_null else ''}{'' if default is None else f' default {default}'}"
        db.execute(f"alter table {table} add column {name} {kind}{constraints}")
    for name, (kind, not_null, default, key) in existing.items():
        if name in wanted:
            if (kind, key) != (wanted[name][0], wanted[name][3]):
                raise UnknownFormat("column_differs", path=path, table=table, column=name)
        elif key or (not_null and default is None):
            raise UnknownFormat("column_unknown", path=path, table=table, column=name)


def _columns(db: sqlite3.Connection, table: str) -> Columns:
    rows = db.execute(f"pragma table_info({table})").fetchall()
    return {name: (kind.lower(), bool(not_null), default, key) for _, name, kind, not_null, default, key in rows}
