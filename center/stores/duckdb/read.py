"""Questions to the embedded store: sums by bucket and group. A ratio is none of its business."""
# ruff: noqa: S608  # names in the statements are constants of this package; values are parameters

from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from duckdb import DuckDBPyConnection

from center.contract.store import Query
from center.model.buckets import BY_DATE, HOUR_NS, date_start_ns, offsets
from center.stores.duckdb.rollups import Piece
from oee.model.facts import FACT_COLUMNS, KEY_COLUMNS, LOSS_COLUMNS, LOSS_KEY_COLUMNS, Facts, Losses, Stop
from oee.model.states import State

_GROUPS: Final = {"machine", "shift", "product", "calendar", "state", "reason"}
_TEXT: Final = {"machine", "shift", "product", "reason"}


def _hour(query: Query) -> str:
    """Local clock hours: the offset in force decides, and a change of the offset starts a bucket."""
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
    cursor: DuckDBPyConnection, table: str, query: Query, sums: tuple[str, ...], pieces: Sequence[Piece]
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
        f"SELECT {names} FROM {table}{piece.level} WHERE site = $site "
        f"AND minute_ns >= {int(piece.start_ns)} AND minute_ns < {int(piece.end_ns)}{machines}"
        for piece in pieces or [Piece("", query.start_ns, query.end_ns)]
    )
    added = ", ".join(f"sum({name})::BIGINT AS {name}" for name in sums)
    grouped = ", ".join(["bucket", *by])
    return cursor.execute(
        f"SELECT ({_bucket(query)})::BIGINT AS bucket, {''.join(f'{name}, ' for name in by)}{added} FROM ({rows}) "  # names are checked above
        f"GROUP BY {grouped} ORDER BY {grouped}",
        parameters,
    ).fetchnumpy()


def _keys(query: Query, found: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Key columns of the answer; what is not kept apart is '' or 0."""
    rows = len(found["bucket"])
    bucket = np.asarray(found["bucket"], np.int64)
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
            column[:] = found.get(name, "")
        else:
            column = np.asarray(found.get(name, np.zeros(rows)), np.uint8)
        out[name] = column
    return out


def _stacked(found: dict[str, Any], names: tuple[str, ...]) -> Any:
    return np.stack([np.asarray(found[name], np.int64) for name in names], axis=1)


def read_facts(cursor: DuckDBPyConnection, query: Query, pieces: Sequence[Piece] = ()) -> Facts:
    """Sums of facts. pieces: which tables answer which stretch; none of them: the minutes answer all."""
    found = _sum(cursor, "facts", query, FACT_COLUMNS, pieces)
    return Facts(**_keys(query, found, KEY_COLUMNS), sums=_stacked(found, FACT_COLUMNS))


def read_losses(cursor: DuckDBPyConnection, query: Query, pieces: Sequence[Piece] = ()) -> Losses:
    """The same for losses."""
    found = _sum(cursor, "losses", query, LOSS_COLUMNS, pieces)
    return Losses(**_keys(query, found, LOSS_KEY_COLUMNS), sums=_stacked(found, LOSS_COLUMNS))


_LATEST_STOPS: Final = """
WITH latest AS (
  SELECT * FROM stops WHERE site = $site {machines}
  QUALIFY row_number() OVER (PARTITION BY machine, id ORDER BY revision DESC, start_ns DESC) = 1)
SELECT machine, id, start_ns, end_ns, state, reason, said_by, product, to_product, revision FROM latest
WHERE start_ns < $end AND (end_ns IS NULL OR (end_ns > $start AND end_ns > start_ns))
ORDER BY machine, start_ns, id
"""


def read_stops(
    cursor: DuckDBPyConnection, site: str, machines: Sequence[str], start_ns: int, end_ns: int
) -> list[Stop]:
    """The latest revisions that overlap the window."""
    parameters: dict[str, Any] = {"site": site, "start": start_ns, "end": end_ns}
    if machines:
        parameters["machines"] = list(machines)
    sql = _LATEST_STOPS.format(machines="AND list_contains($machines, machine)" if machines else "")
    rows = cursor.execute(sql, parameters).fetchall()
    return [
        Stop(machine, stop, begin, end, State(state), reason, by, product, to_product, revision)
        for machine, stop, begin, end, state, reason, by, product, to_product, revision in rows
    ]
