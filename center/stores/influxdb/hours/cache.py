"""The cache file of hourly sums beside an InfluxDB; it may be deleted at any time. `index` decides what it may answer.

Its tables are those of `fact_tables`, with a row's minute being its hour.
"""
# ruff: noqa: S608  # names in the statements are constants of this package; values are parameters

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb
from duckdb import DuckDBPyConnection

from center.contract.store import Query, RowBatch, StoreUnavailable
from center.stores.fact_tables.columns import Columns, table_columns
from center.stores.fact_tables.schema import CREATE_TABLES, SCHEMA_VERSION
from center.stores.fact_tables.sums import read_facts, read_losses
from center.stores.influxdb.hours.index import Hour
from oee.model.facts import FACT_COLUMNS, HOUR_NS, KEY_COLUMNS, LOSS_COLUMNS, LOSS_KEY_COLUMNS, Facts, Losses

_LOG: Final = logging.getLogger(__name__)
_CREATE: Final = f"""
{CREATE_TABLES}
CREATE TABLE hours (site VARCHAR NOT NULL, start_ns BIGINT NOT NULL, touched BIGINT NOT NULL);
CREATE TABLE version (schema VARCHAR NOT NULL);
INSERT INTO version VALUES ('{SCHEMA_VERSION}');
"""
_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "threads": 2,
    "memory_limit": "256MB",
    "preserve_insertion_order": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
}


class HoursCache:
    """Opened when first needed, so that a process that only writes has no file. Any thread may use it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mutex = threading.Lock()
        self._root: DuckDBPyConnection | None = None
        self._tried = False
        self._numbers: dict[str, dict[int, int]] = {}

    def open(self) -> bool:
        """Whether the cache can be used. If not, because another process has the file or the disk refuses, queries are
        answered row by row; this is logged once.
        """
        with self._mutex:
            if not self._tried:
                self._tried = True
                try:
                    self._root = _opened(self._path)
                    for site, start_ns, touched in self._root.execute("SELECT * FROM hours").fetchall():
                        self._numbers.setdefault(site, {})[start_ns] = touched
                except (duckdb.Error, OSError) as error:
                    detail = str(error).split("\n", 1)[0][:200]
                    _LOG.warning("no hourly sums, questions will be slow: file=%s reason=%s", self._path, detail)
            return self._root is not None

    @contextmanager
    def _cursor(self) -> Iterator[DuckDBPyConnection]:
        if self._root is None:
            raise StoreUnavailable(f"{self._path}: closed")
        cursor = self._root.cursor()
        try:
            yield cursor
        except duckdb.Error as error:
            raise StoreUnavailable(
                f"{self._path}: {error}; stop the center and delete this file: it is created again"
            ) from error
        finally:
            cursor.close()

    def numbers(self, site: str) -> dict[int, int]:
        """By hour the version of its cached sums."""
        return self._numbers.get(site, {})

    def put(self, site: str, run: Sequence[Hour], batches: Sequence[RowBatch]) -> None:
        """Replaces what is cached of neighbouring hours by these sums."""
        window = [site, run[0].start_ns, run[-1].start_ns + HOUR_NS]
        with self._cursor() as cursor:
            cursor.begin()
            for table in ("facts", "losses"):
                cursor.execute(f"DELETE FROM {table} WHERE site = ? AND minute_ns >= ? AND minute_ns < ?", window)
            cursor.execute("DELETE FROM hours WHERE site = ? AND start_ns >= ? AND start_ns < ?", window)
            facts, losses = [batch.facts for batch in batches], [batch.losses for batch in batches]
            _insert(cursor, "facts", table_columns(batches, facts, KEY_COLUMNS, FACT_COLUMNS) if batches else {})
            _insert(cursor, "losses", table_columns(batches, losses, LOSS_KEY_COLUMNS, LOSS_COLUMNS) if batches else {})
            cursor.executemany(
                "INSERT INTO hours VALUES (?, ?, ?)", [[site, hour.start_ns, hour.touched] for hour in run]
            )
            cursor.commit()
        numbers = dict(self._numbers.get(site, {}))  # a copy: other threads may be reading the old one
        numbers.update({hour.start_ns: hour.touched for hour in run})
        self._numbers[site] = numbers

    def facts(self, query: Query) -> Facts:
        """Sums of facts in whole hours."""
        with self._cursor() as cursor:
            return read_facts(cursor, query)

    def losses(self, query: Query) -> Losses:
        """The same for losses."""
        with self._cursor() as cursor:
            return read_losses(cursor, query)

    def close(self) -> None:
        """Frees the file."""
        with self._mutex:
            root, self._root = self._root, None
            if root is not None:
                root.close()


def _opened(path: Path) -> DuckDBPyConnection:
    """Opens the file, and empties it if it is of another version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    root = duckdb.connect(str(path), config=_CONFIG)
    tables = {row[0] for row in root.execute("SELECT table_name FROM information_schema.tables").fetchall()}
    if "version" in tables and root.execute("SELECT schema FROM version").fetchall() == [(SCHEMA_VERSION,)]:
        return root
    for table in sorted(tables):
        root.execute(f'DROP TABLE "{table}"')
    root.execute(_CREATE)
    return root


def _insert(cursor: DuckDBPyConnection, table: str, columns: Columns) -> None:
    if not columns or not len(columns["site"]):
        return
    cursor.register("incoming", columns)
    try:
        cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(columns)} FROM incoming")
    finally:
        cursor.unregister("incoming")
