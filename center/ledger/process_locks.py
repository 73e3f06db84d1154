"""What a process of the center holds while it lives: advisory locks of PostgreSQL on a connection of its own.

Its part (one process that does everything, or many that share), leases of jobs, and the number under which it keeps
marks in the store. PostgreSQL takes them back when the process ends, however it ends. In SQLite there is one process.
"""

import threading
from typing import Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from center.contract.store import StoreUnavailable

_PART: Final = 0x6E680001
_LEASES: Final = {"sums": 0x6E680002}
_NUMBERS: Final = range(0x6E680100, 0x6E680200)


class ProcessLocks:
    """Any thread may call. Each may raise `StoreUnavailable`."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._server = engine, engine.dialect.name == "postgresql"
        self._door = threading.Lock()
        self._own: Connection | None = None
        self._has: dict[int, str] = {}

    def join(self, *, alone: bool) -> bool:
        """Whether this process may take part: alone, or with others that share."""
        return not self._server or self._take(_PART, "pg_try_advisory_lock" + ("" if alone else "_shared"))

    def lease(self, job: str) -> bool:
        """Whether the job is this process's."""
        return not self._server or self._take(_LEASES[job])

    def number(self) -> str:
        """The lowest number that no other process has; "" where there are no others."""
        if not self._server:
            return ""
        taken = next((lock for lock in _NUMBERS if self._take(lock)), None)
        if taken is None:
            raise StoreUnavailable(f"{len(_NUMBERS)} processes share this database already")
        return str(taken - _NUMBERS[0])

    def _take(self, lock: int, function: str = "pg_try_advisory_lock") -> bool:
        with self._door:
            try:
                own = self._connected()
                if lock not in self._has and own.scalar(text(f"SELECT {function}(:lock)"), {"lock": lock}):
                    self._has[lock] = function
            except DBAPIError as error:
                self._own = None
                raise StoreUnavailable(f"the database does not answer: {error.orig}") from error
            return lock in self._has

    def _connected(self) -> Connection:
        """The connection; a new one takes back what was lost with the old one, unless others have it by now."""
        if self._own is not None and not self._own.invalidated:
            self._own.execute(text("SELECT 1"))
            return self._own
        own = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._has = {
            lock: function
            for lock, function in self._has.items()
            if own.scalar(text(f"SELECT {function}(:lock)"), {"lock": lock})
        }
        self._own = own
        return own

    def close(self) -> None:
        """Gives everything back."""
        with self._door:
            if self._own is not None:
                self._own.close()
                self._own = None
