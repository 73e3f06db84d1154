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

import heapq
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from duckdb import DuckDBPyConnection

from center.contract.store import Query, RowBatch
from center.model.buckets import HOUR_NS, offsets
from center.stores.duckdb.schema import ROLLED
from center.stores.duckdb.write import text
from center.stores.rollup_cover import CoveredSpan, cover

DAY_NS: Final = 24 * HOUR_NS
SETTLES_NS: Final = HOUR_NS
"""A bin is added up once it has been over for so long: until then rows come every minute."""
Bin = tuple[str, int]
"""Site and start [ns UTC]."""


class Piece(NamedTuple):
    """A stretch of a question and the tables that answer it: `` for minutes, `_hour` or `_day`."""

    level: str
    start_ns: int
    end_ns: int


def hours_of(batches: Iterable[RowBatch]) -> set[Bin]:
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
        with _given(cursor, rows):
            cursor.execute(f"INSERT INTO {table} SELECT site, start_ns FROM bins")


@contextmanager
def _given(cursor: DuckDBPyConnection, rows: Sequence[Bin]) -> Iterator[None]:
    """The bins as a table `bins`."""
    starts = np.array([start for _, start in rows], np.int64)
    cursor.register("bins", {"site": text([site for site, _ in rows]), "start_ns": starts})
    try:
        yield
    finally:
        cursor.unregister("bins")


def add_up_hours(cursor: DuckDBPyConnection, stale: set[Bin], now_ns: int, most: int) -> set[Bin]:
    """Adds up the oldest stale hours that are over, at most so many; returns those. Within the caller's transaction."""
    over_ns = now_ns - HOUR_NS - SETTLES_NS
    ready = heapq.nsmallest(most, (item for item in stale if item[1] < over_ns), key=_by_time)
    if not ready:
        return set()
    _add_up(cursor, "_hour", "", HOUR_NS, ready)
    _take_off(cursor, "stale_hours", ready)
    days = {(site, start // DAY_NS * DAY_NS) for site, start in ready}
    waiting = cursor.execute("SELECT site, start_ns FROM stale_days").fetchall()
    mark(cursor, "stale_days", days.difference(waiting))
    return set(ready)


def add_up_days(cursor: DuckDBPyConnection, stale: set[Bin], now_ns: int, most: int) -> bool:
    """Adds up days that are over and all of whose hours are added up; whether there were any."""
    busy = {(site, start // DAY_NS * DAY_NS) for site, start in stale}
    over_ns = now_ns - DAY_NS - SETTLES_NS
    days = cursor.execute("SELECT site, start_ns FROM stale_days WHERE start_ns < ?", [over_ns]).fetchall()
    ready = sorted({*days} - busy, key=_by_time)[:most]
    if ready:
        _add_up(cursor, "_day", "_hour", DAY_NS, ready)
        _take_off(cursor, "stale_days", ready)
    return bool(ready)


def _by_time(item: Bin) -> tuple[int, str]:
    """Neighbours in time are neighbours in the file, whatever their sites."""
    return item[1], item[0]


def _take_off(cursor: DuckDBPyConnection, table: str, bins: Sequence[Bin]) -> None:
    with _given(cursor, bins):
        cursor.execute(
            f"DELETE FROM {table} USING bins WHERE {table}.site = bins.site AND {table}.start_ns = bins.start_ns"
        )


def _add_up(cursor: DuckDBPyConnection, level: str, finer: str, step_ns: int, bins: Sequence[Bin]) -> None:
    low, high = bins[0][1], bins[-1][1] + step_ns
    with _given(cursor, bins):
        for table, (keys, sums) in ROLLED.items():
            cursor.execute(
                f"DELETE FROM {table}{level} t USING bins WHERE t.site = bins.site AND t.minute_ns = bins.start_ns "
                f"AND t.minute_ns >= {low} AND t.minute_ns < {high}"
            )
            others = ", ".join(name for name in keys if name != "minute_ns")
            added = ", ".join(f"sum({name})::BIGINT" for name in sums)
            cursor.execute(
                f"INSERT INTO {table}{level} (site, minute_ns, {others}, {', '.join(sums)}) "
                f"SELECT site, start_ns, {others}, {added} FROM "
                f"(SELECT *, minute_ns - minute_ns % {step_ns} AS start_ns FROM {table}{finer} "
                f"WHERE minute_ns >= {low} AND minute_ns < {high}) SEMI JOIN bins USING (site, start_ns) "
                f"GROUP BY site, start_ns, {others}"
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
    whole_days = cover(query.start_ns, query.end_ns, DAY_NS, days) if "_day" in levels else []
    for start, end, whole in whole_days or [CoveredSpan(query.start_ns, query.end_ns, whole=False)]:
        if whole:
            out.append(Piece("_day", start, end))
            continue
        if start < gone_ns:
            out.append(Piece("_hour", start, min(end, gone_ns)))
        if (low := max(start, gone_ns)) >= end:
            continue
        hours = cover(low, end, HOUR_NS, stale_hours) if "_hour" in levels else []
        out += [
            Piece("_hour" if clean else "", first, last)
            for first, last, clean in hours or [CoveredSpan(low, end, whole=False)]
        ]
    return out


def _hours_fit(query: Query) -> bool:
    """Whether the wall's hours are UTC's; business dates need no such thing."""
    if query.bucket != "hour":
        return True
    found = offsets(ZoneInfo(query.zone), query.start_ns, query.end_ns)
    return all(ahead % HOUR_NS == 0 for _, ahead in found) and all(start % HOUR_NS == 0 for start, _ in found[1:])
