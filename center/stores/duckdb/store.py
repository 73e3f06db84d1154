"""The embedded store: one DuckDB file with rows and ledger, owned by one process, without a server.

Guarantees: once `commit` has returned, a kill of the process loses nothing; a commit is there completely or not at all.
Queries are answered from hourly and daily sums where these are up to date (`rollups/`).
Not provided: a second process, which is refused with a message that says so, and surviving a loss of the disk.
"""

import errno
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import duckdb
from duckdb import DuckDBPyConnection

from center.contract.ledger import Changes
from center.contract.store import Query, RowBatch, StopPage, StopQuery, ValueQuery
from center.model.complaints import is_passing, misconfigured, not_ready
from center.model.retention import retention_ns
from center.stores.duckdb import export, ledger_tables
from center.stores.duckdb import values as process_values
from center.stores.duckdb.cycles import read_cycles, write_cycles
from center.stores.duckdb.facts import forget_machine, write_facts
from center.stores.duckdb.file import DuckFile, first_line, log_of
from center.stores.duckdb.ledger import DuckLedger
from center.stores.duckdb.rollups import tables
from center.stores.duckdb.rollups.plan import plan
from center.stores.duckdb.rollups.upkeep import DuckHours, RollupUpkeep
from center.stores.duckdb.stops import write_stops
from center.stores.fact_tables.stops import read_stops
from center.stores.fact_tables.sums import read_facts, read_losses
from oee.model.facts import Facts, Losses
from wire.values import Values

_FILE: Final = "nhip.duckdb"
_MEMORY_LIMIT: Final = "256MB"
_PASSING: Final = (
    "Could not set lock",
    *map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.EAGAIN, errno.EMFILE)),
    "Out of Memory",
)
_MEMORY: Final = re.compile(r"\d+(\.\d+)? ?[KMG]i?B")


class DuckStore:
    """`Store`, `HoldsLedger`, `RolledUp`, `Recountable`, `KeepsValues`, `KeepsCycles`, `BinsValues`, `ForgetsMachines` and
    `Exportable`. Any thread may read; commits are serialised.
    """

    def __init__(self, path: Path, memory_limit: str, kept_ns: int = 0) -> None:
        """kept_ns: how long minute rows are kept, 0 for ever."""
        self.retention_ns = kept_ns
        self._upkeep = RollupUpkeep(kept_ns)
        self.aside = self._upkeep.aside

        def opened(connection: DuckDBPyConnection) -> None:
            ledger_tables.prepare(connection, str(path))
            self._upkeep.load(connection)

        self.file = DuckFile(path, memory_limit, opened)
        self.ledger = DuckLedger(self.file)
        self.hours = DuckHours(self.file, self._upkeep)
        self.forget_machine = partial(forget_machine, self.file)
        self.value_bins = partial(process_values.read_bins, self.file)
        self.cycles = partial(read_cycles, self.file)

    def write(self, batches: Iterable[RowBatch]) -> None:
        """By the contract of `Store`."""
        self.commit(list(batches), Changes())

    def commit(self, batches: Sequence[RowBatch], changes: Changes) -> Changes:
        """By the contract of `HoldsLedger`."""
        with self.file.writing() as cursor:
            stale = self._upkeep.mark_stale(cursor, batches)
            write_facts(cursor, batches)
            write_stops(cursor, batches)
            write_cycles(cursor, batches)
            process_values.write_values(cursor, batches)
            ledger_tables.write_changes(cursor, changes)
            cursor.commit()
            self._upkeep.committed(stale)
            self._upkeep.retry(tables.hours_of(batches))
        return changes

    def roll_up(self, now_ns: int, *, leased: bool, answers: bool = True) -> bool:  # noqa: ARG002  # one process: both
        """By the contract of `RolledUp`."""
        if not leased:
            return False
        with self.file.writing() as cursor:
            return self._upkeep.step(cursor, now_ns)

    def facts(self, query: Query) -> Facts:
        """By the contract of `Store`."""
        with self.file.reading() as cursor:
            return read_facts(cursor, query, plan(cursor, query))

    def losses(self, query: Query) -> Losses:
        """By the contract of `Store`."""
        with self.file.reading() as cursor:
            return read_losses(cursor, query, plan(cursor, query))

    def stops(self, query: StopQuery) -> StopPage:
        """By the contract of `Store`."""
        with self.file.reading() as cursor:
            return read_stops(cursor, query)

    def values(self, query: ValueQuery) -> dict[str, Values]:
        """By the contract of `KeepsValues`."""
        with self.file.reading() as cursor:
            return process_values.read_values(cursor, query)

    def forget_values(self, before_ns: int) -> None:
        """By the contract of `KeepsValues`."""
        with self.file.writing() as cursor:
            process_values.forget_values(cursor, before_ns)
            cursor.commit()

    def extent(self) -> dict[str, tuple[int, int]]:
        """By the contract of `Exportable`."""
        with self.file.reading() as cursor:
            return export.extent(cursor)

    def rows(self, site: str, start_ns: int, end_ns: int) -> Iterator[RowBatch]:
        """By the contract of `Exportable`."""
        with self.file.reading() as cursor:
            yield from export.batches(cursor, site, start_ns, end_ns)

    def close(self) -> None:
        """Frees the file."""
        self.file.close()


def open_store(settings: Mapping[str, str | int | float | bool]) -> DuckStore:
    """The store in `file`, which is created if missing. Other keys: memory_limit, retention (of minute rows).

    Raises `Misconfigured` if it cannot be opened or is of another version: `NotReady` if another process has it open, or
    the disk refuses.
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
        if not path.exists():
            _create(path, memory_limit)
        return DuckStore(path, memory_limit, kept_ns)
    except (duckdb.Error, OSError) as error:
        code = "store_in_use" if "Could not set lock" in str(error) else "store_cannot_open"
        passes = is_passing(error) if isinstance(error, OSError) else _passes(str(error))
        complaint_of = not_ready if passes else misconfigured
        raise complaint_of("store.file", path, code, detail=first_line(error)) from error


def _create(path: Path, memory_limit: str) -> None:
    """Makes a complete empty file under another name first: DuckDB cannot open what it could write only in part."""
    new = path.with_name(f"{path.name}.new")
    for leftover in (new, log_of(new)):
        leftover.unlink(missing_ok=True)
    DuckFile(new, memory_limit, lambda connection: ledger_tables.prepare(connection, str(path))).close()
    new.rename(path)


def _passes(text: str) -> bool:
    """Whether the same file may open at the next try. DuckDB says by text alone what the system answered."""
    return any(words in text for words in _PASSING)
