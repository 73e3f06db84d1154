"""A delta: one machine's progress between two steps, as it passes from the pipeline to the disk; and those that wait.

Pure. A delta has three parts, which one transaction of the outbox stores: the rows that the engine offers, as envelopes;
the samples that it was given, in the journal; and the state after the step, as the machine's carry.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Final

import numpy as np

from oee.engine import step as engine
from oee.engine.correction import Recomputation
from oee.engine.state import EngineState
from oee.model.facts import NO_CYCLES, NO_FACTS, NO_LOSSES, CycleTimes, Facts, Losses, Stop, Table, select
from oee.model.samples import Samples, concat

MOST_ROWS: Final = 2000
"""Rows of one envelope, unless a single step offers more: about 30 kB compressed, small enough for any broker and link."""
MOST_SAMPLES: Final = 1_000_000
"""Samples kept while the journal cannot be written, about 20 MB; with more, all are dropped and the journal starts over."""


@dataclass(frozen=True)
class Delta:
    """A machine's progress over `[from_ns, until_ns)`; from_ns is 0 before its first sample.

    tags: all that the machine uses, with rows or without. samples: the rows that the engine was given; None where they
    were dropped for lack of memory. facts, losses, stops, cycles: the rows that it offers; they belong together, so they are
    never split over two envelopes. state: the state after it; None where another delta of the batch holds a later one.
    `len` is the number of offered rows, of cycles that of filled bins.
    """

    machine: str
    from_ns: int = 0
    until_ns: int = 0
    tags: frozenset[str] = frozenset()
    samples: Samples | None = None
    facts: Facts = NO_FACTS
    losses: Losses = NO_LOSSES
    stops: Sequence[Stop] = ()
    state: EngineState | None = None
    cycles: CycleTimes = NO_CYCLES

    def __len__(self) -> int:
        return len(self.facts) + len(self.losses) + len(self.stops) + self._bins

    @cached_property
    def _bins(self) -> int:
        return int(np.count_nonzero(self.cycles.sums)) if len(self.cycles) else 0


def offered(machine: str, found: engine.Step | Recomputation, stops: Sequence[Stop]) -> Delta:
    """The rows of a step or a recomputation alone."""
    return Delta(machine, facts=found.facts, losses=found.losses, stops=stops, cycles=found.cycles)


def join(deltas: Sequence[Delta]) -> Delta:
    """Joins successive deltas of one machine. Where samples were dropped, only those after the last such delta are kept."""
    if len(deltas) == 1:
        return deltas[0]
    last_dropped = max((place for place, item in enumerate(deltas) if item.samples is None), default=-1)
    spans = [(item, item.samples) for item in deltas[last_dropped + 1 :] if item.samples is not None]
    tags = dict.fromkeys(tag for _, samples in spans for tag in samples)
    return Delta(
        deltas[0].machine,
        spans[0][0].from_ns if spans else deltas[0].from_ns,
        deltas[-1].until_ns,
        frozenset.intersection(*(item.tags for item, _ in spans)) if spans else deltas[-1].tags,
        {tag: concat([samples[tag] for _, samples in spans if tag in samples]) for tag in tags} if spans else None,
        _joined([item.facts for item in deltas], NO_FACTS),
        _joined([item.losses for item in deltas], NO_LOSSES),
        [stop for item in deltas for stop in item.stops],
        next((item.state for item in reversed(deltas) if item.state is not None), None),
        _joined([item.cycles for item in deltas], NO_CYCLES),
    )


def _joined(tables: Sequence[Table], empty: Table) -> Table:
    filled = [table for table in tables if len(table)]
    if len(filled) < 2:
        return filled[0] if filled else empty
    return join_tables(filled)


def join_tables(tables: Sequence[Table]) -> Table:
    """The rows of several tables as one."""
    kind = type(tables[0])
    return kind(*(np.concatenate([getattr(table, item.name) for table in tables]) for item in fields(kind)))


def merge(deltas: Iterable[Delta], most_rows: int = MOST_ROWS) -> list[Delta]:
    """Joins deltas by machine into as few as possible, none of which offers more than `most_rows` because of joining."""
    groups: dict[str, list[list[Delta]]] = {}
    for delta in deltas:
        machine_groups = groups.setdefault(delta.machine, [])
        if machine_groups and sum(map(len, machine_groups[-1])) + len(delta) <= most_rows:
            machine_groups[-1].append(delta)
        else:
            machine_groups.append([delta])
    return [join(group) for machine_groups in groups.values() for group in machine_groups]


def split(delta: Delta, most_rows: int = MOST_ROWS) -> list[Delta]:
    """The rows that a delta offers, cut between minutes, so that the rows of one minute stay together; stops go with the
    last part. Empty if it offers nothing; samples and state are left out.
    """
    if len(delta) <= most_rows:
        return [replace(delta, samples=None, state=None)] if len(delta) else []
    bins = np.repeat(delta.cycles.minute_ns, np.count_nonzero(delta.cycles.sums, axis=1))
    minutes = np.sort(np.concatenate([delta.facts.minute_ns, delta.losses.minute_ns, bins]))
    edges = [*sorted({int(minutes[at]) for at in range(most_rows, len(minutes), most_rows)}), 2**63 - 1]
    out, low = [], -(2**63)
    for high in edges:
        stops = delta.stops if high == edges[-1] else ()
        facts, losses = _within(delta.facts, low, high), _within(delta.losses, low, high)
        cycles = _within(delta.cycles, low, high)
        out.append(Delta(delta.machine, facts=facts, losses=losses, stops=stops, cycles=cycles))
        low = high
    return [item for item in out if len(item)]


def _within(table: Table, low_ns: int, high_ns: int) -> Table:
    return select(table, (table.minute_ns >= low_ns) & (table.minute_ns < high_ns))


def carries(deltas: Sequence[Delta], skip: Container[str] = ()) -> dict[str, bytes]:
    """The serialized states by machine, as kept on disk: of machines that offer something, and of others not in `skip`."""
    offering = {item.machine for item in deltas if len(item)}
    return {
        item.machine: engine.dump(item.state)
        for item in deltas
        if item.state is not None and (item.machine in offering or item.machine not in skip)
    }


@dataclass
class Uncommitted:
    """Deltas since the last commit, by machine, oldest first. rows: how many they offer."""

    rows: int = 0
    _deltas: dict[str, list[Delta]] = field(default_factory=dict)

    def add(self, delta: Delta) -> None:
        """Adds the result of a step."""
        self._deltas.setdefault(delta.machine, []).append(delta)
        self.rows += len(delta)

    def take(self, states: Mapping[str, EngineState]) -> list[Delta]:
        """Removes and returns everything, with each machine's current state (of `states`) in its last delta."""
        out = []
        for machine, deltas in self._deltas.items():
            *earlier, last = merge(deltas)
            out += [*earlier, replace(last, state=states[machine])]
        self.clear()
        return out

    def put_back(self, deltas: Iterable[Delta]) -> None:
        """Puts deltas that could not be stored before those added since. Beyond `MOST_SAMPLES` all samples are dropped;
        the journal detects the missing span.
        """
        later, self._deltas, self.rows = self._deltas, {}, 0
        for delta in (*deltas, *(item for items in later.values() for item in items)):
            self.add(replace(delta, state=None))
        columns = (item.samples for items in self._deltas.values() for item in items if item.samples is not None)
        if sum(len(column) for samples in columns for column in samples.values()) > MOST_SAMPLES:
            self.drop_samples()

    def drop_samples(self) -> None:
        """Forgets the samples of all deltas; rows and states stay."""
        self._deltas = {
            machine: [replace(item, samples=None) for item in items] for machine, items in self._deltas.items()
        }

    def clear(self) -> None:
        """Forgets everything."""
        self._deltas, self.rows = {}, 0
