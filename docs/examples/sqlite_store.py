"""A store in one file of SQLite: small, slow over long windows, and complete as the contract demands.

The example of a store in CONTRIBUTING.md. Sums are computed in Python over the rows of the window.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from center.contract.store import Query, RowBatch, StopPage, StopQuery, StoreUnavailable, ValueQuery
from center.model.buckets import BY_DATE, clock_edges, date_start_ns, first_date
from center.stores.fact_tables.stops import choose_stops, revision_table
from oee.model.facts import Facts, Losses, Stop, Table, make_table, row_keys
from wire.values import NO_VALUES, Values

_TABLES = """
CREATE TABLE IF NOT EXISTS rows (
  kind TEXT, site TEXT, stream TEXT, machine TEXT, minute_ns INTEGER, n INTEGER, key TEXT, sums TEXT,
  PRIMARY KEY (kind, site, minute_ns, machine, stream, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stops (
  site TEXT, machine TEXT, id TEXT, start_ns INTEGER, end_ns INTEGER, state INTEGER, reason TEXT, by TEXT, product TEXT,
  to_product TEXT, revision INTEGER, PRIMARY KEY (site, machine, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS process_values (
  site TEXT, gateway TEXT, tag TEXT, t_ns INTEGER, number REAL, text TEXT, quality INTEGER,
  PRIMARY KEY (site, gateway, tag, t_ns)) WITHOUT ROWID;
"""
_NEWER_STOP = (
    "INSERT INTO stops VALUES (?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET start_ns = excluded.start_ns, "
    "end_ns = excluded.end_ns, state = excluded.state, reason = excluded.reason, by = excluded.by, "
    "product = excluded.product, to_product = excluded.to_product, revision = excluded.revision "
    "WHERE excluded.revision > stops.revision"
)
_VALUE_COLUMNS = "gateway, tag, t_ns, number, text, quality"


def open_store(settings: Mapping[str, Any]) -> "SqliteStore":
    """The store of a center file's `store: {kind: sqlite, file: ...}`. Every store folder has this function."""
    return SqliteStore(settings["file"])


class SqliteStore:
    """One connection behind a lock; every write is one transaction with an fsync."""

    def __init__(self, file: str) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(file, check_same_thread=False)
        self._database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + _TABLES)

    def write(self, batches: Iterable[RowBatch]) -> None:
        """Writes the rows; those that exist already stay as they are, since a row never changes."""
        with self._lock:
            try:
                with self._database:
                    for batch in batches:
                        self._write_one(batch)
            except sqlite3.OperationalError as error:
                raise StoreUnavailable(str(error)) from error

    def _write_one(self, batch: RowBatch) -> None:
        origin, site = batch.origin, batch.origin.site
        for table in (batch.facts, batch.losses):
            kind = type(table).__name__
            rows = zip(row_keys(table), table.n.tolist(), table.sums.tolist(), strict=True)
            self._database.executemany(
                "INSERT OR IGNORE INTO rows VALUES (?,?,?,?,?,?,?,?)",
                [
                    (kind, site, origin.stream, key[0], key[1], n, json.dumps(key), json.dumps(sums))
                    for key, n, sums in rows
                ],
            )
        self._database.executemany(_NEWER_STOP, [(site, *_stop_row(stop)) for stop in batch.stops])
        values = batch.values
        columns = (values.tag, values.t_ns, values.number, values.text, values.quality)
        self._database.executemany(
            "INSERT OR IGNORE INTO process_values VALUES (?,?,?,?,?,?,?)",
            [(site, origin.gateway, *row) for row in zip(*(column.tolist() for column in columns), strict=True)],
        )

    def facts(self, query: Query) -> Facts:
        """Sums by bucket and group."""
        return self._sum(Facts, query)

    def losses(self, query: Query) -> Losses:
        """The same for losses."""
        return self._sum(Losses, query)

    def _sum(self, kind: type[Table], query: Query) -> Table:
        with self._lock:
            rows = self._database.execute(
                "SELECT key, sums FROM rows WHERE kind = ? AND site = ? AND minute_ns >= ? AND minute_ns < ?",
                (kind.__name__, query.site, query.start_ns, query.end_ns),
            ).fetchall()
        keys = [json.loads(key) for key, _ in rows]
        sums = np.array([json.loads(row) for _, row in rows], np.int64).reshape(len(rows), len(kind.COLUMNS))
        chosen = [index for index, key in enumerate(keys) if not query.machines or key[0] in query.machines]
        total: dict[tuple[Any, ...], Any] = {}
        for index, start_ns in zip(chosen, _bucket_starts(query, [keys[index] for index in chosen]), strict=True):
            group = _group(kind, query, keys[index], start_ns)
            total[group] = total.get(group, 0) + sums[index]
        ordered = sorted(total, key=lambda group: (group[1], group))
        return make_table(kind, ordered, np.array([total[group] for group in ordered], np.int64))  # type: ignore[arg-type]

    def stops(self, query: StopQuery) -> StopPage:
        """Those that overlap the window; the rest of the choice is the same for all stores, and made by DuckDB."""
        with self._lock:
            rows = self._database.execute(
                "SELECT machine, id, start_ns, end_ns, state, reason, by, product, to_product, revision FROM stops "
                "WHERE site = ? AND start_ns < ? AND (end_ns IS NULL OR end_ns > ?)",
                (query.site, query.end_ns, query.start_ns),
            ).fetchall()
        return choose_stops([revision_table(query.site, rows)], query)

    def values(self, query: ValueQuery) -> dict[str, Values]:
        """By gateway: of each tag the last row before the window, and the first rows in it."""
        of_tag = "FROM process_values WHERE site = ? AND tag = ? AND (? = '' OR gateway = ?) AND t_ns >= ? AND t_ns < ?"
        before, inside = [], []
        with self._lock:
            for tag in query.tags:
                chosen = (query.site, tag, query.gateway, query.gateway)
                before += self._database.execute(
                    f"SELECT {_VALUE_COLUMNS}, max(t_ns) {of_tag} GROUP BY gateway",  # constants
                    (*chosen, query.start_ns - query.back_ns, query.start_ns),
                ).fetchall()
                inside += self._database.execute(
                    f"SELECT {_VALUE_COLUMNS} {of_tag} ORDER BY t_ns LIMIT ?",  # constants
                    (*chosen, query.start_ns, query.end_ns, query.limit),
                ).fetchall()
        inside.sort(key=lambda row: (row[2], row[1]))
        rows = sorted([row[:6] for row in before] + inside[: query.limit], key=lambda row: row[:3])
        return {gateway: _columns([row for row in rows if row[0] == gateway]) for gateway in {row[0] for row in rows}}

    def forget_values(self, before_ns: int) -> None:
        """Deletes older process values."""
        with self._lock, self._database:
            self._database.execute("DELETE FROM process_values WHERE t_ns < ?", (before_ns,))

    def forget_machine(self, site: str, machine: str) -> None:
        """Deletes all rows and stops of a machine; sums are computed anew for each question."""
        with self._lock, self._database:
            self._database.execute("DELETE FROM rows WHERE site = ? AND machine = ?", (site, machine))
            self._database.execute("DELETE FROM stops WHERE site = ? AND machine = ?", (site, machine))

    def close(self) -> None:
        """Closes the file."""
        self._database.close()


def _stop_row(stop: Stop) -> tuple[Any, ...]:
    columns = (stop.machine, stop.id, stop.start_ns, stop.end_ns, int(stop.state))
    return (*columns, stop.reason, stop.by, stop.product, stop.to_product, stop.revision)


def _bucket_starts(query: Query, keys: Sequence[Sequence[Any]]) -> list[int]:
    """Where each row's bucket starts [ns UTC]."""
    zone = ZoneInfo(query.zone)
    if query.bucket in BY_DATE:
        dates = first_date(query.bucket, np.array([key[3] for key in keys], np.int64)).tolist()
        start_of = {date: date_start_ns(zone, date) for date in set(dates)}
        return [start_of[date] for date in dates]
    if query.bucket == "all" or not keys:
        return [query.start_ns] * len(keys)
    minutes = np.array([key[1] for key in keys], np.int64)
    edges = clock_edges(query.bucket, zone, int(minutes.min()), int(minutes.max()) + 1)
    starts: list[int] = edges[np.searchsorted(edges, minutes, "right") - 1].tolist()
    return starts


def _group(kind: type[Facts | Losses], query: Query, key: Sequence[Any], start_ns: int) -> tuple[Any, ...]:
    """The key with its bucket's start, and with '' or 0 where the query does not group."""
    kept = {*query.by, *(("shift",) if query.bucket == "shift" else ())}
    named = zip(kind.KEYS, key, strict=True)
    return tuple(start_ns if name == "minute_ns" else value if name in kept else type(value)() for name, value in named)


def _columns(rows: Sequence[tuple[Any, ...]]) -> Values:
    if not rows:
        return NO_VALUES
    _, tag, t_ns, number, text, quality = zip(*rows, strict=True)
    as_objects = [np.array(column, object) for column in (tag, text)]
    numbers = np.array([np.nan if value is None else value for value in number], np.float64)
    return Values(as_objects[0], np.array(t_ns, np.int64), numbers, as_objects[1], np.array(quality, np.uint8))
