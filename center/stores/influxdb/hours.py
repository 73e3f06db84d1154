"""Sums of hours, kept beside the server: which hours may be read from there. Pure.

InfluxDB adds up some four million values a second, and a question costs rows times columns. There are sixty times
fewer hours than minutes, so the sums of an hour, once asked for, are kept in a file of the center's own.

Rows can come late, so each hour of a site has a point in `hours` (policy `books`): `touched`, a new random number
after any rows of that hour and before `write` returns. The file holds with an hour's sums the `touched` that was read
*before* the rows were. An hour is *clean* when that is still its number: no row came since. The order decides. Rows
that arrive while an hour is being added up bring a new number after them, so that the hour is not clean; rows whose
writer died before it wrote the number were never receipted and come again. Hours that are not clean are read row by
row: right in any case, only slower.

Where rows are not kept for ever, one job also writes the sums of each hour into the policy `books`, which is, and then
`rolled`: the number that it read before the rows. Hours whose rows the server has deleted are read from there. They
were closed a week before, so no number of theirs can change any more.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from center.contract.store import Query, RowBatch
from center.model.buckets import HOUR_NS
from center.stores.influxdb.parse import Answer, series
from center.stores.influxdb.text import tags

FACT_TAGS: Final = ("calendar", "day", "machine", "product", "shift")
LOSS_TAGS: Final = ("calendar", "day", "machine", "product", "reason", "shift", "state")
_MOST_HOURS: Final = 24


class Hour(NamedTuple):
    """An hour that has rows, its number, and the number under which its sums are kept on the server (0: none are)."""

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
    """Says that rows came. number: one that was never used for these hours."""
    return [f"{tags('hours', {'site': site})} touched={number}i {hour}" for site in hours for hour in hours[site]]


def rolled_lines(site: str, hours: Iterable[Hour]) -> list[str]:
    """Says that the sums of these hours are on the server."""
    return [f"{tags('hours', {'site': site})} rolled={hour.touched}i {hour.start_ns}" for hour in hours]


def hours_of(answer: Answer) -> list[Hour]:
    """The hours of an answer with the columns `touched` and `rolled`, ascending."""
    return sorted(
        Hour(int(time), int(number or 0), int(rolled or 0))
        for _, _, values in series(answer)
        for time, number, rolled in values
    )


def differing(there: Sequence[Hour], kept: Mapping[int, int], query: Query) -> list[Hour]:
    """The hours of the window whose kept sums are not those of the server. An hour that the server does not know, since
    it was restored or emptied, has the number 0.
    """
    out = [hour for hour in there if kept.get(hour.start_ns) != hour.touched]
    known = {hour.start_ns for hour in there}
    low = query.start_ns // HOUR_NS * HOUR_NS
    gone = [Hour(t, 0) for t, number in kept.items() if number and low <= t < query.end_ns and t not in known]
    return sorted([*out, *gone])


def runs(hours: Sequence[Hour]) -> list[list[Hour]]:
    """Neighbouring hours together, at most a day of them."""
    out: list[list[Hour]] = []
    for hour in hours:
        if out and hour.start_ns == out[-1][-1].start_ns + HOUR_NS and len(out[-1]) < _MOST_HOURS:
            out[-1].append(hour)
        else:
            out.append([hour])
    return out
