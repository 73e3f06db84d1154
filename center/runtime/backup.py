"""Copies of what a center keeps on its own disk, taken while it runs; each is complete and of one instant.

Two parts: `store` (the embedded store's rows, and the delivery ledger) and `database` (accounts, audit, declarations; no
sessions, nor the key that signs, so that who has a copy is nobody at the center).
They need not be of the same instant: gateways resend what a restored ledger does not know. What another server
keeps (InfluxDB, PostgreSQL) is backed up with that server's own tools.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import duckdb
from sqlalchemy import Engine

from center.contract.store import StoreUnavailable
from center.database.sql import create_closed
from center.runtime.state import CenterState

PARTS: Final = ("store", "database")


@runtime_checkable
class Copyable(Protocol):
    """A ledger (and store) in a file that can be copied while it is in use."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    def copy_to(self, target: Path) -> None:
        """Writes a complete copy; commits wait meanwhile. Raises `StoreUnavailable`, `OSError` or `duckdb.Error`."""
        ...


class NotHere(LookupError):
    """Another server keeps this part; the message names the tool that backs it up."""


class CannotCopy(Exception):
    """The copy was not made; the message says why."""


def file_of(part: str, center: CenterState, engine: Engine) -> Path:
    """The file of a part. Raises `NotHere`."""
    if part == "store":
        if isinstance(center.ledger, Copyable):
            return center.ledger.path
        raise NotHere("the delivery ledger is in PostgreSQL; back it up with pg_dump")
    if engine.dialect.name != "sqlite" or not engine.url.database:
        raise NotHere("accounts and declarations are in PostgreSQL; back them up with pg_dump")
    return Path(engine.url.database)


def copy_part(part: str, center: CenterState, engine: Engine, target: Path) -> None:
    """Copies a part to `target`, readable by its owner alone. Raises `NotHere`, `CannotCopy` or `StoreUnavailable`."""
    source = file_of(part, center, engine)
    try:
        create_closed(target)
        if part == "store":
            assert isinstance(center.ledger, Copyable)  # else `file_of` has raised
            center.ledger.copy_to(target)
        else:
            with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as written:
                read.backup(written)
                _forget_logins(written)
    except StoreUnavailable:
        target.unlink(missing_ok=True)
        raise
    except (OSError, duckdb.Error, sqlite3.Error) as error:
        target.unlink(missing_ok=True)
        raise CannotCopy(f"{source}: not copied: {getattr(error, 'strerror', None) or error}") from error


def _forget_logins(copy: sqlite3.Connection) -> None:
    """A copy lets nobody in: it has no session, and of the key that signs it has none anyway."""
    for (table,) in copy.execute("SELECT name FROM sqlite_master WHERE name IN ('sessions', 'secrets')").fetchall():
        copy.execute(f"DELETE FROM {table}")  # noqa: S608  # one of two names
    copy.commit()
    copy.execute("VACUUM")  # what was deleted would stay in free pages
