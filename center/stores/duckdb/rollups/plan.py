"""Which tables answer which part of a query: the coarsest sums that are up to date.

A window that begins or ends inside an hour whose minute rows are deleted covers the hours that begin in it.
"""

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

from duckdb import DuckDBPyConnection

from center.contract.store import Query
from center.model.buckets import offsets
from center.stores.duckdb.rollups.tables import DAY_NS, minutes_from
from center.stores.fact_tables.sums import TableSlice
from center.stores.rollup_cover import CoveredSpan, cover
from oee.model.facts import HOUR_NS

_STALE: Final = {
    level: f"SELECT start_ns FROM {table} WHERE site = $site AND start_ns >= $low AND start_ns < $high"  # noqa: S608  # constants
    for level, table in (("_hour", "stale_hours"), ("_day", "stale_days"))
}


def plan(cursor: DuckDBPyConnection, query: Query) -> list[TableSlice]:
    """The slices that answer the query."""
    if query.bucket == "minute" or not _hours_fit(query):
        levels: tuple[str, ...] = ()
    else:
        levels = ("_hour",) if query.bucket == "hour" else ("_day", "_hour")
    parameters = {"site": query.site, "low": query.start_ns - DAY_NS, "high": query.end_ns}
    stale = {level: [start for (start,) in cursor.execute(_STALE[level], parameters).fetchall()] for level in levels}
    return slices(query, levels, stale.get("_hour", ()), stale.get("_day", ()), minutes_from(cursor))


def slices(
    query: Query, levels: Sequence[str], stale_hours: Sequence[int], stale_days: Sequence[int], minutes_from_ns: int
) -> list[TableSlice]:
    """The slices, from the stale bins and the time from which minute rows exist."""
    out = []
    days = {*stale_days, *(start // DAY_NS * DAY_NS for start in stale_hours)}
    by_day = cover(query.start_ns, query.end_ns, DAY_NS, days) if "_day" in levels else []
    for start, end, rolled_up in by_day or [CoveredSpan(query.start_ns, query.end_ns, rolled_up=False)]:
        if rolled_up:
            out.append(TableSlice("_day", start, end))
            continue
        if start < minutes_from_ns:
            out.append(TableSlice("_hour", start, min(end, minutes_from_ns)))
        if (low := max(start, minutes_from_ns)) >= end:
            continue
        by_hour = cover(low, end, HOUR_NS, stale_hours) if "_hour" in levels else []
        out += [
            TableSlice("_hour" if hourly else "", first, last)
            for first, last, hourly in by_hour or [CoveredSpan(low, end, rolled_up=False)]
        ]
    return out


def _hours_fit(query: Query) -> bool:
    """Whether local clock hours are hours of UTC; buckets by business date do not need that."""
    if query.bucket != "hour":
        return True
    pieces = offsets(ZoneInfo(query.zone), query.start_ns, query.end_ns)
    return all(ahead % HOUR_NS == 0 for _, ahead in pieces) and all(start % HOUR_NS == 0 for start, _ in pieces[1:])
