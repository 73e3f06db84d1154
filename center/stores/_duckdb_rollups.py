"""Sums of hours and of days beside the embedded store's minute rows.

Bins are hours and days of UTC; business date and shift stay key columns, so that sums by shift, date, week and month
come from whole days of UTC exactly, whatever the zone. Both tables of a level are added up anew from the finer rows,
never changed by differences.

`stale_hours` names, by site, the hours that got rows since they were added up; it is written in the transaction that
brings the rows. `stale_days` names the days of which an hour was added up anew. Adding up a bin and taking it off the
list are one transaction too, and transactions that write take turns: a crash between any two steps costs time and
never a sum. A reader sees rows, sums and lists of one instant, and asks the finer rows for whatever is on a list.

Minute rows before `minutes_from` (meta) are gone, and their hours never become stale again: the store refuses rows
for them. A window that begins or ends inside such an hour holds the hours that begin in it.
"""
# ruff: noqa: S608  # names in the statements are constants of this package; values are parameters

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from duckdb import DuckDBPyConnection

from center.buckets import HOUR_NS, offsets
from center.stores._duckdb_schema import ROLLED
from center.stores._duckdb_write import text
from center.stores._stretches import Stretch, stretches
from center.stores.contract import Batch, Query

DAY_NS: Final = 24 * HOUR_NS
SETTLES_NS: Final = HOUR_NS
"""A bin is added up once it has been over for so long: until then rows come every minute."""
_AT_ONCE: Final = 6
"""Hours of one site in one step: some 70,000 rows of 200 machines, while which no facts are taken."""

Bin = tuple[str, int]
"""Site and start [ns UTC]."""


class Piece(NamedTuple):
    """A stretch of a question and the tables that answer it: `` for minutes, `_hour` or `_day`."""

    level: str
    start_ns: int
    end_ns: int


def hours_of(batches: Iterable[Batch]) -> set[Bin]:
    """The hours that the rows belong to."""
    return {
        (batch.origin.site, hour)
        for batch in batches
        for table in (batch.facts, batch.losses)
        if len(table)
        for hour in np.unique(table.minute_ns // HOUR_NS * HOUR_NS).tolist()
    }


def read_stale(cursor: DuckDBPyConnection) -> set[Bin]:
    """All hours that wait."""
    return {(site, start) for site, start in cursor.execute("SELECT site, start_ns FROM stale_hours").fetchall()}


def mark(cursor: DuckDBPyConnection, table: str, bins: Iterable[Bin]) -> None:
    """Puts bins on a list that they are not on yet."""
    rows = sorted(bins)
    if rows:
        columns = {"site": text([site for site, _ in rows]), "start_ns": np.array([start for _, start in rows])}
        cursor.register("marked", columns)
        try:
            cursor.execute(f"INSERT INTO {table} SELECT site, start_ns FROM marked")
        finally:
            cursor.unregister("marked")


def add_up_hours(cursor: DuckDBPyConnection, stale: set[Bin], now_ns: int) -> set[Bin]:
    """Adds up some of the stale hours that are over; returns those. Within the caller's transaction."""
    over_ns = now_ns - HOUR_NS - SETTLES_NS
    ready = sorted(item for item in stale if item[1] < over_ns)
    if not ready:
        return set()
    site, first = ready[0]
    starts = [start for where, start in ready if where == site and start < first + _AT_ONCE * HOUR_NS]
    _add_up(cursor, "_hour", "", HOUR_NS, site, starts)
    cursor.execute("DELETE FROM stale_hours WHERE site = ? AND list_contains(?, start_ns)", [site, starts])
    waiting = {
        start for (start,) in cursor.execute("SELECT start_ns FROM stale_days WHERE site = ?", [site]).fetchall()
    }
    mark(
        cursor,
        "stale_days",
        {(site, start // DAY_NS * DAY_NS) for start in starts if start // DAY_NS * DAY_NS not in waiting},
    )
    return {(site, start) for start in starts}


def add_up_day(cursor: DuckDBPyConnection, stale: set[Bin], now_ns: int) -> bool:
    """Adds up one day that is over and all of whose hours are added up; whether there was one."""
    busy = {(site, start // DAY_NS * DAY_NS) for site, start in stale}
    days = cursor.execute(
        "SELECT site, start_ns FROM stale_days WHERE start_ns < ? ORDER BY ALL", [now_ns - DAY_NS - SETTLES_NS]
    ).fetchall()
    for site, start in days:
        if (site, start) not in busy:
            _add_up(cursor, "_day", "_hour", DAY_NS, site, [start])
            cursor.execute("DELETE FROM stale_days WHERE site = ? AND start_ns = ?", [site, start])
            return True
    return False


def _add_up(cursor: DuckDBPyConnection, level: str, finer: str, step_ns: int, site: str, starts: Sequence[int]) -> None:
    parameters = {"site": site, "starts": list(starts), "low": min(starts), "high": max(starts) + step_ns}
    where = "site = $site AND minute_ns >= $low AND minute_ns < $high"
    start = f"minute_ns - minute_ns % {step_ns}"
    for table, (keys, sums) in ROLLED.items():
        cursor.execute(f"DELETE FROM {table}{level} WHERE {where} AND list_contains($starts, {start})", parameters)
        others = [name for name in keys if name != "minute_ns"]
        added = ", ".join(f"sum({name})::BIGINT" for name in sums)
        cursor.execute(
            f"INSERT INTO {table}{level} (site, minute_ns, {', '.join([*others, *sums])}) "
            f"SELECT site, {start} AS bin, {', '.join(others)}, {added} FROM {table}{finer} "
            f"WHERE {where} AND list_contains($starts, {start}) GROUP BY site, bin, {', '.join(others)}",
            parameters,
        )


def minutes_from(cursor: DuckDBPyConnection) -> int:
    """Minute rows before this are gone, 0 if all are there [ns UTC]."""
    rows = cursor.execute("SELECT value FROM meta WHERE key = 'minutes_from'").fetchall()
    return int(rows[0][0]) if rows else 0


def forget_minutes(cursor: DuckDBPyConnection, until_ns: int) -> int:
    """Deletes one day's minute rows of all sites, or none at or after `until_ns`; returns where minutes begin now.

    Their hours are added up: the caller has seen that none before `until_ns` is stale.
    """
    gone = minutes_from(cursor)
    first = cursor.execute(
        "SELECT min(t) FROM (SELECT min(minute_ns) AS t FROM facts UNION ALL SELECT min(minute_ns) FROM losses)"
    ).fetchall()[0][0]
    until_ns = until_ns // DAY_NS * DAY_NS
    if first is None or first >= until_ns:
        return gone
    edge: int = min(first // DAY_NS * DAY_NS + DAY_NS, until_ns)
    for table in (*ROLLED, "overfull"):
        cursor.execute(f"DELETE FROM {table} WHERE minute_ns < ?", [edge])
    cursor.execute("DELETE FROM meta WHERE key = 'minutes_from'")
    cursor.execute("INSERT INTO meta VALUES ('minutes_from', ?)", [str(edge)])
    return edge


def plan(cursor: DuckDBPyConnection, query: Query) -> list[Piece]:
    """The pieces that answer a question, each by the coarsest sums that may."""
    if query.bucket == "minute" or not _hours_fit(query):
        levels: tuple[str, ...] = ()
    else:
        levels = ("_hour",) if query.bucket == "hour" else ("_day", "_hour")
    known = {"site": query.site, "low": query.start_ns - DAY_NS, "high": query.end_ns}
    stale = {level: [start for (start,) in cursor.execute(f"{_STALE[level]}", known).fetchall()] for level in levels}
    return pieces(query, levels, stale.get("_hour", ()), stale.get("_day", ()), minutes_from(cursor))


_STALE: Final = {
    level: f"SELECT start_ns FROM {table} WHERE site = $site AND start_ns >= $low AND start_ns < $high"
    for level, table in (("_hour", "stale_hours"), ("_day", "stale_days"))
}


def pieces(
    query: Query, levels: Sequence[str], stale_hours: Sequence[int], stale_days: Sequence[int], gone_ns: int
) -> list[Piece]:
    """The same, told what is stale and from when on there are minutes. Pure."""
    out = []
    days = {*stale_days, *(start // DAY_NS * DAY_NS for start in stale_hours)}
    whole_days = stretches(query.start_ns, query.end_ns, DAY_NS, days) if "_day" in levels else []
    for start, end, whole in whole_days or [Stretch(query.start_ns, query.end_ns, whole=False)]:
        if whole:
            out.append(Piece("_day", start, end))
            continue
        if start < gone_ns:
            out.append(Piece("_hour", start, min(end, gone_ns)))
        if (low := max(start, gone_ns)) >= end:
            continue
        hours = stretches(low, end, HOUR_NS, stale_hours) if "_hour" in levels else []
        out += [
            Piece("_hour" if clean else "", first, last)
            for first, last, clean in hours or [Stretch(low, end, whole=False)]
        ]
    return out


def _hours_fit(query: Query) -> bool:
    """Whether the wall's hours are UTC's; business dates need no such thing."""
    if query.bucket != "hour":
        return True
    found = offsets(ZoneInfo(query.zone), query.start_ns, query.end_ns)
    return all(ahead % HOUR_NS == 0 for _, ahead in found) and all(start % HOUR_NS == 0 for start, _ in found[1:])
