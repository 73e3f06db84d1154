"""Sums of facts and losses by bucket and group, from tables of minutes, hours or days."""
# ruff: noqa: S608  # names in the statements are constants of this package; values are parameters

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from duckdb import DuckDBPyConnection

from center.contract.store import Query
from center.model.buckets import BY_DATE, date_start_ns, offsets
from center.stores.fact_tables.schema import bounded_sum
from oee.model.facts import FACT_COLUMNS, HOUR_NS, KEY_COLUMNS, LOSS_COLUMNS, LOSS_KEY_COLUMNS, Facts, Losses


class TableSlice(NamedTuple):
    """A part of a query's window and the table that answers it. level: suffix of the table's name, "" for minutes,
    `_hour` or `_day`.
    """

    level: str
    start_ns: int
    end_ns: int


_GROUPS: Final = {"machine", "shift", "product", "calendar", "state", "reason"}
_TEXT: Final = {"machine", "shift", "product", "reason"}


def _hour(query: Query) -> str:
    """Start of the local clock hour; where the zone's offset changes, a new bucket begins."""
    pieces = offsets(ZoneInfo(query.zone), query.start_ns, query.end_ns)
    floors = [f"minute_ns - (minute_ns + {ahead}) % {HOUR_NS}" for _, ahead in pieces]
    cases = [
        f"WHEN minute_ns < {pieces[i + 1][0]} THEN {_not_before(floors, pieces, i)}" for i in range(len(pieces) - 1)
    ]
    last = _not_before(floors, pieces, len(pieces) - 1)
    return f"CASE {' '.join(cases)} ELSE {last} END" if cases else last


def _not_before(floors: list[str], pieces: list[tuple[int, int]], index: int) -> str:
    return f"greatest({floors[index]}, {pieces[index][0]})" if index else floors[index]


def _bucket(query: Query) -> str:
    if query.bucket == "hour":
        return _hour(query)
    return {
        "all": str(query.start_ns),
        "minute": "minute_ns",
        "shift": "business_date",
        "day": "business_date",
        "week": "business_date - (business_date + 3) % 7",
        "month": "date_trunc('month', DATE '1970-01-01' + business_date)::DATE - DATE '1970-01-01'",
    }[query.bucket]


def _sum(
    cursor: DuckDBPyConnection, table: str, query: Query, sums: tuple[str, ...], slices: Sequence[TableSlice]
) -> dict[str, Any]:
    by = list(dict.fromkeys(("shift", *query.by) if query.bucket == "shift" else query.by))
    unknown = set(by) - _GROUPS
    if unknown:
        raise ValueError(f"by: {', '.join(sorted(unknown))}; there are {', '.join(sorted(_GROUPS))}")
    parameters: dict[str, Any] = {"site": query.site}
    machines = ""
    if query.machines:
        machines = " AND list_contains($machines, machine)"
        parameters["machines"] = list(query.machines)
    names = ", ".join(["minute_ns", "business_date", *by, *sums])
    rows = " UNION ALL ".join(
        f"SELECT {names} FROM {table}{item.level} WHERE site = $site "
        f"AND minute_ns >= {int(item.start_ns)} AND minute_ns < {int(item.end_ns)}{machines}"
        for item in slices or [TableSlice("", query.start_ns, query.end_ns)]
    )
    added = ", ".join(f"{bounded_sum(name)} AS {name}" for name in sums)
    grouped = ", ".join(["bucket", *by])
    return cursor.execute(
        f"SELECT ({_bucket(query)})::BIGINT AS bucket, {''.join(f'{name}, ' for name in by)}{added} FROM ({rows}) "  # names are checked above
        f"GROUP BY {grouped} ORDER BY {grouped}",
        parameters,
    ).fetchnumpy()


def _keys(query: Query, result: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Key columns of the answer; those that are not grouped by are '' or 0."""
    rows = len(result["bucket"])
    bucket = np.asarray(result["bucket"], np.int64)
    dated = query.bucket in BY_DATE
    if dated:
        zone = ZoneInfo(query.zone)
        numbers, where = np.unique(bucket, return_inverse=True)
        starts = np.array([date_start_ns(zone, number) for number in numbers.tolist()], np.int64)
        start_ns = starts[where] if rows else bucket
    else:
        start_ns = bucket
    out: dict[str, Any] = {
        "minute_ns": start_ns,
        "business_date": (bucket if dated else np.zeros(rows)).astype(np.int32),
        "n": np.zeros(rows, np.int64),
    }
    for name in set(names) - set(out):
        if name in _TEXT:
            column = np.full(rows, "", object)
            column[:] = result.get(name, "")
        else:
            column = np.asarray(result.get(name, np.zeros(rows)), np.uint8)
        out[name] = column
    return out


def _stacked(result: dict[str, Any], names: tuple[str, ...]) -> Any:
    return np.stack([np.asarray(result[name], np.int64) for name in names], axis=1)


def read_facts(cursor: DuckDBPyConnection, query: Query, slices: Sequence[TableSlice] = ()) -> Facts:
    """Sums of facts. slices: which table answers which part of the window; none: minute rows answer all of it."""
    result = _sum(cursor, "facts", query, FACT_COLUMNS, slices)
    return Facts(**_keys(query, result, KEY_COLUMNS), sums=_stacked(result, FACT_COLUMNS))


def read_losses(cursor: DuckDBPyConnection, query: Query, slices: Sequence[TableSlice] = ()) -> Losses:
    """The same for losses."""
    result = _sum(cursor, "losses", query, LOSS_COLUMNS, slices)
    return Losses(**_keys(query, result, LOSS_KEY_COLUMNS), sums=_stacked(result, LOSS_COLUMNS))
