"""Stops in the embedded store: every revision is kept, and the latest is read."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from duckdb import DuckDBPyConnection

from center.contract.store import RowBatch
from center.stores.duckdb.insert import NO_END, insert_new
from center.stores.duckdb.schema import STOP_IDENTITY
from center.stores.fact_tables.columns import Columns, object_column
from oee.model.facts import Stop
from oee.model.states import State

_COLUMNS: Final = "machine, id, start_ns, end_ns, state, reason, said_by, product, to_product, revision"


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


_LATEST_STOPS: Final = f"""
WITH latest AS (
  SELECT * FROM stops WHERE site = $site {{machines}}
  QUALIFY row_number() OVER (PARTITION BY machine, id ORDER BY revision DESC, start_ns DESC) = 1)
SELECT {_COLUMNS} FROM latest
WHERE start_ns < $end AND (end_ns IS NULL OR (end_ns > $start AND end_ns > start_ns))
ORDER BY machine, start_ns, id
"""  # noqa: S608  # constants


def read_stops(
    cursor: DuckDBPyConnection, site: str, machines: Sequence[str], start_ns: int, end_ns: int
) -> list[Stop]:
    """The latest revisions that overlap the window."""
    parameters: dict[str, Any] = {"site": site, "start": start_ns, "end": end_ns}
    if machines:
        parameters["machines"] = list(machines)
    sql = _LATEST_STOPS.format(machines="AND list_contains($machines, machine)" if machines else "")
    return _stops(cursor.execute(sql, parameters).fetchall())


def read_revisions(cursor: DuckDBPyConnection, site: str, start_ns: int, end_ns: int) -> list[Stop]:
    """All revisions of stops that begin in the window."""
    sql = f"SELECT {_COLUMNS} FROM stops WHERE site = ? AND start_ns >= ? AND start_ns < ?"  # noqa: S608  # constants
    return _stops(cursor.execute(sql, [site, start_ns, end_ns]).fetchall())


def _stops(rows: list[tuple[Any, ...]]) -> list[Stop]:
    return [
        Stop(machine, stop, begin, end, State(state), reason, by, product, to_product, revision)
        for machine, stop, begin, end, state, reason, by, product, to_product, revision in rows
    ]
