"""Extremes of process values by bin, found by the server.

Where a bin has rows with and without a number, which of them came last is asked for: InfluxQL gives a bin's start for the
time of everything that it finds in it.
"""

import math
from typing import Final

from center.contract.store import BinsQuery, ValueBins
from center.stores.influxdb.codec import values
from center.stores.influxdb.database import InfluxDatabase

_AT_ONCE: Final = 500


def read_bins(database: InfluxDatabase, query: BinsQuery) -> dict[str, ValueBins]:
    """By the contract of `BinsValues`. Raises `StoreUnavailable`."""
    if not query.tags:
        return {}
    source = database.source(values.MEASUREMENT)
    found = values.bin_rows(database.ask([values.binned(source, query)]), query)
    mixed = [key for key, (_, _, _, lost, has_number) in found.items() if lost and has_number]
    for first in range(0, len(mixed), _AT_ONCE):
        part = mixed[first : first + _AT_ONCE]
        answers = database.ask([values.last_of(source, query, *key) for key in part])
        for key, answer in zip(part, answers, strict=True):
            for rows in values.values([answer]).values():
                found[key][2] = rows.number[-1]
    for gateway, rows in values.values(database.ask([values.before(source, query)])).items():
        for tag, number in zip(rows.tag.tolist(), rows.number.tolist(), strict=True):
            found[gateway, tag, -1] = [number, number, number, math.isnan(number), False]
    return values.bins_of(found)
