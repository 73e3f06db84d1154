"""Stops as columns: every stretch of one machine in which it did not run. Pure.

A machine has hundreds of stops a day, most of them seconds long. They stay columns from the kernel to the code that
sends, stores or shows them; only there each becomes a row (`oee.model.facts.Stop`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oee.engine.window import Window, product_keys
from oee.model.facts import MS_NS, Int64, Stop, Text, text_column
from oee.model.states import State

OPEN_NS: Final = int(np.iinfo(np.int64).max)
"""In `Stops.end_ns`: not ended."""
_STATES: Final = tuple(State)


@dataclass(frozen=True)
class Stops:
    """Stops of one machine, columns of equal length n; fields as in `oee.model.facts.Stop`.

    start_ns, end_ns: int64[n] [ns UTC], `OPEN_NS` while it lasts; state: uint8[n]; revision: int64[n];
    reason, by, product, to_product: object[n] of str. Iterating gives rows.
    """

    machine: str
    start_ns: Int64
    end_ns: Int64
    state: NDArray[np.uint8]
    reason: Text
    by: Text
    product: Text
    to_product: Text
    revision: Int64

    def __len__(self) -> int:
        return len(self.start_ns)

    def __iter__(self) -> Iterator[Stop]:
        return iter(self.rows())

    def rows(self) -> list[Stop]:
        """Each stop as a row."""
        columns = (self.reason, self.by, self.product, self.to_product, self.revision)
        ends = [None if end_ns == OPEN_NS else end_ns for end_ns in self.end_ns.tolist()]
        return [
            Stop(self.machine, str(start_ns // MS_NS), start_ns, end_ns, _STATES[code], *texts)
            for start_ns, end_ns, code, *texts in zip(
                self.start_ns.tolist(), ends, self.state.tolist(), *(column.tolist() for column in columns), strict=True
            )
        ]


_COLUMNS: Final = tuple(name for name in Stops.__dataclass_fields__ if name != "machine")


def no_stops(machine: str) -> Stops:
    """An empty table of this machine."""
    return stops_of(machine, [])


def stops_of(machine: str, rows: Sequence[Stop]) -> Stops:
    """Rows as columns."""
    return Stops(
        machine,
        np.array([stop.start_ns for stop in rows], np.int64),
        np.array([OPEN_NS if stop.end_ns is None else stop.end_ns for stop in rows], np.int64),
        np.array([stop.state for stop in rows], np.uint8),
        text_column([stop.reason for stop in rows]),
        text_column([stop.by for stop in rows]),
        text_column([stop.product for stop in rows]),
        text_column([stop.to_product for stop in rows]),
        np.array([stop.revision for stop in rows], np.int64),
    )


def select_stops(stops: Stops, rows: Any) -> Stops:
    """The stops that an index array, slice or boolean mask names."""
    return Stops(stops.machine, *(getattr(stops, name)[rows] for name in _COLUMNS))


def join_stops(one: Stops, two: Stops) -> Stops:
    """The stops of both, one after the other, of the same machine."""
    if not len(one) or not len(two):
        return one if len(one) else two
    return Stops(one.machine, *(np.concatenate([getattr(one, name), getattr(two, name)]) for name in _COLUMNS))


def find_stops(window: Window, from_ns: int) -> Stops:
    """Every interval without running that starts at `from_ns` or later, revision 0; the last may be open."""
    timeline = window.timeline
    index = np.flatnonzero((timeline.state != State.RUNNING) & (timeline.start_ns >= from_ns))
    start_ns, end_ns, state = timeline.start_ns[index], timeline.end_ns[index], timeline.state[index]
    if len(index) and index[-1] == len(timeline) - 1:
        end_ns[-1] = OPEN_NS
    product, to_product = text_column(window.names)[window.product_at(start_ns)], text_column("", len(index))
    for setup in window.setups:
        at = int(np.searchsorted(start_ns, setup.start_ns))
        if at < len(index) and start_ns[at] == setup.start_ns and state[at] == State.SETUP:
            product[at], to_product[at] = product_keys(window.machine, text_column([setup.product, setup.to_product]))
    return Stops(
        window.machine.id,
        start_ns,
        end_ns,
        state,
        timeline.reason[index],
        timeline.by[index],
        product,
        to_product,
        np.zeros(len(index), np.int64),
    )
