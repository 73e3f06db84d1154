"""What the machines offer, packed into the contents of envelopes. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, TypeVar

import numpy as np

from oee.facts import Facts, Losses, Stop
from wire.bodies import facts_body

MOST_ROWS: Final = 2000
"""Rows of one envelope, unless a single part has more: some 30 kB compressed, small enough for any broker and line."""


@dataclass(frozen=True)
class Part:
    """What one step of one machine offers. Differences that belong together, so never split over two envelopes."""

    machine: str
    facts: Facts
    losses: Losses
    stops: Sequence[Stop]

    def __len__(self) -> int:
        return len(self.facts) + len(self.losses) + len(self.stops)


Table = TypeVar("Table", Facts, Losses)


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
