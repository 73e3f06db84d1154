"""Packs offered rows into the contents of `facts` envelopes. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from agent.compute.delta import MOST_ROWS, Delta, join_tables
from oee.model.facts import NO_CYCLES
from wire.bodies import facts_body


def bodies(deltas: Iterable[Delta], most_rows: int = MOST_ROWS, *, histograms: bool = True) -> Iterator[dict[str, Any]]:
    """The contents of `facts` envelopes with the rows that these deltas offer, in order; none if they offer nothing.
    histograms: those of cycle times too, which not every center keeps.
    """
    group: list[Delta] = []
    rows = 0
    for offer in deltas:
        delta = offer if histograms or not len(offer.cycles) else replace(offer, cycles=NO_CYCLES)
        if not len(delta):
            continue
        if group and rows + len(delta) > most_rows:
            yield _body(group)
            group, rows = [], 0
        group.append(delta)
        rows += len(delta)
    if group:
        yield _body(group)


def _body(group: Sequence[Delta]) -> dict[str, Any]:
    return facts_body(
        join_tables([delta.facts for delta in group]),
        join_tables([delta.losses for delta in group]),
        [stop for delta in group for stop in delta.stops],
        join_tables([delta.cycles for delta in group]),
    )
