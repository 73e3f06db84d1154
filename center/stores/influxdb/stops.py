"""Stops of a window, including those that began before it."""

from collections.abc import Iterator, Sequence
from typing import Final

from center.contract.store import StopPage, StopQuery
from center.stores.fact_tables.stops import choose_stops, revision_table
from center.stores.influxdb.codec import answers, queries
from center.stores.influxdb.codec.answers import StopRevision
from center.stores.influxdb.database import InfluxDatabase

_FIRST_COUNT: Final = 32
_GROWTH: Final = 8
ROWS_AT_ONCE: Final = 4_000
"""Of one answer: while Python reads one of 25,000 rows, no other thread of the process goes on."""


def read_stops(database: InfluxDatabase, query: StopQuery) -> StopPage:
    """The page that the query wants. Raises `StoreUnavailable`.

    The server can tell neither which revision is the latest nor how long a stop was, so all rows of the window come here
    and DuckDB chooses among them, as it does in the embedded store.
    """
    before = _before(database, query.site, query.machines, query.start_ns)
    tables = [revision_table(query.site, rows) for rows in (before, *_inside(database, query))]
    return choose_stops(tables, query)


def _inside(database: InfluxDatabase, query: StopQuery) -> Iterator[list[StopRevision]]:
    """The revisions that begin within the window, some at a time; a few come twice."""
    source, low_ns, count = database.source("stops"), query.start_ns, ROWS_AT_ONCE
    while True:
        statement = queries.stops_from(source, query.site, query.machines, low_ns, query.end_ns, count)
        rows = answers.revisions(database.ask([statement]))
        yield rows
        if len(rows) < count:
            return
        last_ns = rows[-1].start_ns  # others of this start may be missing
        low_ns, count = (last_ns, ROWS_AT_ONCE) if last_ns > low_ns else (low_ns, count * _GROWTH)


def _before(database: InfluxDatabase, site: str, machines: Sequence[str], start_ns: int) -> list[StopRevision]:
    """Stops that may reach into a window from before it.

    Stops of a machine do not overlap, so the last one that begins before the window and was not deleted decides,
    together with its neighbours. Reads each machine's last rows, and more while none among them is such a stop.
    """
    out: list[StopRevision] = []
    wanted, count = machines, _FIRST_COUNT
    while True:
        statement = queries.stops_before(database.source("stops"), site, wanted, None, start_ns, count)
        by_machine: dict[str, list[StopRevision]] = {}
        for row in answers.revisions(database.ask([statement])):
            by_machine.setdefault(row.machine, []).append(row)
        undecided: list[str] = []
        for machine, rows in by_machine.items():
            is_complete = len(rows) < count
            # of rows that were cut off, those of the oldest start may lack revisions
            complete = rows if is_complete else [row for row in rows if row.start_ns > rows[-1].start_ns]
            has_lasting = any(row.end_ns != row.start_ns for row in answers.latest(complete).values())
            if not is_complete and not has_lasting:
                undecided.append(machine)
            out += complete
        if not undecided:
            return out
        wanted, count = undecided, count * _GROWTH
