"""Rows out of the embedded store as they were written, identity included: what a copy into another store needs.

Of hours whose minutes are gone the sums are given as rows of a stream of their own (`HOURS`), at the hour's first
minute and numbered in a fixed order, so that a copy of them is as harmless to repeat as any other.
"""
# ruff: noqa: S608  # names in the statements are constants of this package; values are parameters

from collections.abc import Iterator
from typing import Any

import numpy as np
from duckdb import DuckDBPyConnection

from center.contract.store import HOURS, Origin, RowBatch
from center.stores.duckdb.rollups import minutes_from
from center.stores.duckdb.values import value_batches
from oee.model.facts import (
    FACT_COLUMNS,
    KEY_COLUMNS,
    LOSS_COLUMNS,
    LOSS_KEY_COLUMNS,
    MINUTE_NS,
    NO_FACTS,
    NO_LOSSES,
    Facts,
    Losses,
    Stop,
    select,
)
from oee.model.states import State

_TYPES = {"minute_ns": np.int64, "n": np.int64, "business_date": np.int32, "calendar": np.uint8, "state": np.uint8}


def extent(cursor: DuckDBPyConnection) -> dict[str, tuple[int, int]]:
    """By site the time from the first row to the end of the last one's minute."""
    rows = cursor.execute(
        "SELECT site, min(t), max(t) FROM (SELECT site, minute_ns AS t FROM facts UNION ALL SELECT site, minute_ns "
        "FROM losses UNION ALL SELECT site, minute_ns FROM facts_hour UNION ALL SELECT site, minute_ns FROM losses_hour "
        "UNION ALL SELECT site, start_ns FROM stops UNION ALL SELECT site, t_ns FROM process_values) GROUP BY site ORDER BY site"
    ).fetchall()
    return {
        site: (first // MINUTE_NS * MINUTE_NS, last // MINUTE_NS * MINUTE_NS + MINUTE_NS) for site, first, last in rows
    }


def batches(cursor: DuckDBPyConnection, site: str, start_ns: int, end_ns: int) -> Iterator[RowBatch]:
    """The rows of one window, a batch for each stream; stops and process values know no stream."""
    gone_ns = min(max(minutes_from(cursor), start_ns), end_ns)
    if start_ns < gone_ns:
        _, hours = _table(cursor, _numbered("facts", KEY_COLUMNS), KEY_COLUMNS, FACT_COLUMNS, (site, start_ns, gone_ns))
        _, rolled = _table(
            cursor, _numbered("losses", LOSS_KEY_COLUMNS), LOSS_KEY_COLUMNS, LOSS_COLUMNS, (site, start_ns, gone_ns)
        )
        yield RowBatch(Origin(site, "", HOURS), 0, Facts(**hours), Losses(**rolled), ())
    fact_streams, all_facts = _table(cursor, "facts", KEY_COLUMNS, FACT_COLUMNS, (site, gone_ns, end_ns))
    loss_streams, all_losses = _table(cursor, "losses", LOSS_KEY_COLUMNS, LOSS_COLUMNS, (site, gone_ns, end_ns))
    facts, losses = Facts(**all_facts), Losses(**all_losses)
    for stream in sorted({*fact_streams.tolist(), *loss_streams.tolist()}):
        mine = select(facts, fact_streams == stream) if len(facts) else NO_FACTS
        lost = select(losses, loss_streams == stream) if len(losses) else NO_LOSSES
        yield RowBatch(Origin(site, "", stream), 0, mine, lost, ())
    if stops := _stops(cursor, site, start_ns, end_ns):
        yield RowBatch(Origin(site, "", ""), 0, NO_FACTS, NO_LOSSES, stops)
    yield from value_batches(cursor, site, start_ns, end_ns)


def _numbered(table: str, keys: tuple[str, ...]) -> str:
    """The sums of hours as if they were rows."""
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
    found = cursor.execute(
        f"SELECT {', '.join(names)} FROM {table} WHERE site = ? AND minute_ns >= ? AND minute_ns < ?", list(window)
    ).fetchnumpy()
    columns = {name: np.asarray(found[name], _TYPES.get(name, object)) for name in ("stream", *keys, "n")}
    stream = columns.pop("stream")
    return stream, columns | {"sums": np.stack([np.asarray(found[name], np.int64) for name in sums], axis=1)}


def _stops(cursor: DuckDBPyConnection, site: str, start_ns: int, end_ns: int) -> list[Stop]:
    rows = cursor.execute(
        "SELECT machine, id, start_ns, end_ns, state, reason, said_by, product, to_product, revision FROM stops "
        "WHERE site = ? AND start_ns >= ? AND start_ns < ?",
        [site, start_ns, end_ns],
    ).fetchall()
    return [
        Stop(machine, stop, begin, end, State(state), reason, by, product, to_product, revision)
        for machine, stop, begin, end, state, reason, by, product, to_product, revision in rows
    ]
