"""Deltas: what is sent is what is known now less what was sent before. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from oee.engine.state import Baseline, TableBaseline
from oee.engine.stops import Stops, join_stops, select_stops, stops_of
from oee.model.facts import (
    MINUTE_NS,
    MS_NS,
    AnyTable,
    CycleTimes,
    Facts,
    Int64,
    Losses,
    RowKey,
    Stop,
    Table,
    add_rows,
    join,
    make_table,
    row_keys,
    select,
)

Sums = tuple[Facts, Losses, CycleTimes]


def deltas(
    baseline: Baseline,
    settled: Sums,
    provisional: Sums,
    stops: Stops,
    settled_ns: int,
    before_ns: int,
    since_ns: int,
) -> tuple[Baseline, Sums, Stops]:
    """The baseline of the next delta, and what to send now.

    settled, provisional: sums before and after `settled_ns`, since the last settled time `since_ns`.
    stops: all stops since then; before_ns: only minutes that start earlier are sent, and only hours that end by then.
    """
    facts, after_facts = _delta(baseline.facts, settled[0], provisional[0], settled_ns, before_ns)
    losses, after_losses = _delta(baseline.losses, settled[1], provisional[1], settled_ns, before_ns)
    cycles, after_cycles = _delta(baseline.cycles, settled[2], provisional[2], settled_ns, before_ns)
    changed, unsettled = _changed_stops(baseline.stops, stops, since_ns, settled_ns)
    return Baseline(after_facts, after_losses, unsettled, after_cycles), (facts, losses, cycles), changed


def due_before(kind: type[AnyTable], before_ns: int) -> int:
    """Rows of this table are due that start before this time, if minutes are that start before `before_ns`."""
    return before_ns if kind.WIDTH_NS == MINUTE_NS else before_ns // kind.WIDTH_NS * kind.WIDTH_NS


def _delta(
    baseline: TableBaseline, settled: Table, provisional: Table, settled_ns: int, before_ns: int
) -> tuple[Table, TableBaseline]:
    """New - sent for every key that is due, zero differences left out."""
    kind = type(settled)
    minute_ns, before_ns = settled_ns - settled_ns % kind.WIDTH_NS, due_before(kind, before_ns)
    if not (baseline.sums or baseline.part or len(settled) or len(provisional)):
        counts = {minute: n for minute, n in baseline.row_counts.items() if minute >= minute_ns}
        return settled, replace(baseline, row_counts=counts)
    final, other_rows = _final_rows(baseline, settled, provisional, minute_ns, before_ns)
    settled_rows = list(zip(row_keys(other_rows), other_rows.sums, strict=True))
    due: dict[RowKey, Int64] = {}
    add_rows(due, settled_rows)
    add_rows(due, zip(row_keys(provisional), provisional.sums, strict=True))
    add_rows(due, baseline.sums.items(), -1)
    due = {key: row for key, row in due.items() if key[1] < before_ns and row.any()}
    keys = sorted(due)
    numbers, row_counts = number_rows(keys, baseline.row_counts)
    unsettled = dict(baseline.sums)
    add_rows(unsettled, due.items())
    add_rows(unsettled, settled_rows, -1)
    part = {key: row for key, row in baseline.part.items() if key[1] >= minute_ns}
    add_rows(part, ((key, row) for key, row in settled_rows if key[1] >= minute_ns))
    after = TableBaseline(
        {key: row for key, row in unsettled.items() if row.any()},
        {minute: n for minute, n in row_counts.items() if minute >= minute_ns},
        part,
    )
    if not keys:
        return final, after
    rows = make_table(kind, keys, np.array([due[key] for key in keys], np.int64), numbers)
    return join([final, rows]), after


def number_rows(keys: list[RowKey], row_counts: Mapping[int, int]) -> tuple[Int64, dict[int, int]]:
    """The number of each row within its minute, counted on from what each minute has, and the counts after them."""
    after = dict(row_counts)
    numbers = []
    for key in keys:
        numbers.append(after.get(key[1], 0))
        after[key[1]] = numbers[-1] + 1
    return np.array(numbers, np.int64), after


def _final_rows(
    baseline: TableBaseline, settled: Table, provisional: Table, settled_minute_ns: int, before_ns: int
) -> tuple[Table, Table]:
    """Settled rows of minutes of which nothing was sent and nothing is open, numbered; and the other settled rows.

    They are final and sent as they are: the fast path of a long history, which looks at no single row. The minute that is
    settled only in part may get more rows, so its rows are counted and take the other path.
    """
    touched = {key[1] for key in baseline.sums} | set(baseline.row_counts) | {settled_minute_ns}
    touched.update(provisional.minute_ns.tolist())
    plain = (settled.minute_ns < before_ns) & ~_among(settled.minute_ns, touched)
    rows = np.flatnonzero(plain)
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):  # nearly always contiguous: a slice copies nothing
        final = select(settled, slice(rows[0], rows[-1] + 1))
    else:
        final = select(settled, rows)
    return replace(final, n=_numbers_by_minute(final.minute_ns)), select(settled, ~plain)


def _among(ascending: Int64, values: Iterable[int]) -> NDArray[np.bool_]:
    """Which rows have one of these values. The rows are many and ascend, the values that lie among them are few."""
    out = np.zeros(len(ascending), np.bool_)
    if len(ascending):
        first, last = int(ascending[0]), int(ascending[-1])
        wanted = [value for value in values if first <= value <= last]
        lows, highs = np.searchsorted(ascending, wanted, "left"), np.searchsorted(ascending, wanted, "right")
        for low, high in zip(lows.tolist(), highs.tolist(), strict=True):
            out[low:high] = True
    return out


def _numbers_by_minute(minute_ns: Int64) -> Int64:
    """Each row's number within its minute; the minutes ascend."""
    place = np.arange(len(minute_ns))
    first = np.where(np.diff(minute_ns, prepend=-1) != 0, place, 0)
    return place - np.maximum.accumulate(first)


def _changed_stops(
    sent: Mapping[str, Stop], stops: Stops, since_ns: int, settled_ns: int
) -> tuple[Stops, dict[str, Stop]]:
    """Stops that changed since they were sent, with their next revision, and the latest of those that may still change.
    Only stops that were sent before are compared one by one."""
    sent_before = _among(stops.start_ns // MS_NS, (stop.start_ns // MS_NS for stop in sent.values()))
    latest = dict(sent) | {stop.id: stop for stop in select_stops(stops, ~sent_before & (stops.start_ns >= settled_ns))}
    changed: list[Stop] = []
    for stop in (current := select_stops(stops, sent_before).rows()):
        before = sent[stop.id]
        if replace(stop, revision=before.revision) != before:
            latest[stop.id] = replace(stop, revision=before.revision + 1)
            changed.append(latest[stop.id])
    still_there = {stop.id for stop in current}
    for key, stop in sent.items():
        if key not in still_there and stop.start_ns >= since_ns and stop.end_ns != stop.start_ns:
            latest[key] = replace(stop, end_ns=stop.start_ns, revision=stop.revision + 1)
            changed.append(latest[key])
    unsettled = {key: stop for key, stop in latest.items() if stop.start_ns >= settled_ns}
    return join_stops(stops_of(stops.machine, changed), select_stops(stops, ~sent_before)), unsettled
