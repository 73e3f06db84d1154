"""Exports rows of the embedded store with their identity, for a copy into another store.

For hours whose minute rows are deleted, the hourly sums are exported as rows of a stream of their own (`HOURS`), at the
first minute of the hour and numbered in a fixed order, so that repeating the copy changes nothing.
"""
# ruff: noqa: S608  # names in the statements are constants of this package; values are parameters

from collections.abc import Iterator
from typing import Any

import numpy as np
from duckdb import DuckDBPyConnection

from center.contract.store import HOURS, Origin, RowBatch
from center.stores.duckdb.cycles import read_cycle_rows
from center.stores.duckdb.rollups.tables import minutes_from
from center.stores.duckdb.stops import read_revisions
from center.stores.duckdb.values import value_batches
from oee.model.facts import (
    FACT_COLUMNS,
    KEY_COLUMNS,
    LOSS_COLUMNS,
    LOSS_KEY_COLUMNS,
    MINUTE_NS,
    NO_BINS,
    NO_FACTS,
    NO_LOSSES,
    Facts,
    Losses,
    select,
)

_TYPES = {"minute_ns": np.int64, "n": np.int64, "business_date": np.int32, "calendar": np.uint8, "state": np.uint8}


def extent(cursor: DuckDBPyConnection) -> dict[str, tuple[int, int]]:
    """By the contract of `Exportable`."""
    rows = cursor.execute(
        "SELECT site, min(t), max(t) FROM (SELECT site, minute_ns AS t FROM facts UNION ALL SELECT site, minute_ns "
        "FROM losses UNION ALL SELECT site, minute_ns FROM facts_hour UNION ALL SELECT site, minute_ns FROM losses_hour "
        "UNION ALL SELECT site, minute_ns FROM cycles UNION ALL SELECT site, start_ns FROM stops UNION ALL SELECT site, t_ns FROM process_values) GROUP BY site ORDER BY site"
    ).fetchall()
    return {
        site: (first // MINUTE_NS * MINUTE_NS, last // MINUTE_NS * MINUTE_NS + MINUTE_NS) for site, first, last in rows
    }


def batches(cursor: DuckDBPyConnection, site: str, start_ns: int, end_ns: int) -> Iterator[RowBatch]:
    """By the contract of `Exportable`."""
    minutes_from_ns = min(max(minutes_from(cursor), start_ns), end_ns)
    if start_ns < minutes_from_ns:
        _, hours = _table(
            cursor, _numbered("facts", KEY_COLUMNS), KEY_COLUMNS, FACT_COLUMNS, (site, start_ns, minutes_from_ns)
        )
        _, rolled = _table(
            cursor,
            _numbered("losses", LOSS_KEY_COLUMNS),
            LOSS_KEY_COLUMNS,
            LOSS_COLUMNS,
            (site, start_ns, minutes_from_ns),
        )
        yield RowBatch(Origin(site, "", HOURS), 0, Facts(**hours), Losses(**rolled), ())
    fact_streams, all_facts = _table(cursor, "facts", KEY_COLUMNS, FACT_COLUMNS, (site, minutes_from_ns, end_ns))
    loss_streams, all_losses = _table(cursor, "losses", LOSS_KEY_COLUMNS, LOSS_COLUMNS, (site, minutes_from_ns, end_ns))
    facts, losses = Facts(**all_facts), Losses(**all_losses)
    cycle_streams, cycles = read_cycle_rows(cursor, site, minutes_from_ns, end_ns)
    for stream in sorted({*fact_streams.tolist(), *loss_streams.tolist(), *cycle_streams.tolist()}):
        own_facts = select(facts, fact_streams == stream) if len(facts) else NO_FACTS
        own_losses = select(losses, loss_streams == stream) if len(losses) else NO_LOSSES
        own_cycles = select(cycles, cycle_streams == stream) if len(cycles) else NO_BINS
        yield RowBatch(Origin(site, "", stream), 0, own_facts, own_losses, (), cycles=own_cycles)
    if stops := read_revisions(cursor, site, start_ns, end_ns):
        yield RowBatch(Origin(site, "", ""), 0, NO_FACTS, NO_LOSSES, stops)
    yield from value_batches(cursor, site, start_ns, end_ns)


def _numbered(table: str, keys: tuple[str, ...]) -> str:
    """A subquery that presents hourly sums as rows."""
    number = f"row_number() OVER (PARTITION BY site, machine, minute_ns ORDER BY {', '.join(keys)}) - 1"
    return f"(SELECT '{HOURS}' AS stream, {number} AS n, * FROM {table}_hour)"


def _table(
    cursor: DuckDBPyConnection,
    table: str,
    keys: tuple[str, ...],
    sums: tuple[str, ...],
    window: tuple[str, int, int],
) -> tuple[Any, dict[str, Any]]:
    names = ("stream", *keys, "n", *sums)
    result = cursor.execute(
        f"SELECT {', '.join(names)} FROM {table} WHERE site = ? AND minute_ns >= ? AND minute_ns < ?", list(window)
    ).fetchnumpy()
    columns = {name: np.asarray(result[name], _TYPES.get(name, object)) for name in ("stream", *keys, "n")}
    stream = columns.pop("stream")
    return stream, columns | {"sums": np.stack([np.asarray(result[name], np.int64) for name in sums], axis=1)}
