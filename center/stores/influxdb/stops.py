"""Stops of a window, including those that began before it."""

from collections.abc import Sequence
from typing import Final

from center.stores.influxdb.codec import answers, queries
from center.stores.influxdb.database import InfluxDatabase
from oee.model.facts import Stop

_FIRST_COUNT: Final = 32
_GROWTH: Final = 8


def read_stops(database: InfluxDatabase, site: str, machines: Sequence[str], start_ns: int, end_ns: int) -> list[Stop]:
    """The latest revisions that overlap the window. Raises `StoreUnavailable`."""
    inside = queries.stops_inside(database.source("stops"), site, machines, start_ns, end_ns)
    inside_stops = answers.stops(database.ask([inside]))
    return answers.overlapping([*inside_stops, *_before(database, site, machines, start_ns)], start_ns, end_ns)


def _before(database: InfluxDatabase, site: str, machines: Sequence[str], start_ns: int) -> list[Stop]:
    """Stops that may reach into a window from before it.

    Stops of a machine do not overlap, so the last one that begins before the window and was not deleted decides,
    together with its neighbours. Reads each machine's last rows, and more while none among them is such a stop.
    """
    out: list[Stop] = []
    wanted, count = machines, _FIRST_COUNT
    while True:
        statement = queries.stops_before(database.source("stops"), site, wanted, None, start_ns, count)
        by_machine: dict[str, list[Stop]] = {}
        for stop in answers.stops(database.ask([statement])):
            by_machine.setdefault(stop.machine, []).append(stop)
        undecided: list[str] = []
        for machine, stops in by_machine.items():
            is_complete = len(stops) < count
            # of rows that were cut off, those of the oldest start may lack revisions
            complete = stops if is_complete else [stop for stop in stops if stop.start_ns > stops[-1].start_ns]
            has_lasting = any(stop.end_ns != stop.start_ns for stop in answers.latest(complete).values())
            if not is_complete and not has_lasting:
                undecided.append(machine)
            out += complete
        if not undecided:
            return out
        wanted, count = undecided, count * _GROWTH
