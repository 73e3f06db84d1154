"""Hourly roll-ups: which hours may be read from them, and what keeps them true. Pure.

A question costs rows times columns, and there are sixty times fewer hours than minutes. So the sums of an hour are
kept as `facts_1h` and `losses_1h` (without the stream), made when they are first asked for and read from then on.

Rows can come late, so each hour of a site has a point in `hours` (policy `books`) with two numbers: `touched`, written
after any rows of that hour and before `write` returns, and `rolled`, the `touched` that a roll-up had seen before it
read the rows. An hour is *clean* when the two are equal: no row came since. The order decides. Rows that arrive
while an hour is rolled up bring a new `touched` after them, so that the hour is not clean; rows whose writer died
before it wrote `touched` were never receipted and come again. Hours that are not clean are read row by row: right in
any case, only slower.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from center.buckets import HOUR_NS
from center.stores._influx_answer import Answer, series
from center.stores._influx_text import tags, unpack
from center.stores.contract import Batch

FACT_TAGS: Final = ("calendar", "day", "machine", "product", "shift", "site")
LOSS_TAGS: Final = ("calendar", "day", "machine", "product", "reason", "shift", "site", "state")
_MOST_HOURS: Final = 24
_MOST_PARTS: Final = 24
"""Beyond so many statements the hours between the first and the last that are not clean are read row by row."""


class Hour(NamedTuple):
    """What is known of an hour that has rows. rolled: 0 for never."""

    start_ns: int
    touched: int
    rolled: int


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


def rolled_lines(site: str, hours: Iterable[Hour]) -> list[str]:
    """Says that these hours were rolled up as they were known."""
    start = tags("hours", {"site": site})
    return [f"{start} rolled={hour.touched}i {hour.start_ns}" for hour in hours]


def hours_of(answer: Answer) -> list[Hour]:
    """The hours of an answer with the columns `touched`, `rolled`, ascending."""
    return sorted(
        Hour(int(time), int(number), int(rolled or 0))
        for _, _, values in series(answer)
        for time, number, rolled in values
        if number is not None
    )


def stale(hours: Iterable[Hour]) -> list[Hour]:
    """Those that are not clean."""
    return [hour for hour in hours if hour.touched != hour.rolled]


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
    """The window as stretches `(from, until, rolled up)`. Hours that are not whole are read row by row."""
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


def roll_lines(answer: Answer, measurement: str, names: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Sums by hour and `names` as rows of the roll-up. A sum that became zero is written, one that never was is not."""
    out = []
    for _, found, values in series(answer):
        start = tags(measurement, {name: unpack(found.get(name, "")) for name in names})
        for time, *sums in values:
            fields = [f"{column}={value}i" for column, value in zip(columns, sums, strict=True) if value is not None]
            out.append(f"{start} {','.join(fields)} {time}")
    return out
