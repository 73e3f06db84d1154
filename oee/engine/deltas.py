"""Offers: what is sent is the difference between what is known now and what was sent before."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from oee.engine.state import FactKey, LossKey, Offered
from oee.engine.stops import Stops, join_stops, select_stops, stops_of
from oee.model.facts import (
    MINUTE_NS,
    MS_NS,
    Facts,
    Int64,
    Losses,
    Stop,
    Table,
    fact_keys,
    join,
    loss_keys,
    make_facts,
    make_losses,
    select,
)

Key = TypeVar("Key", FactKey, LossKey)


@dataclass(frozen=True)
class _Table(Generic[Key]):
    """Rows to send, the number of each within its minute, what stays sent beyond the settled time, and row counts."""

    keys: list[Key]
    sums: list[Int64]
    numbers: list[int]
    left: dict[Key, Int64]
    rows: dict[int, int]


def _add(table: dict[Key, Int64], key: Key, row: Int64) -> None:
    table[key] = table[key] + row if key in table else row


def _table(
    sent: Mapping[Key, Int64],
    settled: list[tuple[Key, Int64]],
    provisional: list[tuple[Key, Int64]],
    rows: Mapping[int, int],
    before_ns: int,
) -> _Table[Key]:
    """New - last sent for every key whose minute starts before `before_ns`, zero differences left out."""
    due: dict[Key, Int64] = {}
    for key, row in settled:
        _add(due, key, row)
    for key, row in provisional:
        _add(due, key, row)
    for key, row in sent.items():
        _add(due, key, -row)
    left = dict(sent)
    counts = dict(rows)
    keys, sums, numbers = [], [], []
    for key in sorted(key for key, row in due.items() if key[1] < before_ns and row.any()):
        keys.append(key)
        sums.append(due[key])
        numbers.append(counts.get(key[1], 0))
        counts[key[1]] = numbers[-1] + 1
        _add(left, key, due[key])
    for key, row in settled:
        _add(left, key, -row)
    return _Table(keys, sums, numbers, {key: row for key, row in left.items() if row.any()}, counts)


def _numbers(minute_ns: Int64) -> Int64:
    """Each row's number within its minute, in the order of the rows."""
    order = np.argsort(minute_ns, kind="stable")
    ordered = minute_ns[order]
    first = np.searchsorted(ordered, ordered, "left")
    out = np.empty(len(minute_ns), np.int64)
    out[order] = np.arange(len(minute_ns)) - first
    return out


def _fresh(
    settled: Table,
    provisional: Table,
    sent: Iterable[FactKey] | Iterable[LossKey],
    rows: Iterable[int],
    settled_ns: int,
    before_ns: int,
) -> tuple[Table, Table]:
    """Settled rows of minutes of which nothing was sent and nothing is open, numbered; and the other settled rows.

    They are sent as they are, once and for all: a long history goes this way, without a look at single rows. The minute
    that is settled in part may get more rows, so its rows are counted and do not go this way.
    """
    touched = {key[1] for key in sent} | set(rows) | {settled_ns - settled_ns % MINUTE_NS}
    special = np.union1d(np.array(sorted(touched), np.int64), np.unique(provisional.minute_ns))
    plain = (settled.minute_ns < before_ns) & ~np.isin(settled.minute_ns, special)
    rows = np.flatnonzero(plain)
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):  # nearly always: all but the ends, and no copy
        fresh = select(settled, slice(rows[0], rows[-1] + 1))
    else:
        fresh = select(settled, rows)
    return replace(fresh, n=_numbers(fresh.minute_ns)), select(settled, ~plain)


def _fact_rows(table: Facts) -> list[tuple[FactKey, Int64]]:
    return list(zip(fact_keys(table), table.sums, strict=True))


def _loss_rows(table: Losses) -> list[tuple[LossKey, Int64]]:
    return list(zip(loss_keys(table), table.sums, strict=True))


def offer(
    offered: Offered,
    settled: tuple[Facts, Losses],
    provisional: tuple[Facts, Losses],
    stops: Stops,
    settled_ns: int,
    before_ns: int,
    since_ns: int,
) -> tuple[Offered, Facts, Losses, Stops]:
    """What to send now, and what has been sent after it.

    settled, provisional: facts and losses before and after `settled_ns`, since the last settled time `since_ns`.
    stops: all stops since then; before_ns: only minutes that start earlier are sent.
    """
    new_facts, old_facts = _fresh(settled[0], provisional[0], offered.facts, offered.fact_rows, settled_ns, before_ns)
    new_losses, old_losses = _fresh(
        settled[1], provisional[1], offered.losses, offered.loss_rows, settled_ns, before_ns
    )
    facts = _table(offered.facts, _fact_rows(old_facts), _fact_rows(provisional[0]), offered.fact_rows, before_ns)
    losses = _table(offered.losses, _loss_rows(old_losses), _loss_rows(provisional[1]), offered.loss_rows, before_ns)
    changed, waiting = _stops(offered.stops, stops, since_ns, settled_ns)
    minute = settled_ns - settled_ns % MINUTE_NS
    after = Offered(
        facts.left,
        losses.left,
        waiting,
        {key: n for key, n in facts.rows.items() if key >= minute},
        {key: n for key, n in losses.rows.items() if key >= minute},
        _part(offered.part_facts, _fact_rows(select(settled[0], settled[0].minute_ns >= minute)), minute),
        _part(offered.part_losses, _loss_rows(select(settled[1], settled[1].minute_ns >= minute)), minute),
    )
    fact_rows = make_facts(facts.keys, np.array(facts.sums, np.int64), np.array(facts.numbers, np.int64))
    loss_rows = make_losses(losses.keys, np.array(losses.sums, np.int64), np.array(losses.numbers, np.int64))
    return after, join([new_facts, fact_rows]), join([new_losses, loss_rows]), changed


def _part(before: Mapping[Key, Int64], settled: list[tuple[Key, Int64]], minute_ns: int) -> dict[Key, Int64]:
    """What is settled of the minute in which the settled time lies: of earlier steps, and of this one."""
    out = {key: row for key, row in before.items() if key[1] >= minute_ns}
    for key, row in settled:
        _add(out, key, row)
    return out


def _stops(sent: Mapping[str, Stop], stops: Stops, since_ns: int, settled_ns: int) -> tuple[Stops, dict[str, Stop]]:
    """Stops that changed since they were sent, with their next revision, and as they stand now those that may still
    change. Only stops that were sent before are looked at one by one."""
    starts = np.array([stop.start_ns // MS_NS for stop in sent.values()], np.int64)
    known = np.isin(stops.start_ns // MS_NS, starts)
    waiting = dict(sent) | {stop.id: stop for stop in select_stops(stops, ~known & (stops.start_ns >= settled_ns))}
    changed: list[Stop] = []
    for stop in (seen := select_stops(stops, known).rows()):
        before = sent[stop.id]
        if replace(stop, revision=before.revision) != before:
            waiting[stop.id] = replace(stop, revision=before.revision + 1)
            changed.append(waiting[stop.id])
    still = {stop.id for stop in seen}
    for key, stop in sent.items():
        if key not in still and stop.start_ns >= since_ns and stop.end_ns != stop.start_ns:
            waiting[key] = replace(stop, end_ns=stop.start_ns, revision=stop.revision + 1)
            changed.append(waiting[key])
    waiting = {key: stop for key, stop in waiting.items() if stop.start_ns >= settled_ns}
    return join_stops(stops_of(stops.machine, changed), select_stops(stops, ~known)), waiting
