"""Advisory locks of PostgreSQL that a process of the center holds while it lives, on a connection of their own.

They stand for membership (one process that does everything, or several that share), leases of jobs, and the number
under which the process saves marks in the store; that of workers is held by all of them together, and they are counted. PostgreSQL
releases them when the process ends, however it ends. With SQLite there is only one process, and every lock is granted.
"""

import secrets
import threading
from typing import Final

from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import DBAPIError

from center.contract.store import StoreUnavailable
from center.database.sql import reading, writing
from center.ledger.statements import insert
from center.ledger.tables import META
from center.model.complaints import not_ready

_MEMBERSHIP: Final = 0x6E680001
_WORKERS: Final = 0x6E680010
_LEASES: Final = {"sums": 0x6E680002, "advice": 0x6E680003, "reports": 0x6E680004, "alerts": 0x6E680005}
_NUMBERS: Final = range(0x6E680100, 0x6E680200)
_HOLDERS: Final = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = 0 AND objid = :lock AND objsubid = 1 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class ProcessLocks:
    """A `ProcessGroup` on one database. Any thread may call it."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._is_postgresql = engine, engine.dialect.name == "postgresql"
        self._mutex = threading.Lock()
        self._connection: Connection | None = None
        self._locks: dict[int, str] = {}
        """The locks held, with the function that took each."""

    def join(self, *, alone: bool) -> None:
        """By the contract of `ProcessGroup`."""
        function = "pg_try_advisory_lock" + ("" if alone else "_shared")
        if self._is_postgresql and not self._take(_MEMBERSHIP, function):
            raise not_ready("role", "all" if alone else "ingest, console", "role_taken")

    def lease(self, job: str) -> bool:
        """By the contract of `ProcessGroup`."""
        return not self._is_postgresql or self._take(_LEASES[job])

    def workers(self) -> int:
        """By the contract of `ProcessGroup`; 1 with SQLite."""
        if not self._is_postgresql:
            return 1
        self._take(_WORKERS, "pg_try_advisory_lock_shared")
        with reading(self._engine) as connection:
            return max(int(connection.scalar(text(_HOLDERS), {"lock": _WORKERS}) or 0), 1)

    def number(self) -> str:
        """The lowest free number, "" with SQLite. Raises `StoreUnavailable` if all are taken."""
        if not self._is_postgresql:
            return ""
        taken = next((lock for lock in _NUMBERS if self._take(lock)), None)
        if taken is None:
            raise StoreUnavailable(f"{len(_NUMBERS)} processes share this database already")
        return str(taken - _NUMBERS[0])

    def secret(self) -> str:
        """By the contract of `ProcessGroup`."""
        made = {"key": "group", "value": secrets.token_hex(16)}
        with writing(self._engine) as connection:
            connection.execute(insert(connection, META).values(made).on_conflict_do_nothing())
            return str(connection.scalar(select(META.c.value).where(META.c.key == "group")))

    def close(self) -> None:
        """Releases all locks."""
        with self._mutex:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _take(self, lock: int, function: str = "pg_try_advisory_lock") -> bool:
        with self._mutex:
            try:
                connection = self._connected()
                if lock not in self._locks and connection.scalar(text(f"SELECT {function}(:lock)"), {"lock": lock}):
                    self._locks[lock] = function
            except DBAPIError as error:
                self._connection = None
                raise StoreUnavailable(f"the database does not answer: {error.orig}") from error
            return lock in self._locks

    def _connected(self) -> Connection:
        """The connection. A new one retakes the locks lost with the old one, unless other processes have them now."""
        if self._connection is not None and not self._connection.invalidated:
            self._connection.execute(text("SELECT 1"))
            return self._connection
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._locks = {
            lock: function
            for lock, function in self._locks.items()
            if connection.scalar(text(f"SELECT {function}(:lock)"), {"lock": lock})
        }
        self._connection = connection
        return connection
