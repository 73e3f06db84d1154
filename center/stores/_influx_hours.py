"""Sums of hours, kept beside the server: which hours may be read from there. Pure.

InfluxDB adds up some four million values a second, and a question costs rows times columns. There are sixty times
fewer hours than minutes, so the sums of an hour, once asked for, are kept in a file of the center's own.

Rows can come late, so each hour of a site has a point in `hours` (policy `books`): `touched`, a new random number
after any rows of that hour and before `write` returns. The file holds with an hour's sums the `touched` that was read
*before* the rows were. An hour is *clean* when that is still its number: no row came since. The order decides. Rows
that arrive while an hour is being added up bring a new number after them, so that the hour is not clean; rows whose
writer died before it wrote the number were never receipted and come again. Hours that are not clean are read row by
row: right in any case, only slower.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from center.buckets import HOUR_NS
from center.stores._influx_answer import Answer, series
from center.stores._influx_text import tags
from center.stores.contract import Batch, Query

FACT_TAGS: Final = ("calendar", "day", "machine", "product", "shift")
LOSS_TAGS: Final = ("calendar", "day", "machine", "product", "reason", "shift", "state")
_MOST_HOURS: Final = 24
_MOST_PARTS: Final = 24
"""Beyond so many statements the hours between the first and the last that are not clean are read row by row."""


class Hour(NamedTuple):
    """An hour that has rows, and its number."""

    start_ns: int
    touched: int


def touched(batches: Iterable[Batch]) -> dict[str, set[int]]:
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


def hours_of(answer: Answer) -> list[Hour]:
    """The hours of an answer with the column `touched`, ascending."""
    return sorted(Hour(int(time), int(number)) for _, _, values in series(answer) for time, number in values)


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


def parts(low: int, high: int, unclean: Sequence[Hour]) -> list[tuple[int, int, bool]]:
    """The window as stretches `(from, until, from the file)`. Hours that are not whole are read row by row."""
    first, last = -(-low // HOUR_NS) * HOUR_NS, high // HOUR_NS * HOUR_NS
    if first >= last:
        return [(low, high, False)]
    holes = [(hour.start_ns, hour.start_ns + HOUR_NS) for hour in unclean if first <= hour.start_ns < last]
    if len(holes) > 1 and len(runs(unclean)) > _MOST_PARTS // 2:
        holes = [(holes[0][0], holes[-1][1])]
    edges = [(low, first), *holes, (last, high)]
    out: list[tuple[int, int, bool]] = []
    position = low
    for start, end in edges:
        if start > position:
            out.append((position, start, True))
        if end > start:
            if out and not out[-1][2] and out[-1][1] == start:
                out[-1] = (out[-1][0], end, False)
            else:
                out.append((start, end, False))
        position = max(position, end)
    return out
