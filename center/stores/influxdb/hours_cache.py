"""The file of hourly sums beside an InfluxDB: a cache that may be deleted at any time. What it may answer for is
decided in `_influx_hours`.

Tables as the embedded store has them, a row's minute being its hour, so that the embedded store's questions fit.
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
from center.model.buckets import HOUR_NS
from center.stores.duckdb import read
from center.stores.duckdb.schema import CREATE_SUMS, SCHEMA_VERSION
from center.stores.duckdb.write import Columns, table_columns
from center.stores.influxdb.hours import Hour
from oee.model.facts import FACT_COLUMNS, KEY_COLUMNS, LOSS_COLUMNS, LOSS_KEY_COLUMNS, Facts, Losses

_LOG: Final = logging.getLogger(__name__)
_CREATE: Final = f"""
{CREATE_SUMS}
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
    """Opened when it is first needed, so that a process that only writes has no file. Any thread may ask."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._door = threading.Lock()
        self._root: DuckDBPyConnection | None = None
        self._tried = False
        self._numbers: dict[str, dict[int, int]] = {}

    def open(self) -> bool:
        """Whether there is a file to use. Without one, because another process has it or the disk refuses, every
        question is read row by row, which is said once.
        """
        with self._door:
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
                f"{self._path}: {error}; stop the center and delete this file, it is made again"
            ) from error
        finally:
            cursor.close()

    def numbers(self, site: str) -> dict[int, int]:
        """By hour the number under which its sums are kept."""
        return self._numbers.get(site, {})

    def keep(self, site: str, run: Sequence[Hour], batches: Sequence[RowBatch]) -> None:
        """Keeps the sums of neighbouring hours instead of what was kept of them."""
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
        kept = dict(self._numbers.get(site, {}))  # a new one: others may be looking at the old one
        kept.update({hour.start_ns: hour.touched for hour in run})
        self._numbers[site] = kept

    def facts(self, query: Query) -> Facts:
        """Sums of whole hours."""
        with self._cursor() as cursor:
            return read.read_facts(cursor, query)

    def losses(self, query: Query) -> Losses:
        """The same for losses."""
        with self._cursor() as cursor:
            return read.read_losses(cursor, query)

    def close(self) -> None:
        """Frees the file."""
        with self._door:
            root, self._root = self._root, None
            if root is not None:
                root.close()


def _opened(path: Path) -> DuckDBPyConnection:
    """The file, emptied if it is of another version."""
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
