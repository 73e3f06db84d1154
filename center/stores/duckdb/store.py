"""The embedded store: one DuckDB file that holds facts and books, owned by one process. No server.

What it promises: after `commit` returns, a kill of the process loses nothing; of one commit all is there or nothing.
Questions are answered from sums of hours and days where those are up to date (`_duckdb_rollups`).
What it does not: two processes, and surviving its disk. A second process is refused with a sentence that says so.
"""

import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb
from duckdb import DuckDBPyConnection

from center.contract.ledger import Changes, LedgerSnapshot, QuarantinedPayload, QuarantineSummary
from center.contract.store import Query, RowBatch, StoreRefused, StoreUnavailable, ValueQuery
from center.model.complaints import misconfigured
from center.model.retention import deleted_before_ns, retention_ns
from center.stores.duckdb import ledger as books
from center.stores.duckdb import read, rollups, write
from center.stores.duckdb import rows as rows_of
from center.stores.duckdb import values as values_of
from center.stores.duckdb.copy import copy_file
from oee.model.facts import Facts, Losses, Stop
from wire.values import Values

_FILE: Final = "nhip.duckdb"
_MEMORY_LIMIT: Final = "256MB"
_MEMORY: Final = re.compile(r"\d+(\.\d+)? ?[KMG]i?B")
_OPTIONS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 2,
    "preserve_insertion_order": "false",
    "autoinstall_known_extensions": "false",  # nothing is ever fetched from a network
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
}
_STEP_S: Final = 0.2
_MOST_AT_ONCE: Final = 1024
_AWAY: Final = (
    duckdb.OperationalError,
    duckdb.InternalError,
    duckdb.FatalException,
    duckdb.InterruptException,
    duckdb.PermissionException,
)


class DuckStore:
    """Store and books in one file. Any thread may read; commits take turns."""

    def __init__(self, path: Path, memory_limit: str, kept_ns: int = 0) -> None:
        """kept_ns: how long minute rows are kept, 0 for ever."""
        self._path = path
        self.retention_ns = kept_ns
        self._options = {**_OPTIONS, "memory_limit": memory_limit}
        self._turn = threading.Lock()
        self._door = threading.Lock()
        self._closed = False
        self._stale: set[rollups.Bin] = set()
        """The hours on the file's list; changed with `_turn` held, after the commit."""
        self._gone_ns, self._at_once = 0, 1
        self._root: DuckDBPyConnection | None = self._open()

    def _open(self) -> DuckDBPyConnection:
        root = duckdb.connect(str(self._path), config=self._options)
        try:
            books.prepare(root, str(self._path))
            self._stale, self._gone_ns = rollups.read_stale(root), rollups.minutes_from(root)
        except BaseException:
            root.close()
            raise
        return root

    def _cursor(self) -> DuckDBPyConnection:
        with self._door:
            if self._closed:
                raise StoreUnavailable(f"{self._path}: closed")
            if self._root is None:
                try:
                    self._root = self._open()
                except (duckdb.Error, OSError) as error:
                    raise StoreUnavailable(f"{self._path}: cannot be opened again: {_first_line(error)}") from error
            return self._root.cursor()

    def _give_up(self) -> None:
        """After a fatal error DuckDB refuses everything until the file is opened again."""
        with self._door:
            root, self._root = self._root, None
            if root is not None:
                root.close()

    @contextmanager
    def _reading(self) -> Iterator[DuckDBPyConnection]:
        """A view of one instant."""
        cursor = self._cursor()
        try:
            cursor.begin()
            yield cursor
        except _AWAY as error:
            raise StoreUnavailable(f"{self._path}: cannot be read: {_first_line(error)}") from error
        finally:
            cursor.close()

    def write(self, batches: Iterable[RowBatch]) -> None:
        """Stores the batches; by the contract of `Store`."""
        self.commit(list(batches), Changes())

    def commit(self, batches: Sequence[RowBatch], changes: Changes) -> Changes:
        """Facts and books in one transaction; by the contract of `Books`."""
        new = rollups.hours_of(batches)
        with self._turn, self._writing() as cursor:
            if gone := [start for _, start in new if start < self._gone_ns]:
                raise StoreRefused(f"closed: rows at {min(gone)} ns are older than the minutes that are kept")
            new -= self._stale
            write.write_batches(cursor, batches)
            values_of.write_values(cursor, batches)
            books.write_changes(cursor, changes)
            rollups.mark(cursor, "stale_hours", new)
            cursor.commit()
            self._stale |= new
        return changes

    def roll_up(self, now_ns: int, *, leased: bool, answers: bool = True) -> bool:  # noqa: ARG002  # one process: both
        """One step of the sums; by the contract of `RolledUp`. No facts are taken meanwhile, so a step that took long
        is followed by a smaller one.
        """
        if not leased:
            return False
        with self._turn, self._writing() as cursor:
            began_s = time.perf_counter()
            done = rollups.add_up_hours(cursor, self._stale, now_ns, self._at_once)
            more = bool(done) or rollups.add_up_days(cursor, self._stale, now_ns, self._at_once)
            gone_ns = self._gone_ns
            until_ns = deleted_before_ns(self.retention_ns, now_ns)
            if not more and not any(start < until_ns for _, start in self._stale):
                gone_ns = rollups.forget_minutes(cursor, until_ns)
            cursor.commit()
            more = more or gone_ns != self._gone_ns
            self._stale -= done
            self._gone_ns = gone_ns
            self._pace(time.perf_counter() - began_s)
        return more

    def _pace(self, spent_s: float) -> None:
        if spent_s > _STEP_S:
            self._at_once = max(self._at_once // 2, 1)
        elif spent_s < _STEP_S / 4:
            self._at_once = min(self._at_once * 2, _MOST_AT_ONCE)

    @contextmanager
    def _writing(self) -> Iterator[DuckDBPyConnection]:
        """A transaction, which the caller commits; it is rolled back after an error."""
        cursor = self._cursor()
        try:
            cursor.begin()
            yield cursor
        except _AWAY as error:
            _rollback(cursor)
            if "invalidated" in str(error) or isinstance(error, duckdb.FatalException | duckdb.InternalError):
                cursor.close()
                self._give_up()
            raise StoreUnavailable(f"{self._path}: cannot be written: {_first_line(error)}") from error
        except StoreRefused:
            _rollback(cursor)
            raise
        except (duckdb.Error, OverflowError, UnicodeError) as error:
            _rollback(cursor)
            raise StoreRefused(_first_line(error)) from error
        finally:
            cursor.close()

    def facts(self, query: Query) -> Facts:
        """Sums of facts; by the contract of `Store`."""
        with self._reading() as cursor:
            return read.read_facts(cursor, query, rollups.plan(cursor, query))

    def losses(self, query: Query) -> Losses:
        """Sums of losses; by the contract of `Store`."""
        with self._reading() as cursor:
            return read.read_losses(cursor, query, rollups.plan(cursor, query))

    def stops(self, site: str, machines: Sequence[str], start_ns: int, end_ns: int) -> list[Stop]:
        """Latest revisions; by the contract of `Store`."""
        with self._reading() as cursor:
            return read.read_stops(cursor, site, machines, start_ns, end_ns)

    def values(self, query: ValueQuery) -> dict[str, Values]:
        """Process values; by the contract of `KeepsValues`."""
        with self._reading() as cursor:
            return values_of.read_values(cursor, query)

    def forget_values(self, before_ns: int) -> None:
        """By the contract of `KeepsValues`."""
        with self._turn, self._writing() as cursor:
            values_of.forget_values(cursor, before_ns)
            cursor.commit()

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    def copy_to(self, target: Path) -> None:
        """A whole copy of the file; by the contract of `center.runtime.backup.Copied`."""
        with self._turn:
            self._cursor().close()  # `StoreUnavailable` if the file is gone
            copy_file(self._path, target)

    def extent(self) -> dict[str, tuple[int, int]]:
        """By the contract of `Movable`."""
        with self._reading() as cursor:
            return rows_of.extent(cursor)

    def rows(self, site: str, start_ns: int, end_ns: int) -> Iterator[RowBatch]:
        """By the contract of `Movable`."""
        with self._reading() as cursor:
            yield from rows_of.batches(cursor, site, start_ns, end_ns)

    def remember(self) -> LedgerSnapshot:
        """The books but for the quarantine."""
        with self._reading() as cursor:
            return books.read_remembered(cursor)

    def quarantined(self, site: str, limit: int) -> tuple[list[QuarantineSummary], int]:
        """The newest entries first, and how many there are; site "" means all."""
        with self._reading() as cursor:
            rows, total = books.read_quarantine(cursor, site, limit)
        return [QuarantineSummary(*row) for row in rows], total

    def payload(self, number: int) -> QuarantinedPayload | None:
        """One quarantined entry whole."""
        with self._reading() as cursor:
            rows = cursor.execute(
                "SELECT at_ns, topic, reason, payload, settled FROM quarantine WHERE id = ?", [number]
            ).fetchall()
        return QuarantinedPayload(*rows[0]) if rows else None

    def overfull(self) -> list[tuple[str, str, int, int]]:
        """Machine-minutes that hold more than 60,000 ms: site, machine, minute_ns, ms."""
        with self._reading() as cursor:
            found: list[tuple[str, str, int, int]] = cursor.execute(
                "SELECT site, machine, minute_ns, ms FROM overfull ORDER BY ALL"
            ).fetchall()
            return found

    def close(self) -> None:
        """Writes the log into the file and frees it."""
        with self._turn:
            self._closed = True
            self._give_up()


def _rollback(cursor: DuckDBPyConnection) -> None:
    try:
        cursor.rollback()
    except duckdb.Error:
        return  # the transaction had ended by itself


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0][:300]


def open_store(settings: Mapping[str, str | int | float | bool]) -> DuckStore:
    """The store in `file`, made if it is not there. Other keys: memory_limit, retention (of minute rows).

    Raises `Misconfigured` if another process owns the file, if it cannot be opened or is of another version.
    """
    unknown = set(settings) - {"file", "memory_limit", "retention"}
    if unknown:
        raise misconfigured(
            f"store.{min(unknown)}", settings[min(unknown)], "unknown_key", known="file, memory_limit, retention"
        )
    kept_ns = retention_ns(settings)
    path, memory_limit = Path(str(settings.get("file", _FILE))), str(settings.get("memory_limit", _MEMORY_LIMIT))
    if not _MEMORY.fullmatch(memory_limit):
        raise misconfigured("store.memory_limit", memory_limit, "bad_memory_limit")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return DuckStore(path, memory_limit, kept_ns)
    except (duckdb.Error, OSError) as error:
        code = "store_in_use" if "Could not set lock" in str(error) else "store_cannot_open"
        raise misconfigured("store.file", path, code, detail=_first_line(error)) from error
