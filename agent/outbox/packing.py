"""What the machines offer, packed into the contents of envelopes. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, TypeVar

import numpy as np

from oee.model.facts import Facts, Losses, Stop, select
from wire.bodies import facts_body

MOST_ROWS: Final = 2000
"""Rows of one envelope, unless a single part has more: some 30 kB compressed, small enough for any broker and line."""


Table = TypeVar("Table", Facts, Losses)


@dataclass(frozen=True)
class Part:
    """What one step of one machine offers. Differences that belong together, so never split over two envelopes."""

    machine: str
    facts: Facts
    losses: Losses
    stops: Sequence[Stop]

    def __len__(self) -> int:
        return len(self.facts) + len(self.losses) + len(self.stops)


def split(part: Part, most_rows: int = MOST_ROWS) -> list[Part]:
    """A part cut between minutes, so that what belongs to one minute stays together; stops go with the last."""
    if len(part) <= most_rows:
        return [part] if len(part) else []
    minutes = np.sort(np.concatenate([part.facts.minute_ns, part.losses.minute_ns]))
    edges = [*sorted({int(minutes[at]) for at in range(most_rows, len(minutes), most_rows)}), 2**63 - 1]
    out, low = [], -(2**63)
    for high in edges:
        stops = part.stops if high == edges[-1] else ()
        out.append(Part(part.machine, _within(part.facts, low, high), _within(part.losses, low, high), stops))
        low = high
    return [item for item in out if len(item)]


def _within(table: Table, low_ns: int, high_ns: int) -> Table:
    return select(table, (table.minute_ns >= low_ns) & (table.minute_ns < high_ns))


def _joined(tables: Sequence[Table]) -> Table:
    kind = type(tables[0])
    return kind(*(np.concatenate([getattr(table, item.name) for table in tables]) for item in fields(kind)))


def bodies(parts: Iterable[Part], most_rows: int = MOST_ROWS) -> Iterator[dict[str, Any]]:
    """The contents of `facts` envelopes that hold these parts, in order."""
    group: list[Part] = []
    rows = 0
    for part in parts:
        if group and rows + len(part) > most_rows:
            yield _body(group)
            group, rows = [], 0
        group.append(part)
        rows += len(part)
    if rows:
        yield _body(group)


def _body(group: Sequence[Part]) -> dict[str, Any]:
    return facts_body(
        _joined([part.facts for part in group]),
        _joined([part.losses for part in group]),
        [stop for part in group for stop in part.stops],
    )
