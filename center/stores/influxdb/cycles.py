"""Histograms of cycle times from InfluxDB."""

from collections.abc import Sequence

from center.stores.influxdb.codec import queries
from center.stores.influxdb.codec.cycles import added_up, cycle_rows
from center.stores.influxdb.database import InfluxDatabase
from oee.model.facts import CycleBins


def read_cycles(
    database: InfluxDatabase, site: str, start_ns: int, end_ns: int, machines: Sequence[str] = ()
) -> CycleBins:
    """By the contract of `KeepsCycles`."""
    found = database.ask([queries.cycles(database.source("cycles"), site, machines, start_ns, end_ns)])
    return added_up([cycles for _, cycles in cycle_rows(found)])
