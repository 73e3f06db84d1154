"""Stops that a question wants, chosen in DuckDB from a table of their revisions: columns in, a page of stops out."""
# ruff: noqa: S608  # names in the statements are constants of this package; values are parameters

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any, Final

import duckdb
import pyarrow as pa
from duckdb import DuckDBPyConnection

from center.contract.store import BeginSpans, StopPage, StopQuery
from oee.model.facts import Stop
from oee.model.states import State

COLUMNS: Final = "machine, id, start_ns, end_ns, state, reason, said_by, product, to_product, revision"
"""Of a table of revisions; `site` stands before them."""
_TYPES: Final = pa.schema(
    [
        ("site", pa.string()),
        ("machine", pa.string()),
        ("id", pa.string()),
        ("start_ns", pa.int64()),
        ("end_ns", pa.int64()),
        ("state", pa.uint8()),
        ("reason", pa.string()),
        ("said_by", pa.string()),
        ("product", pa.string()),
        ("to_product", pa.string()),
        ("revision", pa.int64()),
    ]
)
_ORDERS: Final = {
    "machine": "machine, start_ns, id",
    "latest": "start_ns DESC, machine, id",
    "longest": "length_ns DESC, start_ns DESC, machine, id",
}
_STATES: Final = {int(state): state for state in State}
_ALL: Final = 2**62
_CHOSEN: Final = f"""
WITH near AS (
  SELECT * FROM {{table}} WHERE site = $site AND start_ns < $end AND (end_ns IS NULL OR end_ns > $start) {{machines}}),
inside AS (
  SELECT *, greatest(coalesce(end_ns, $now) - start_ns, 0) AS length_ns
  FROM near ANTI JOIN {{table}} newer ON newer.site = $site AND newer.machine = near.machine AND newer.id = near.id
    AND (newer.revision > near.revision OR (newer.revision = near.revision AND newer.start_ns > near.start_ns))
  WHERE end_ns IS NULL OR end_ns > start_ns),
placed AS ({{placed}})
SELECT {COLUMNS}, count(*) OVER () FROM placed WHERE {{wanted}} ORDER BY {{order}} LIMIT $most OFFSET $first
"""
"""Only stops with a revision in the window are looked at; all others of theirs decide whether it is the latest."""
_PLACED: Final = """
  SELECT i.*, coalesce(i.start_ns < s.end_ns, false) AS began
  FROM inside i ASOF LEFT JOIN (SELECT machine, start_ns, end_ns FROM began_groups JOIN began_spans USING (number)) s
  ON i.machine = s.machine AND i.start_ns >= s.start_ns"""


def read_stops(cursor: DuckDBPyConnection, query: StopQuery, table: str = "stops") -> StopPage:
    """The page that the query wants, by the contract of `Store.stops`. table: name of the table of revisions."""
    parameters: dict[str, Any] = {
        "site": query.site,
        "start": query.start_ns,
        "end": query.end_ns,
        "now": query.now_ns,
        "first": query.first,
        "most": _ALL if query.most is None else query.most,
    }
    wanted = ["length_ns >= $shortest"] if query.shortest_ns else ["true"]
    parameters |= {"shortest": query.shortest_ns} if query.shortest_ns else {}
    lists = {"state": [int(state) for state in query.states], "reason": query.reasons, "product": query.products}
    for column, values in lists.items():
        if values:
            parameters[f"{column}s"] = list(values)
            wanted.append(f"list_contains(${column}s, {column})")
    if query.machines:
        parameters["machines"] = list(query.machines)
    if query.began_in is not None and not query.others_last:
        wanted.append("began")
    sql = _CHOSEN.format(
        table=table,
        machines="AND list_contains($machines, machine)" if query.machines else "",
        placed="SELECT * FROM inside" if query.began_in is None else _PLACED,
        wanted=" AND ".join(wanted),
        order=f"NOT began, {_ORDERS[query.order]}" if query.began_in is not None else _ORDERS[query.order],
    )
    with ExitStack() as held:
        for name, columns in _span_tables(query.began_in or ()).items():
            cursor.register(name, columns)
            held.callback(cursor.unregister, name)
        rows = cursor.execute(sql, parameters).fetchall()
    if not rows and query.first:
        return StopPage([], read_stops(cursor, query.part(0, 1), table).total)
    return StopPage(stops_of(row[:-1] for row in rows), rows[0][-1] if rows else 0)


def _span_tables(began_in: Sequence[BeginSpans]) -> dict[str, pa.Table]:
    """The spans, and which machines each number of spans is about."""
    groups = [(machine, number) for number, item in enumerate(began_in) for machine in item.machines]
    lengths = [len(item.start_ns) for item in began_in]
    spans = {
        "number": [number for number, length in enumerate(lengths) for _ in range(length)],
        "start_ns": [t_ns for item in began_in for t_ns in item.start_ns.tolist()],
        "end_ns": [t_ns for item in began_in for t_ns in item.end_ns.tolist()],
    }
    return {
        "began_groups": pa.table(
            {
                "machine": pa.array([machine for machine, _ in groups], pa.string()),
                "number": pa.array([number for _, number in groups], pa.int64()),
            }
        ),
        "began_spans": pa.table({name: pa.array(values, pa.int64()) for name, values in spans.items()}),
    }


def stops_of(rows: Iterable[Sequence[Any]]) -> list[Stop]:
    """Rows of `COLUMNS` as stops."""
    return [
        Stop(machine, stop, begin, end, _STATES[state], reason, by, product, to_product, revision)
        for machine, stop, begin, end, state, reason, by, product, to_product, revision in rows
    ]


def revision_table(site: str, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """Revisions as a table that `choose_stops` reads. rows: of `COLUMNS`."""
    columns = zip(*rows, strict=True) if rows else [()] * (len(_TYPES) - 1)
    named = zip(_TYPES.names[1:], columns, strict=True)
    return pa.table({"site": [site] * len(rows)} | {name: list(values) for name, values in named}, schema=_TYPES)


def choose_stops(revisions: Sequence[pa.Table], query: StopQuery) -> StopPage:
    """The page that the query wants, of revisions from elsewhere: at least all that overlap the window and all others of
    the same stops.
    """
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("stops", pa.concat_tables(revisions))
        return read_stops(connection, query)
