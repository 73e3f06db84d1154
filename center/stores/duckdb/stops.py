"""Stops in the embedded store: every revision is kept, and the latest is read."""

from collections.abc import Sequence

import numpy as np
from duckdb import DuckDBPyConnection

from center.contract.store import RowBatch
from center.stores.duckdb.insert import NO_END, insert_new
from center.stores.duckdb.schema import STOP_IDENTITY
from center.stores.fact_tables.columns import Columns, object_column
from center.stores.fact_tables.stops import COLUMNS, stops_of
from oee.model.facts import Stop


def write_stops(cursor: DuckDBPyConnection, batches: Sequence[RowBatch]) -> None:
    """Inserts revisions that are not there yet, within the caller's transaction."""
    if any(batch.stops for batch in batches):
        insert_new(cursor, "stops", _stop_columns(batches), STOP_IDENTITY, pruned="start_ns")


def _stop_columns(batches: Sequence[RowBatch]) -> Columns:
    rows = [(batch.origin.site, stop) for batch in batches for stop in batch.stops]
    stops = [stop for _, stop in rows]
    return {
        "site": object_column([site for site, _ in rows]),
        "machine": object_column([stop.machine for stop in stops]),
        "id": object_column([stop.id for stop in stops]),
        "start_ns": np.array([stop.start_ns for stop in stops], np.int64),
        "end_ns": np.array([NO_END if stop.end_ns is None else stop.end_ns for stop in stops], np.int64),
        "state": np.array([stop.state for stop in stops], np.uint8),
        "reason": object_column([stop.reason for stop in stops]),
        "said_by": object_column([stop.by for stop in stops]),
        "product": object_column([stop.product for stop in stops]),
        "to_product": object_column([stop.to_product for stop in stops]),
        "revision": np.array([stop.revision for stop in stops], np.int64),
    }


def read_revisions(cursor: DuckDBPyConnection, site: str, start_ns: int, end_ns: int) -> list[Stop]:
    """All revisions of stops that begin in the window."""
    sql = f"SELECT {COLUMNS} FROM stops WHERE site = ? AND start_ns >= ? AND start_ns < ?"  # noqa: S608  # constants
    return stops_of(cursor.execute(sql, [site, start_ns, end_ns]).fetchall())
