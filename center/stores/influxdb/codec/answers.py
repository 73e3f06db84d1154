"""InfluxDB's answers as facts, losses, stops and marks. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from center.contract.store import Query
from center.contract.streams import StreamKey
from center.model.buckets import BY_DATE, date_start_ns, first_date
from center.stores.influxdb.codec.escape import unpack
from center.stores.influxdb.codec.lines import DAY_NS, STOP_FIELDS
from oee.model.facts import FACT_COLUMNS, LOSS_COLUMNS, Facts, Int64, Losses, Stop, Table, join, select
from oee.model.states import CLASS_BY_WORD, STATE_BY_WORD, State
from wire.marks import NO_MARKS, Marks, decode_marks, union

Answer = Sequence[Mapping[str, Any]]
"""The results of the statements of one request, in order."""
_CODES: Final[dict[str, Mapping[str, Any]]] = {"calendar": CLASS_BY_WORD, "state": STATE_BY_WORD}
_MOST: Final = 2**63 - 1
_TEXT: Final = ("machine", "shift", "product", "reason")


class Sums(NamedTuple):
    """Sums by bucket and group. labels: of each row its group, in the order of `by`; times: the bucket's start or,
    for dates, its first date.
    """

    times: Int64
    labels: list[tuple[Any, ...]]
    sums: Int64


def series(answer: Answer) -> Iterator[tuple[int, Mapping[str, str], Sequence[Sequence[Any]]]]:
    """Index of the statement, tags and rows of each series found."""
    for number, result in enumerate(answer):
        for table in result.get("series", ()):
            yield number, table.get("tags", {}), table["values"]


def _value(name: str, text: str) -> Any:
    return _CODES[name][text] if name in _CODES else unpack(text)


def added(answer: Answer, query: Query, by: Sequence[str], not_before: Sequence[int], width: int) -> Sums:
    """The answer ordered, with rows of the same bucket and group summed. not_before: for each statement the earliest
    start of its first bucket.
    """
    number_by_label: dict[tuple[Any, ...], int] = {}
    times, where, sums = [], [], []
    for number, tags, values in series(answer):
        label = tuple(_value(name, tags.get(name, "")) for name in by)
        matrix = np.array([[_bounded(value) for value in row] for row in values], np.int64)
        starts = matrix[:, 0]
        if query.bucket == "all":
            starts = np.full(len(starts), query.start_ns, np.int64)
        elif query.bucket in BY_DATE:
            starts = first_date(query.bucket, starts // DAY_NS + int(tags["day"]))
        else:
            starts = np.maximum(starts, not_before[number])
        times.append(starts)
        where.append(np.full(len(starts), number_by_label.setdefault(label, len(number_by_label)), np.int64))
        sums.append(matrix[:, 1:])
    if not times:
        return Sums(np.zeros(0, np.int64), [], np.zeros((0, width), np.int64))
    return _in_order(np.concatenate(times), np.concatenate(where), np.concatenate(sums), list(number_by_label))


def _bounded(value: float | None) -> int:
    """A number that fits into int64, whatever the server made of rows that no machine made."""
    return 0 if value is None else int(min(max(value, -_MOST), _MOST))


def _in_order(times: Int64, where: Int64, sums: Int64, names: list[tuple[Any, ...]]) -> Sums:
    order, starts, total = _grouped(times, where, sums, names)
    first = order[starts]
    return Sums(times[first], [names[index] for index in where[first].tolist()], total)


def _grouped(times: Int64, where: Int64, sums: Int64, names: list[tuple[Any, ...]]) -> tuple[Int64, Int64, Int64]:
    """The order by time, then name; where in it each new pair starts; and the sums of each pair."""
    ranks = np.empty(len(names), np.int64)
    ranks[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    order = np.lexsort((ranks[where], times))
    times, where = times[order], where[order]
    first = np.ones(len(times), np.bool_)
    first[1:] = (times[1:] != times[:-1]) | (where[1:] != where[:-1])
    starts = np.flatnonzero(first)
    total: Int64 = np.add.reduceat(sums[order], starts, axis=0)
    return order, starts, total


def _keys(totals: Sums, query: Query, by: Sequence[str], names: Iterable[str]) -> dict[str, Any]:
    """Key columns of the answer; those that are not grouped by are '' or 0."""
    rows = len(totals.times)
    start_ns, dates = totals.times, np.zeros(rows, np.int32)
    if query.bucket in BY_DATE:
        zone = ZoneInfo(query.zone)
        numbers, where = np.unique(totals.times, return_inverse=True)
        starts = np.array([date_start_ns(zone, number) for number in numbers.tolist()], np.int64)
        start_ns, dates = starts[where] if rows else totals.times, totals.times.astype(np.int32)
    out: dict[str, Any] = {"minute_ns": start_ns, "business_date": dates, "n": np.zeros(rows, np.int64)}
    for name in names:
        values = [label[by.index(name)] for label in totals.labels] if name in by else None
        if name in _TEXT:
            column = np.full(rows, "", object)
            column[:] = "" if values is None else values
        else:
            column = np.array(values, np.uint8) if values is not None else np.zeros(rows, np.uint8)
        out[name] = column
    return out


def facts(answer: Answer, query: Query, by: Sequence[str], not_before: Sequence[int]) -> Facts:
    """Sums of facts."""
    totals = added(answer, query, by, not_before, len(FACT_COLUMNS))
    return Facts(**_keys(totals, query, by, ("machine", "calendar", "shift", "product")), sums=totals.sums)


def losses(answer: Answer, query: Query, by: Sequence[str], not_before: Sequence[int]) -> Losses:
    """Sums of losses."""
    totals = added(answer, query, by, not_before, len(LOSS_COLUMNS))
    names = ("machine", "calendar", "shift", "product", "state", "reason")
    return Losses(**_keys(totals, query, by, names), sums=totals.sums)


def rebased(table: Table, query: Query) -> Table:
    """A part of an answer, with bucket `all` starting where the query does."""
    if query.bucket != "all":
        return table
    return replace(table, minute_ns=np.full(len(table), query.start_ns, np.int64))


def merged(tables: Sequence[Table], by: Sequence[str]) -> Table:
    """The tables as one, ordered, with rows of the same bucket and group summed."""
    filled = [table for table in tables if len(table)] or tables[:1]
    if len(filled) == 1:
        return filled[0]
    joined = join(filled)
    names: dict[tuple[Any, ...], int] = {}
    columns = [getattr(joined, name).tolist() for name in by] or [[0] * len(joined)]
    where = np.array([names.setdefault(label, len(names)) for label in zip(*columns, strict=True)], np.int64)
    order, starts, total = _grouped(joined.minute_ns, where, joined.sums, list(names))
    return replace(select(joined, order[starts]), sums=total)


class StopRevision(NamedTuple):
    """A revision of a stop; its columns are those of `fact_tables.stops`."""

    machine: str
    id: str
    start_ns: int
    end_ns: int | None
    state: int
    reason: str
    by: str
    product: str
    to_product: str
    revision: int


def revisions(answer: Answer) -> list[StopRevision]:
    """All rows of stops; their machine is a tag of the series or, where rows are not grouped, their last column."""
    by, end_ns, name, product, reason, revision, state, to_product = range(1, len(STOP_FIELDS) + 1)
    return [
        StopRevision(
            unpack(tags["machine"] if "machine" in tags else row[-1] or ""),
            unpack(row[name] or ""),
            row[0],
            row[end_ns],
            int(STATE_BY_WORD[row[state]]),
            unpack(row[reason] or ""),
            unpack(row[by] or ""),
            unpack(row[product] or ""),
            unpack(row[to_product] or ""),
            row[revision],
        )
        for _, tags, values in series(answer)
        for row in values
    ]


def stops(answer: Answer) -> list[Stop]:
    """The same as stops."""
    return [Stop(**row._asdict() | {"state": State(row.state)}) for row in revisions(answer)]


def latest(rows: Iterable[StopRevision]) -> dict[tuple[str, str], StopRevision]:
    """The highest revision of each stop; of equal revisions the one that starts last."""
    best: dict[tuple[str, str], StopRevision] = {}
    for row in rows:
        previous = best.get((row.machine, row.id))
        if previous is None or (row.revision, row.start_ns) > (previous.revision, previous.start_ns):
            best[row.machine, row.id] = row
    return best


def marks(answer: Answer) -> dict[StreamKey, Marks]:
    """How far each stream is settled, as the store knows it; rows are `beyond`, `mark`, in a series for each writer."""
    out: dict[StreamKey, Marks] = {}
    for _, tags, values in series(answer):
        key = StreamKey(*(unpack(tags.get(name, "")) for name in ("site", "gateway", "stream")))
        _, beyond, mark = values[-1]
        out[key] = union(out.get(key, NO_MARKS), decode_marks(int(mark), unpack(beyond)))
    return out
