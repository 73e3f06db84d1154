"""Columns of batches into the embedded store's tables. Everything here runs inside the caller's transaction."""
# ruff: noqa: S608  # names in the statements are constants of this package; values are parameters

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from duckdb import DuckDBPyConnection

from center.contract.store import HOURS, RowBatch
from center.stores.duckdb.schema import FACT_IDENTITY, STOP_IDENTITY
from oee.model.facts import FACT_COLUMNS, KEY_COLUMNS, LOSS_COLUMNS, LOSS_KEY_COLUMNS, STATE_COLUMNS, Facts, Losses

Columns = dict[str, "np.ndarray[Any, Any]"]

NO_END: Final = -(2**63)  # stands for NULL in an int64 column
_ALL_STATES: Final = " + ".join(STATE_COLUMNS)


def text(values: Sequence[Any]) -> "np.ndarray[Any, Any]":
    """An object column, which DuckDB reads as VARCHAR or BLOB."""
    out = np.empty(len(values), object)
    out[:] = values
    return out


def repeat_origin(batches: Sequence[RowBatch], name: str, lengths: Sequence[int]) -> "np.ndarray[Any, Any]":
    """A column of the batches' origins, each as often as the batch has rows."""
    return np.repeat(text([getattr(batch.origin, name) for batch in batches]), lengths)


def table_columns(
    batches: Sequence[RowBatch], tables: Sequence[Facts | Losses], keys: tuple[str, ...], sums: tuple[str, ...]
) -> Columns:
    """The rows of these tables, one of each batch, as columns under their names in the store."""
    lengths = [len(table) for table in tables]
    columns: Columns = {name: repeat_origin(batches, name, lengths) for name in ("site", "stream")}
    for name in (*keys, "n"):
        columns[name] = np.concatenate([getattr(table, name) for table in tables])
    added = np.concatenate([table.sums for table in tables])
    return columns | {name: np.ascontiguousarray(added[:, index]) for index, name in enumerate(sums)}


def _stop_columns(batches: Sequence[RowBatch]) -> Columns:
    rows = [(batch.origin.site, stop) for batch in batches for stop in batch.stops]
    stops = [stop for _, stop in rows]
    return {
        "site": text([site for site, _ in rows]),
        "machine": text([stop.machine for stop in stops]),
        "id": text([stop.id for stop in stops]),
        "start_ns": np.array([stop.start_ns for stop in stops], np.int64),
        "end_ns": np.array([NO_END if stop.end_ns is None else stop.end_ns for stop in stops], np.int64),
        "state": np.array([stop.state for stop in stops], np.uint8),
        "reason": text([stop.reason for stop in stops]),
        "said_by": text([stop.by for stop in stops]),
        "product": text([stop.product for stop in stops]),
        "to_product": text([stop.to_product for stop in stops]),
        "revision": np.array([stop.revision for stop in stops], np.int64),
    }


def write_batches(cursor: DuckDBPyConnection, batches: Sequence[RowBatch]) -> None:
    """Facts, losses and stops whose identity is not there yet."""
    if any(len(batch.facts) for batch in batches):
        columns = table_columns(batches, [batch.facts for batch in batches], KEY_COLUMNS, FACT_COLUMNS)
        insert_new(cursor, "facts", columns, FACT_IDENTITY, pruned="minute_ns")
        _flag_overfull(cursor, columns)
    if any(len(batch.losses) for batch in batches):
        columns = table_columns(batches, [batch.losses for batch in batches], LOSS_KEY_COLUMNS, LOSS_COLUMNS)
        insert_new(cursor, "losses", columns, FACT_IDENTITY, pruned="minute_ns")
    if any(batch.stops for batch in batches):
        insert_new(cursor, "stops", _stop_columns(batches), STOP_IDENTITY, pruned="start_ns")


@contextmanager
def _registered(cursor: DuckDBPyConnection, name: str, columns: Columns) -> Iterator[None]:
    """The columns as a table for a while. After an error only the error counts: the transaction is aborted then, and
    DuckDB would complain of that too.
    """
    cursor.register(name, columns)
    yield
    cursor.unregister(name)


def insert_new(
    cursor: DuckDBPyConnection, table: str, columns: Columns, identity: Sequence[str], *, pruned: str = ""
) -> None:
    """Inserts the rows whose identity is neither in the table nor earlier among the rows.

    pruned: an identity column whose range bounds the search, so that zone maps spare the rest of the table.
    """
    if not len(next(iter(columns.values()))):
        return
    same = " AND ".join(f"t.{name} = c.{name}" for name in identity)
    values = ", ".join(f"NULLIF({name}, {NO_END})" if name == "end_ns" else name for name in columns)
    bounds = ""
    if pruned:
        bounds = f" AND t.{pruned} BETWEEN {int(columns[pruned].min())} AND {int(columns[pruned].max())}"
    with _registered(cursor, "incoming", columns):
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM "  # names are constants
            f"(SELECT DISTINCT ON ({', '.join(identity)}) * FROM incoming) c "
            f"WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE {same}{bounds})"
        )


def upsert(cursor: DuckDBPyConnection, table: str, columns: Columns, identity: Sequence[str]) -> None:
    """Updates the rows that are there and inserts the others; identities among the rows are unique."""
    if not len(next(iter(columns.values()))):
        return
    same = " AND ".join(f"{table}.{name} = c.{name}" for name in identity)
    changes = ", ".join(f"{name} = c.{name}" for name in columns if name not in identity)
    with _registered(cursor, "changed", columns):
        cursor.execute(f"UPDATE {table} SET {changes} FROM changed c WHERE {same}")  # constants
    insert_new(cursor, table, columns, identity)


def _flag_overfull(cursor: DuckDBPyConnection, columns: Mapping[str, "np.ndarray[Any, Any]"]) -> None:
    """Keeps the list of machine-minutes that hold more time than a minute has, over all streams."""
    low, high = int(columns["minute_ns"].min()), int(columns["minute_ns"].max())
    with _registered(cursor, "touched", {name: columns[name] for name in ("site", "machine", "minute_ns")}):
        found = cursor.execute(
            f"SELECT site, machine, minute_ns, sum({_ALL_STATES})::BIGINT AS ms FROM facts "  # constants
            f"SEMI JOIN touched USING (site, machine, minute_ns) WHERE minute_ns BETWEEN {low} AND {high} AND stream <> '{HOURS}' "
            "GROUP BY ALL HAVING ms > 60000"
        ).fetchnumpy()
        cursor.execute(f"DELETE FROM overfull USING touched WHERE {_SAME_MINUTE}")  # constants
    insert_new(cursor, "overfull", found, ("site", "machine", "minute_ns"))


_SAME_MINUTE: Final = (
    "overfull.site = touched.site AND overfull.machine = touched.machine AND overfull.minute_ns = touched.minute_ns"
)
