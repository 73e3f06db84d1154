"""Corrections of settled time: recomputation from an earlier state, and the delta to what was sent. Pure.

A step settles time for good. A later declaration about settled time (a reason, rejects, a product) or a changed
description of the machine (an ideal time, a calendar, a rule) needs a state from before that time. `checkpoint` makes
one: the engine state at its settled time, without what was sent. `recompute` goes on from it over the same samples as if
nothing had been sent, and then takes the difference to everything that was sent. So each key gets one row, and the sums
at the center equal those of a computation that knew everything from the start.

Row numbers and the revisions of stops continue, since a row that was sent is never changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from oee.engine.deltas import due_before, number_rows
from oee.engine.state import Baseline, EngineState, TableBaseline
from oee.engine.step import MachineSnapshot, step
from oee.model.declarations import ENTRIES, Declaration, concerns_later, effective
from oee.model.facts import (
    MINUTE_NS,
    NO_CYCLES,
    AnyTable,
    CycleTimes,
    Facts,
    Int64,
    Losses,
    RowKey,
    Stop,
    Table,
    add_rows,
    make_table,
    row_keys,
)
from oee.model.machine import Machine
from oee.model.samples import Samples, between

_FAR_NS: Final = 2**62


@dataclass(frozen=True)
class SentTable:
    """Facts (or losses, or cycles) that were sent: each key's sum (zero sums left out), and how many rows each minute has."""

    sums: Mapping[RowKey, Int64] = field(default_factory=dict)
    row_counts: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Sent:
    """Everything that was sent of one machine for a range of minutes, of cycles for the hours of it. stops: each stop's
    latest revision, those that vanished too.
    """

    facts: SentTable = SentTable()
    losses: SentTable = SentTable()
    stops: Mapping[str, Stop] = field(default_factory=dict)
    cycles: SentTable = SentTable()


def with_rows(
    sent: Sent,
    facts: Iterable[Facts],
    losses: Iterable[Losses],
    stops: Iterable[Stop],
    cycles: Iterable[CycleTimes] = (),
) -> Sent:
    """What was sent after these rows were sent too. Of a stop's revisions the highest counts."""
    latest = dict(sent.stops)
    for stop in stops:
        if stop.id not in latest or latest[stop.id].revision < stop.revision:
            latest[stop.id] = stop
    return Sent(
        _with_tables(sent.facts, facts),
        _with_tables(sent.losses, losses),
        latest,
        _with_tables(sent.cycles, cycles),
    )


def _with_tables(sent: SentTable, tables: Iterable[AnyTable]) -> SentTable:
    sums, counts = dict(sent.sums), dict(sent.row_counts)
    for table in tables:
        keys = row_keys(table)
        add_rows(sums, zip(keys, table.sums, strict=True))
        for key, n in zip(keys, table.n.tolist(), strict=True):
            counts[key[1]] = max(counts.get(key[1], 0), n + 1)
    return SentTable(_filled(sums), counts)


def _matrix(rows: Iterable[Int64], width: int) -> Int64:
    """Rows of sums under each other: thousands of additions and tests for zero in one call."""
    found = list(rows)
    return np.concatenate(found).reshape(-1, width) if found else np.zeros((0, width), np.int64)


def _filled(sums: Mapping[RowKey, Int64]) -> dict[RowKey, Int64]:
    """The sums that are not zero."""
    width = len(next(iter(sums.values()), ()))
    rows = list(sums.items())
    return dict(rows[place] for place in np.flatnonzero(_matrix(sums.values(), width).any(axis=1)).tolist())


def sent_since_settled(state: EngineState) -> Sent:
    """What was sent for the minutes from the one in which the settled time lies on, and of stops that begin at that time or
    later: with `checkpoint(state)`, and the rows from the settled time on, all that a recomputation from there needs.
    """
    baseline, settled_ns = state.baseline, state.settled_ns
    stops = {key: stop for key, stop in baseline.stops.items() if stop.start_ns >= settled_ns}
    return Sent(
        _sent_since(Facts, baseline.facts, settled_ns),
        _sent_since(Losses, baseline.losses, settled_ns),
        stops,
        _sent_since(CycleTimes, baseline.cycles, settled_ns),
    )


def since(kind: type[AnyTable], sent: SentTable, t_ns: int) -> SentTable:
    """The part for the minutes (of cycles: hours) from the one of this time on."""
    first_ns = t_ns - t_ns % kind.WIDTH_NS
    return SentTable(
        {key: row for key, row in sent.sums.items() if key[1] >= first_ns},
        {minute: n for minute, n in sent.row_counts.items() if minute >= first_ns},
    )


def _sent_since(kind: type[AnyTable], baseline: TableBaseline, settled_ns: int) -> SentTable:
    sums = dict(baseline.sums)
    add_rows(sums, baseline.part.items())
    found = since(kind, SentTable(sums, baseline.row_counts), settled_ns)
    return replace(found, sums={key: row for key, row in found.sums.items() if row.any()})


def checkpoint(state: EngineState) -> EngineState:
    """The state at its settled time, from which a computation can start again. It contains no rows from there on and
    nothing of what was sent.
    """
    return replace(
        state,
        until_ns=state.settled_ns,
        rows={tag: between(rows, 0, state.settled_ns) for tag, rows in state.rows.items()},
        baseline=Baseline(
            _checkpoint_baseline(state.baseline.facts),
            _checkpoint_baseline(state.baseline.losses),
            cycles=_checkpoint_baseline(state.baseline.cycles),
        ),
        late_rows=0,
        oddities=(),
    )


def _checkpoint_baseline(baseline: TableBaseline) -> TableBaseline:
    return TableBaseline({key: -row for key, row in baseline.part.items()}, part=baseline.part)


def earliest_change(new: Iterable[Declaration], known: Iterable[Declaration]) -> int:
    """The earliest time [ns] that these declarations change, given those known before.

    A declaration changes time from its start on, or from the start of the one that it replaces. Raises `ValueError`
    without new declarations.
    """
    by_id = {item.id: item for item in (*known, *new)}
    new_ids = {item.id for item in new}
    affected = [item for item in by_id.values() if item.id in new_ids or item.supersedes in new_ids]
    affected += [by_id[item.supersedes] for item in affected if item.supersedes in by_id]
    return min(item.start_ns for item in affected)


def latest_base(reach_ns: int, known: Iterable[Declaration]) -> int:
    """The latest time [ns] at which a recomputation that changes time from `reach_ns` on may begin: not inside the period
    of an entry of rejects, which is spread over its whole period.
    """
    periods = [(item.start_ns, item.end_ns or item.start_ns) for item in known if item.field in ENTRIES]
    for start_ns, end_ns in sorted(periods, reverse=True, key=lambda period: period[1]):
        if start_ns < reach_ns < end_ns:
            reach_ns = start_ns
    return reach_ns


def with_declarations(state: EngineState, declarations: Iterable[Declaration]) -> EngineState:
    """The state with those of these declarations that are in force. Pass all known ones, replaced ones too: a state does
    not keep the fact that one was replaced.
    """
    standing = effective((*state.declarations, *declarations))
    kept = (item for item in standing if concerns_later(item, state.settled_ns))
    return replace(state, declarations=tuple(kept))


@dataclass(frozen=True)
class Recomputation:
    """The result of a recomputation. state: the engine state from now on; live: the machine at its end, None if no block
    gave a snapshot; facts, losses, stops, cycles: the differences to what was sent, numbered; checkpoints: they replace all that are
    later than the one from which it began.
    """

    state: EngineState
    live: MachineSnapshot | None
    facts: Facts
    losses: Losses
    stops: list[Stop]
    checkpoints: list[EngineState]
    cycles: CycleTimes = NO_CYCLES


def recompute(
    machine: Machine,
    base: EngineState,
    blocks: Iterable[tuple[Samples, int]],
    declarations: Iterable[Declaration],
    sent: Sent,
    *,
    retract_later: bool = False,
) -> Recomputation:
    """Computes everything from the checkpoint on once more.

    base: the checkpoint.
    blocks: (rows, until_ns) in order of time, with the rows from the checkpoint's settled time on, the last block up to
      where the machine's state stood; a checkpoint is made after each.
    declarations: all that may concern the time from the checkpoint on, those that it already contains too, and those
      that they replace.
    sent: everything that was sent for the minutes from the one in which the checkpoint lies on (of cycles: for the hours), and
      for no earlier one.
    retract_later: the time beyond the last block never happened (a clock ran ahead), so what was sent for it is
      retracted at once.
    """
    state, live, before_ns = with_declarations(base, declarations), None, 0
    facts: list[Facts] = []
    losses: list[Losses] = []
    cycles: list[CycleTimes] = []
    stops: list[Stop] = []
    checkpoints = []
    for samples, until_ns in blocks:
        before_ns = until_ns - until_ns % MINUTE_NS
        result = step(machine, state, samples, (), until_ns, before_ns)
        if result.settled_ns > state.settled_ns and state.settled_ns:
            checkpoints.append(checkpoint(result.state))
        facts.append(result.facts)
        losses.append(result.losses)
        cycles.append(result.cycles)
        stops += result.stops.rows()
        state, live = result.state, result.live or live
    last_ns = _FAR_NS if retract_later else before_ns
    now = with_rows(Sent(), facts, losses, stops, cycles)
    return _difference(state, live, sent, now, base.settled_ns, last_ns, checkpoints)


def _difference(
    state: EngineState,
    live: MachineSnapshot | None,
    sent: Sent,
    now: Sent,
    begin_ns: int,
    before_ns: int,
    checkpoints: list[EngineState],
) -> Recomputation:
    settled_ns = state.settled_ns
    facts, facts_baseline = _table_difference(Facts, state, state.baseline.facts, sent.facts, now.facts, before_ns)
    losses, losses_baseline = _table_difference(
        Losses, state, state.baseline.losses, sent.losses, now.losses, before_ns
    )
    cycles, cycles_baseline = _table_difference(
        CycleTimes, state, state.baseline.cycles, sent.cycles, now.cycles, before_ns
    )
    changed, latest = _stops(sent.stops, now.stops, begin_ns)
    unsettled = {key: stop for key, stop in latest.items() if stop.start_ns >= settled_ns}
    state = replace(state, baseline=Baseline(facts_baseline, losses_baseline, unsettled, cycles_baseline))
    return Recomputation(state, live, facts, losses, changed, checkpoints, cycles)


def _table_difference(
    kind: type[Table], state: EngineState, baseline: TableBaseline, sent: SentTable, now: SentTable, before_ns: int
) -> tuple[Table, TableBaseline]:
    """Now - sent of every key of the minutes before `before_ns`, numbered on from what each minute has; and the baseline
    of the next delta: what stays sent beyond the settled time, with what was sent for minutes that are not due yet.
    """
    before_ns = due_before(kind, before_ns)
    sent_keys = [key for key in sent.sums if key[1] < before_ns]
    width = len(kind.COLUMNS)
    nothing = np.zeros(width, np.int64)
    difference = _matrix((now.sums.get(key, nothing) for key in sent_keys), width)
    difference -= _matrix((sent.sums[key] for key in sent_keys), width)
    changed = np.flatnonzero(difference.any(axis=1)).tolist()
    due = {sent_keys[place]: difference[place] for place in changed}
    due |= _filled({key: row for key, row in now.sums.items() if key not in sent.sums})
    keys = sorted(due)
    numbers, row_counts = number_rows(keys, sent.row_counts)
    rows = make_table(kind, keys, np.array([due[key] for key in keys], np.int64), numbers)
    minute_ns = state.settled_ns - state.settled_ns % kind.WIDTH_NS
    unsettled = dict(baseline.sums)
    add_rows(unsettled, ((key, row) for key, row in sent.sums.items() if key[1] >= before_ns))
    after = replace(
        baseline,
        sums={key: row for key, row in unsettled.items() if row.any()},
        row_counts={minute: n for minute, n in row_counts.items() if minute >= minute_ns},
    )
    return rows, after


def _stops(sent: Mapping[str, Stop], now: Mapping[str, Stop], begin_ns: int) -> tuple[list[Stop], dict[str, Stop]]:
    """Stops that differ from what was sent, each with its next revision, and the latest revision of all."""
    latest = dict(sent)
    for key, stop in now.items():
        sent_stop = sent.get(key)
        if stop.end_ns == stop.start_ns and sent_stop is None:
            continue  # appeared and vanished within this computation
        if sent_stop is None:
            latest[key] = replace(stop, revision=0)
        elif replace(stop, revision=sent_stop.revision) != sent_stop:
            latest[key] = replace(stop, revision=sent_stop.revision + 1)
    for key, stop in sent.items():
        if key not in now and stop.start_ns >= begin_ns and stop.end_ns != stop.start_ns:
            latest[key] = replace(stop, end_ns=stop.start_ns, revision=stop.revision + 1)
    changed = [stop for key, stop in latest.items() if stop != sent.get(key)]
    return sorted(changed, key=lambda stop: stop.start_ns), latest
