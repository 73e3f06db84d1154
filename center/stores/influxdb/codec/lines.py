"""Rows as line protocol. Pure.

facts: tags site, stream, machine, calendar, day, shift, product; a field for each column that is not zero, int64.
losses: the same with state and reason. stops: tags site, machine, row; everything else is a field.
cycles: the tags of facts, at the hour + n ms; field bins: each bin and its cycles, `512=3,514=1`, since a histogram is one row and
no bin is asked for alone.
facts_hour, losses_hour (policy `books`): the same without stream; sums of an hour, at its start.
marks: tags site, gateway, stream, writer (of several processes); fields mark and beyond; always at time 0, so that a
new point replaces the old one.
series (policy `books`): tags site, gateway; the time is a digest of a series of rows, below `SERIES_ENDS_NS` so that all lie in one
shard; field seen: when the gateway brought it [ns UTC], 0 if it was there before anybody counted.

A row's time is its minute + n ms. `n` counts over all keys of machine and minute, so no two rows of a series share a
time, and the same row written again replaces itself.

`day` is the business date minus the UTC date of the minute: -1, 0 or 1. InfluxQL groups by tags and intervals, not by
fields. A date as tag would create a series for each day; this creates one or two for each shift, and sums by UTC day
and `day` are exactly the sums by business date, whatever the zone and the shifts.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from center.contract.store import MAX_ROWS_PER_MINUTE, RowBatch
from center.contract.streams import StreamKey
from center.stores.influxdb.codec.escape import field_text, tags
from oee.model.facts import (
    FACT_COLUMNS,
    LOSS_COLUMNS,
    MS_NS,
    AnyTable,
    CycleBins,
    Facts,
    Int64,
    Losses,
    Stop,
    Table,
    select,
)
from oee.model.states import CalendarClass, State
from wire.marks import Marks

DAY_NS: Final = 86_400_000_000_000
COMPLETE_NS: Final = -1
"""The time of the point that says that the list of a site's hours is complete: no hour begins there."""
SERIES_ENDS_NS: Final = 2**40
"""Eighteen minutes: two of a hundred thousand series share a digest in one site of two hundred, and the second is then free."""
STOP_FIELDS: Final = ("by", "end_ns", "id", "product", "reason", "revision", "state", "to_product")


class TooMany(ValueError):
    """A row number that would fall into the next minute."""


def batch_lines(batches: Iterable[RowBatch]) -> list[str]:
    """A line for each fact, loss, histogram and stop. Raises `TooMany`, or `UnicodeEncodeError` for half a character."""
    lines: list[str] = []
    for batch in batches:
        lines += _table_lines("facts", batch, batch.facts, FACT_COLUMNS)
        lines += _table_lines("losses", batch, batch.losses, LOSS_COLUMNS)
        lines += _cycle_lines(batch)
        lines += [_stop_line(batch.origin.site, stop) for stop in batch.stops]
    return lines


def hour_lines(batches: Iterable[RowBatch], rewritten: Collection[int]) -> list[str]:
    """Sums of hours. rewritten: hours whose sums were written before; for these, columns of zero are written too."""
    lines: list[str] = []
    for batch in batches:
        lines += _hour_lines("facts_hour", batch, batch.facts, FACT_COLUMNS, rewritten)
        lines += _hour_lines("losses_hour", batch, batch.losses, LOSS_COLUMNS, rewritten)
    return lines


def _hour_lines(
    measurement: str, batch: RowBatch, table: Table, columns: Sequence[str], rewritten: Collection[int]
) -> list[str]:
    is_rewritten: NDArray[np.bool_] = np.isin(table.minute_ns, list(rewritten))
    return [
        *_table_lines(measurement, batch, select(table, ~is_rewritten), columns),
        *_table_lines(measurement, batch, select(table, is_rewritten), columns, zeros=True),
    ]


def _table_lines(
    measurement: str, batch: RowBatch, table: AnyTable, columns: Sequence[str], *, zeros: bool = False
) -> list[str]:
    if not len(table):
        return []
    if int(table.n.max()) >= MAX_ROWS_PER_MINUTE:
        raise TooMany(f"{measurement} of stream {batch.origin.stream}: row {int(table.n.max())} of one machine-minute")
    keys = _keys(table)
    prefixes = {key: _prefix(measurement, batch.origin.site, batch.origin.stream, key) for key in set(keys)}
    times = (table.minute_ns + table.n * MS_NS).tolist()
    fields = _all_fields(table.sums, columns) if zeros else _fields(table.sums, columns)
    return [f"{prefixes[key]} {field} {time}" for key, field, time in zip(keys, fields, times, strict=True)]


def _cycle_lines(batch: RowBatch) -> list[str]:
    """Bins of one histogram follow each other, or not: a line is made of all that share key and time."""
    table = batch.cycles
    if not len(table):
        return []
    if int(table.n.max()) >= MAX_ROWS_PER_MINUTE:
        raise TooMany(f"cycles of stream {batch.origin.stream}: row {int(table.n.max())} of one machine-hour")
    found: dict[tuple[Any, ...], list[str]] = {}
    times = (table.minute_ns + table.n * MS_NS).tolist()
    for key, time, place, count in zip(_keys(table), times, table.bin.tolist(), table.cycles.tolist(), strict=True):
        found.setdefault((key, time), []).append(f"{place}={count}")
    site, stream = batch.origin.site, batch.origin.stream
    return [
        f"{_prefix('cycles', site, stream, key)} bins={field_text(','.join(bins))} {time}"
        for (key, time), bins in found.items()
    ]


def series_of(measurement: str, batch: RowBatch, table: Facts | Losses) -> Int64:
    """The series of each row, as a digest."""
    return _series(measurement, batch, table)


def cycle_series(batch: RowBatch) -> Int64:
    """The same for histograms."""
    return _series("cycles", batch, batch.cycles)


def _series(measurement: str, batch: RowBatch, table: AnyTable | CycleBins) -> Int64:
    keys = _keys(table)
    site, stream = batch.origin.site, batch.origin.stream
    found = {key: series_digest(_prefix(measurement, site, stream, key)) for key in set(keys)}
    return np.array([found[key] for key in keys], np.int64)


def stop_series(batch: RowBatch) -> Int64:
    """The same for stops."""
    return np.array([series_digest(_stop_prefix(batch.origin.site, stop)) for stop in batch.stops], np.int64)


@lru_cache(8192)
def series_digest(prefix: str) -> int:
    """A series, which begins its lines so, as a time of the measurement `series`; never 0."""
    whole = int.from_bytes(hashlib.blake2b(prefix.encode(), digest_size=8).digest())
    return 1 + whole % (SERIES_ENDS_NS - 1)


def series_lines(site: str, gateway: str, digests: Iterable[int], seen_ns: int) -> list[str]:
    """Lines that record who brought these series, and when."""
    start = tags("series", {"gateway": gateway, "site": site})
    return [f"{start} seen={seen_ns}i {digest}" for digest in digests]


def _keys(table: AnyTable | CycleBins) -> list[tuple[Any, ...]]:
    return list(zip(*_key_columns(table), strict=True))


def _key_columns(table: AnyTable | CycleBins) -> list[list[Any]]:
    day = table.business_date.astype(np.int64) - table.minute_ns // DAY_NS
    columns = [table.machine.tolist(), table.calendar.tolist(), day.tolist()]
    columns += [table.shift.tolist(), table.product.tolist()]
    if isinstance(table, Losses):
        columns += [table.state.tolist(), table.reason.tolist()]
    return columns


@lru_cache(8192)
def _prefix(measurement: str, site: str, stream: str, key: tuple[Any, ...]) -> str:
    machine, calendar, day, shift, product, *more = key
    return tags(
        measurement,
        {
            "calendar": CalendarClass(calendar).word,
            "day": str(day),
            "machine": machine,
            "product": product,
            "reason": more[1] if more else "",
            "shift": shift,
            "site": site,
            "state": State(more[0]).word if more else "",
            "stream": stream,
        },
    )


def _all_fields(sums: Int64, columns: Sequence[str]) -> list[str]:
    return [",".join(f"{name}={value}i" for name, value in zip(columns, row, strict=True)) for row in sums.tolist()]


def _fields(sums: Int64, columns: Sequence[str]) -> list[str]:
    """Columns that are not zero; a row of zeros gets its first column, since a line needs a field."""
    rows, places = np.nonzero(sums)
    values = sums[rows, places].tolist()
    written = [f"{columns[place]}={value}i" for place, value in zip(places.tolist(), values, strict=True)]
    bounds = np.searchsorted(rows, np.arange(len(sums) + 1)).tolist()
    zero_field = f"{columns[0]}=0i"
    return [",".join(written[bounds[row] : bounds[row + 1]]) or zero_field for row in range(len(sums))]


def _stop_line(site: str, stop: Stop) -> str:
    """Each revision is a point of its own: the tag `row` distinguishes revisions of the same start."""
    fields = {
        "by": field_text(stop.by),
        "end_ns": "" if stop.end_ns is None else f"{stop.end_ns}i",
        "id": field_text(stop.id),
        "product": field_text(stop.product),
        "reason": field_text(stop.reason),
        "revision": f"{stop.revision}i",
        "state": field_text(stop.state.word),
        "to_product": field_text(stop.to_product),
    }
    written = ",".join(f"{name}={value}" for name, value in fields.items() if value)
    return f"{_stop_prefix(site, stop)} {written} {stop.start_ns}"


def _stop_prefix(site: str, stop: Stop) -> str:
    plain = stop.id == str(stop.start_ns // MS_NS)
    row = str(stop.revision) if plain else f"{stop.revision}:{stop.id}"
    return tags("stops", {"machine": stop.machine, "row": row, "site": site})


def mark_lines(marks: Mapping[StreamKey, Marks], writer: str = "") -> list[str]:
    """A line for each stream; each writer has series of its own."""
    out = []
    for key, settled in marks.items():
        start = tags("marks", {"gateway": key.gateway, "site": key.site, "stream": key.stream, "writer": writer})
        beyond = field_text(json.dumps(settled.beyond, separators=(",", ":")))
        out.append(f"{start} beyond={beyond},mark={settled.mark}i 0")
    return out
