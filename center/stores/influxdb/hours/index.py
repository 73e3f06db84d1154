"""Which hours may be read from cached sums. Pure.

InfluxDB sums some four million values a second, and a query costs rows times columns. There are sixty times fewer hours
than minutes, so the sums of an hour, once needed, are cached in a file of the center.

Rows can be late, so each hour of a site has a point in `hours` (policy `books`) with a version `touched`: a new random
number, written after any rows of that hour and before `write` returns. The cache holds with an hour's sums the version
that was read *before* the rows were. An hour is *clean* while its version is unchanged: no row arrived since. The order
matters. Rows that arrive while an hour is added up are followed by a new version, so the hour is not clean; rows whose
writer died before it wrote the version were never receipted and will be sent again. Hours that are not clean are read
row by row: correct in any case, only slower.

Where rows are not kept for ever, one job also writes the sums of each hour into the policy `books`, which is kept, and
then `rolled`: the version that it read before the rows. Hours whose rows the server has deleted are read from there.
They were closed a week earlier, so their version cannot change any more.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from center.contract.store import Query, RowBatch
from center.stores.influxdb.codec.answers import Answer, series
from center.stores.influxdb.codec.escape import tags
from center.stores.influxdb.codec.lines import COMPLETE_NS
from oee.model.facts import HOUR_NS

FACT_TAGS: Final = ("calendar", "day", "machine", "product", "shift")
LOSS_TAGS: Final = ("calendar", "day", "machine", "product", "reason", "shift", "state")
_MOST_HOURS: Final = 24


class Hour(NamedTuple):
    """An hour that has rows, its version, and the version whose sums are on the server (0: none are)."""

    start_ns: int
    touched: int
    rolled: int = 0


def touched(batches: Iterable[RowBatch]) -> dict[str, set[int]]:
    """By site the hours that the rows belong to."""
    out: dict[str, set[int]] = {}
    for batch in batches:
        for table in (batch.facts, batch.losses):
            if len(table):
                hours = np.unique(table.minute_ns // HOUR_NS * HOUR_NS)
                out.setdefault(batch.origin.site, set()).update(hours.tolist())
    return out


def touch_lines(hours: Mapping[str, Iterable[int]], number: int) -> list[str]:
    """Lines that give these hours a new version. number: one that was never used for them."""
    return [f"{tags('hours', {'site': site})} touched={number}i {hour}" for site in hours for hour in hours[site]]


def rolled_lines(site: str, hours: Iterable[Hour]) -> list[str]:
    """Lines that record that the sums of these hours are on the server."""
    return [f"{tags('hours', {'site': site})} rolled={hour.touched}i {hour.start_ns}" for hour in hours]


def complete_line(site: str) -> str:
    """The line that records that every hour of the site with rows has a number."""
    return f"{tags('hours', {'site': site})} complete=1i {COMPLETE_NS}"


def hours_of(answer: Answer) -> list[Hour]:
    """The hours of an answer with the columns `touched` and `rolled`, ascending."""
    return sorted(
        Hour(int(time), int(number or 0), int(rolled or 0))
        for _, _, values in series(answer)
        for time, number, rolled in values
    )


def differing(on_server: Sequence[Hour], cached: Mapping[int, int], query: Query) -> list[Hour]:
    """The hours of the window whose cached sums are not of the server's version. An hour that the server does not know,
    since it was restored or emptied, has version 0.
    """
    out = [hour for hour in on_server if cached.get(hour.start_ns) != hour.touched]
    server_hours = {hour.start_ns for hour in on_server}
    low = query.start_ns // HOUR_NS * HOUR_NS
    missing = [
        Hour(t, 0) for t, number in cached.items() if number and low <= t < query.end_ns and t not in server_hours
    ]
    return sorted([*out, *missing])


def runs(hours: Sequence[Hour]) -> list[list[Hour]]:
    """Runs of neighbouring hours, each at most a day."""
    out: list[list[Hour]] = []
    for hour in hours:
        if out and hour.start_ns == out[-1][-1].start_ns + HOUR_NS and len(out[-1]) < _MOST_HOURS:
            out[-1].append(hour)
        else:
            out.append([hour])
    return out
