"""Tables of hourly and daily sums beside the minute rows.

Bins are hours and days of UTC; business date and shift stay key columns, so that sums by shift, date, week and month
come from whole days of UTC exactly, whatever the zone. A bin is always recomputed from the finer rows, never changed by
differences.

`stale_hours` lists, by site, the hours that got rows since they were added up; it is written in the transaction that
writes the rows. `stale_days` lists the days of which an hour was recomputed. Adding up a bin and taking it off the list
are one transaction too, and write transactions are serialised: a crash between any two steps costs time, never a sum.
A reader sees rows, sums and lists of one instant, and reads the finer rows for whatever is on a list.

Minute rows before `minutes_from` (meta) are deleted, and their hours never become stale again: the store refuses rows
for them.
"""
# ruff: noqa: S608  # names in the statements are constants of this package; values are parameters

import heapq
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
from duckdb import DuckDBPyConnection

from center.contract.store import RowBatch
from center.stores.fact_tables.columns import object_column
from center.stores.fact_tables.schema import SUMMED, bounded_sum
from oee.model.facts import HOUR_NS

DAY_NS: Final = 24 * HOUR_NS
SETTLES_NS: Final = HOUR_NS
"""A bin is added up this long after its end: until then rows arrive every minute."""
Bin = tuple[str, int]
"""Site and start [ns UTC]."""


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
    """All stale hours."""
    return {(site, start) for site, start in cursor.execute("SELECT site, start_ns FROM stale_hours").fetchall()}


def hours_between(cursor: DuckDBPyConnection, site: str, low: int, high: int) -> set[Bin]:
    """The hours of a window that have rows or sums."""
    parts = [
        f"SELECT minute_ns - minute_ns % {HOUR_NS} FROM {table}{level} "
        "WHERE site = $site AND minute_ns >= $low AND minute_ns < $high"
        for table in SUMMED
        for level in ("", "_hour")
    ]
    found = cursor.execute(" UNION ".join(parts), {"site": site, "low": low, "high": high}).fetchall()
    return {(site, start) for (start,) in found}


def mark(cursor: DuckDBPyConnection, table: str, bins: Iterable[Bin]) -> None:
    """Adds bins to a list that does not hold them yet."""
    rows = sorted(bins)
    if rows:
        with _bins_table(cursor, rows):
            cursor.execute(f"INSERT INTO {table} SELECT site, start_ns FROM bins")


@contextmanager
def _bins_table(cursor: DuckDBPyConnection, rows: Sequence[Bin]) -> Iterator[None]:
    """The bins as a table `bins` for the length of the block."""
    starts = np.array([start for _, start in rows], np.int64)
    cursor.register("bins", {"site": object_column([site for site, _ in rows]), "start_ns": starts})
    yield
    cursor.unregister("bins")  # not after an error: it would raise another one that hides the first


def ready_hours(stale: Iterable[Bin], now_ns: int, most: int) -> list[Bin]:
    """The oldest of these hours that have ended, at most `most`."""
    over_ns = now_ns - HOUR_NS - SETTLES_NS
    return heapq.nsmallest(most, (item for item in stale if item[1] < over_ns), key=_by_time)


def add_up_hours(cursor: DuckDBPyConnection, ready: Sequence[Bin], *, bounded: bool = False) -> None:
    """Adds up these hours, in order of time, and takes them off the list. Within the caller's transaction. bounded: sums
    that no column holds are written as `MOST_SUM`, instead of raising `duckdb.DataError`.
    """
    _add_up(cursor, "_hour", "", HOUR_NS, ready, bounded=bounded)
    _remove(cursor, "stale_hours", ready)
    days = {(site, start // DAY_NS * DAY_NS) for site, start in ready}
    waiting = cursor.execute("SELECT site, start_ns FROM stale_days").fetchall()
    mark(cursor, "stale_days", days.difference(waiting))


def ready_days(cursor: DuckDBPyConnection, stale: Iterable[Bin], now_ns: int, most: int) -> list[Bin]:
    """The oldest stale days that have ended and whose hours are all added up, at most `most`. stale: hours."""
    busy = {(site, start // DAY_NS * DAY_NS) for site, start in stale}
    over_ns = now_ns - DAY_NS - SETTLES_NS
    days = cursor.execute("SELECT site, start_ns FROM stale_days WHERE start_ns < ?", [over_ns]).fetchall()
    return sorted({*days} - busy, key=_by_time)[:most]


def add_up_days(cursor: DuckDBPyConnection, ready: Sequence[Bin]) -> None:
    """Adds up these days as `add_up_hours` does hours."""
    _add_up(cursor, "_day", "_hour", DAY_NS, ready)
    _remove(cursor, "stale_days", ready)


def _by_time(item: Bin) -> tuple[int, str]:
    """Bins close in time lie close in the file, whatever their sites."""
    return item[1], item[0]


def _remove(cursor: DuckDBPyConnection, table: str, bins: Sequence[Bin]) -> None:
    with _bins_table(cursor, bins):
        cursor.execute(
            f"DELETE FROM {table} USING bins WHERE {table}.site = bins.site AND {table}.start_ns = bins.start_ns"
        )


def _add_up(
    cursor: DuckDBPyConnection, level: str, finer: str, step_ns: int, bins: Sequence[Bin], *, bounded: bool = False
) -> None:
    low, high = bins[0][1], bins[-1][1] + step_ns
    with _bins_table(cursor, bins):
        for table, (keys, sums) in SUMMED.items():
            cursor.execute(
                f"DELETE FROM {table}{level} t USING bins WHERE t.site = bins.site AND t.minute_ns = bins.start_ns "
                f"AND t.minute_ns >= {low} AND t.minute_ns < {high}"
            )
            others = ", ".join(name for name in keys if name != "minute_ns")
            added = ", ".join(bounded_sum(name) if bounded else f"sum({name})::BIGINT" for name in sums)
            cursor.execute(
                f"INSERT INTO {table}{level} (site, minute_ns, {others}, {', '.join(sums)}) "
                f"SELECT site, start_ns, {others}, {added} FROM "
                f"(SELECT *, minute_ns - minute_ns % {step_ns} AS start_ns FROM {table}{finer} "
                f"WHERE minute_ns >= {low} AND minute_ns < {high}) SEMI JOIN bins USING (site, start_ns) "
                f"GROUP BY site, start_ns, {others}"
            )


def minutes_from(cursor: DuckDBPyConnection) -> int:
    """Minute rows before this are deleted, 0 if none are [ns UTC]."""
    rows = cursor.execute("SELECT value FROM meta WHERE key = 'minutes_from'").fetchall()
    return int(rows[0][0]) if rows else 0


def delete_minutes(cursor: DuckDBPyConnection, until_ns: int) -> int:
    """Deletes the oldest day of minute rows of all sites, but none at or after `until_ns`; returns from when on there
    are minute rows now.

    Precondition: no hour before `until_ns` is stale.
    """
    before = minutes_from(cursor)
    first = cursor.execute(
        "SELECT min(t) FROM (SELECT min(minute_ns) AS t FROM facts UNION ALL SELECT min(minute_ns) FROM losses)"
    ).fetchall()[0][0]
    until_ns = until_ns // DAY_NS * DAY_NS
    if first is None or first >= until_ns:
        return before
    edge: int = min(first // DAY_NS * DAY_NS + DAY_NS, until_ns)
    for table in (*SUMMED, "overfull", "cycles"):
        cursor.execute(f"DELETE FROM {table} WHERE minute_ns < ?", [edge])
    cursor.execute("DELETE FROM meta WHERE key = 'minutes_from'")
    cursor.execute("INSERT INTO meta VALUES ('minutes_from', ?)", [str(edge)])
    return edge
