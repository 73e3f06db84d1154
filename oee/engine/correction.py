"""Corrections that reach back: computing again from an earlier state, and offering the difference to what was sent.

A step settles time for good; what is said later about settled time (a reason, rejects, a product), or a machine that
is described otherwise (an ideal time, a calendar, a rule), needs the state from before it. `checkpoint` is such a
state: the carry as it stood at its settled time, without what was sent. `recompute` goes on from it over the same samples
as if nothing had been sent yet, and only then takes the difference to everything that was: so one key gets one row,
whatever the way there was, and the sums at the center equal those of a computation that knew it all from the start.

Rows go on counting where the last one stopped, since a row is never changed, and so do the revisions of stops.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import numpy as np

from oee.engine.state import EngineState, FactKey, LossKey, Offered
from oee.engine.step import MachineSnapshot, step
from oee.model.declarations import ENTRIES, Declaration, effective
from oee.model.facts import (
    MINUTE_NS,
    Facts,
    Int64,
    Losses,
    Stop,
    fact_keys,
    loss_keys,
    make_facts,
    make_losses,
)
from oee.model.machine import Machine
from oee.model.samples import Samples, between

Key = TypeVar("Key", FactKey, LossKey)
_FAR_NS: Final = 2**62


@dataclass(frozen=True)
class Sent:
    """Everything that was sent of one machine for a stretch of minutes: each key's sum (zero sums left out), how many
    rows each minute has, and each stop as last told, those that vanished too.
    """

    facts: Mapping[FactKey, Int64] = field(default_factory=dict)
    losses: Mapping[LossKey, Int64] = field(default_factory=dict)
    fact_rows: Mapping[int, int] = field(default_factory=dict)
    loss_rows: Mapping[int, int] = field(default_factory=dict)
    stops: Mapping[str, Stop] = field(default_factory=dict)


def with_rows(sent: Sent, facts: Iterable[Facts], losses: Iterable[Losses], stops: Iterable[Stop]) -> Sent:
    """What was sent after these rows were sent too. Of a stop's revisions the highest counts."""
    fact_sums, fact_rows = _summed(sent.facts, sent.fact_rows, ((fact_keys(item), item) for item in facts))
    loss_sums, loss_rows = _summed(sent.losses, sent.loss_rows, ((loss_keys(item), item) for item in losses))
    latest = dict(sent.stops)
    for stop in stops:
        if stop.id not in latest or latest[stop.id].revision < stop.revision:
            latest[stop.id] = stop
    return Sent(fact_sums, loss_sums, fact_rows, loss_rows, latest)


def _summed(
    sums: Mapping[Key, Int64], rows: Mapping[int, int], tables: Iterable[tuple[list[Key], Facts | Losses]]
) -> tuple[dict[Key, Int64], dict[int, int]]:
    total, counts = dict(sums), dict(rows)
    for keys, table in tables:
        for key, row, n in zip(keys, table.sums, table.n.tolist(), strict=True):
            total[key] = total[key] + row if key in total else row
            counts[key[1]] = max(counts.get(key[1], 0), n + 1)
    return {key: row for key, row in total.items() if row.any()}, counts


def checkpoint(state: EngineState) -> EngineState:
    """The state as it stood at its settled time: what a computation can begin again with. It holds no rows from there
    on and nothing of what was sent.
    """
    offered = state.offered
    return replace(
        state,
        until_ns=state.settled_ns,
        rows={tag: between(rows, 0, state.settled_ns) for tag, rows in state.rows.items()},
        offered=Offered(
            {key: -row for key, row in offered.part_facts.items()},
            {key: -row for key, row in offered.part_losses.items()},
            part_facts=offered.part_facts,
            part_losses=offered.part_losses,
        ),
        late_rows=0,
        oddities=(),
    )


def earliest_change(new: Iterable[Declaration], known: Iterable[Declaration]) -> int:
    """The earliest time [ns] about which these declarations change anything, given those known before.

    A declaration changes time from its start on, or from the start of what it replaces. Raises `ValueError` if there
    is none.
    """
    said = {item.id: item for item in (*known, *new)}
    news = {item.id for item in new}
    touched = [item for item in said.values() if item.id in news or item.supersedes in news]
    touched += [said[item.supersedes] for item in touched if item.supersedes in said]
    return min(item.start_ns for item in touched)


def latest_base(reach_ns: int, known: Iterable[Declaration]) -> int:
    """The latest time [ns] at which a computation may begin that shall change time from `reach_ns` on: an entry of
    rejects is laid over its whole period, so not inside of one.
    """
    periods = [(item.start_ns, item.end_ns or item.start_ns) for item in known if item.field in ENTRIES]
    for start_ns, end_ns in sorted(periods, reverse=True, key=lambda period: period[1]):
        if start_ns < reach_ns < end_ns:
            reach_ns = start_ns
    return reach_ns


def with_declarations(state: EngineState, declarations: Iterable[Declaration]) -> EngineState:
    """The state with what stands of all these declarations. They are all that are known, replaced ones too: a state
    forgets that one was replaced.
    """
    standing = effective((*state.declarations, *declarations))
    kept = (item for item in standing if item.end_ns is None or item.end_ns > state.settled_ns)
    return replace(state, declarations=tuple(kept))


@dataclass(frozen=True)
class Recomputation:
    """What a computation from a checkpoint came to. state: the machine's carry from now on; facts, losses, stops: the
    differences to what was sent, numbered; checkpoints: those that take the place of all later than the one it began
    with.
    """

    state: EngineState
    live: MachineSnapshot | None
    facts: Facts
    losses: Losses
    stops: list[Stop]
    checkpoints: list[EngineState]


def recompute(
    machine: Machine,
    base: EngineState,
    blocks: Iterable[tuple[Samples, int]],
    declarations: Iterable[Declaration],
    sent: Sent,
    *,
    retract_later: bool = False,
) -> Recomputation:
    """Everything from the checkpoint on, computed once more.

    blocks: (rows, until_ns) in order of time, the rows of settled time on, the last block up to where the machine's
      state stood; a checkpoint is made after each. declarations: all that may concern the time from the checkpoint on,
      known to it already or not, and those that they replace. sent: everything that was sent for the minutes from the one in which
      the checkpoint lies on, and for no earlier one. retract_later: time beyond the last block never was (a clock ran ahead), so
      what was sent for it is taken back at once.
    """
    state, live, before_ns = with_declarations(base, declarations), None, 0
    facts: list[Facts] = []
    losses: list[Losses] = []
    stops: list[Stop] = []
    checkpoints = []
    for samples, until_ns in blocks:
        before_ns = until_ns - until_ns % MINUTE_NS
        found = step(machine, state, samples, (), until_ns, before_ns)
        if found.settled_ns > state.settled_ns and state.settled_ns:
            checkpoints.append(checkpoint(found.state))
        facts.append(found.facts)
        losses.append(found.losses)
        stops += found.stops.rows()
        state, live = found.state, found.live or live
    last_ns = _FAR_NS if retract_later else before_ns
    now = with_rows(Sent(), facts, losses, stops)
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
    fact_keys_, fact_sums, fact_numbers, fact_rows = _rows(sent.facts, now.facts, sent.fact_rows, before_ns)
    loss_keys_, loss_sums, loss_numbers, loss_rows = _rows(sent.losses, now.losses, sent.loss_rows, before_ns)
    changed, latest = _stops(sent.stops, now.stops, begin_ns)
    settled_ns = state.settled_ns
    minute_ns = settled_ns - settled_ns % MINUTE_NS
    offered = replace(
        state.offered,
        facts=_ahead(state.offered.facts, sent.facts, before_ns),
        losses=_ahead(state.offered.losses, sent.losses, before_ns),
        stops={key: stop for key, stop in latest.items() if stop.start_ns >= settled_ns},
        fact_rows={key: n for key, n in fact_rows.items() if key >= minute_ns},
        loss_rows={key: n for key, n in loss_rows.items() if key >= minute_ns},
    )
    return Recomputation(
        replace(state, offered=offered),
        live,
        make_facts(fact_keys_, np.array(fact_sums, np.int64), np.array(fact_numbers, np.int64)),
        make_losses(loss_keys_, np.array(loss_sums, np.int64), np.array(loss_numbers, np.int64)),
        changed,
        checkpoints,
    )


def _rows(
    sent: Mapping[Key, Int64], now: Mapping[Key, Int64], rows: Mapping[int, int], before_ns: int
) -> tuple[list[Key], list[Int64], list[int], dict[int, int]]:
    """Now - sent of every key of the minutes before `before_ns`, numbered on from what each minute has."""
    due = {key: row for key, row in now.items() if key not in sent}
    for key, row in sent.items():
        if key[1] < before_ns:
            due[key] = now[key] - row if key in now else -row
    counts = dict(rows)
    keys = sorted(key for key, row in due.items() if row.any())
    numbers = []
    for key in keys:
        numbers.append(counts.get(key[1], 0))
        counts[key[1]] = numbers[-1] + 1
    return keys, [due[key] for key in keys], numbers, counts


def _ahead(left: Mapping[Key, Int64], sent: Mapping[Key, Int64], before_ns: int) -> dict[Key, Int64]:
    """What stays sent beyond the settled time, with what had been sent for minutes that are not due again yet."""
    out = dict(left)
    for key, row in sent.items():
        if key[1] >= before_ns:
            out[key] = out[key] + row if key in out else row
    return {key: row for key, row in out.items() if row.any()}


def _stops(sent: Mapping[str, Stop], now: Mapping[str, Stop], begin_ns: int) -> tuple[list[Stop], dict[str, Stop]]:
    """Stops that are told otherwise than before, each with its next revision, and all as they stand."""
    latest = dict(sent)
    for key, stop in now.items():
        before = sent.get(key)
        if stop.end_ns == stop.start_ns and before is None:
            continue  # came and went within this computation
        if before is None:
            latest[key] = replace(stop, revision=0)
        elif replace(stop, revision=before.revision) != before:
            latest[key] = replace(stop, revision=before.revision + 1)
    for key, stop in sent.items():
        if key not in now and stop.start_ns >= begin_ns and stop.end_ns != stop.start_ns:
            latest[key] = replace(stop, end_ns=stop.start_ns, revision=stop.revision + 1)
    changed = [stop for key, stop in latest.items() if stop != sent.get(key)]
    return sorted(changed, key=lambda stop: stop.start_ns), latest
