"""The boxes that connect as one gateway, told apart by the streams that their status names. Pure: it is given the time.

Every outbox has streams of its own, and a status names all of them. One gateway whose outbox was replaced is heard with
the old streams and then with the new ones, and never again with the old. Two boxes with one bundle throw each other out,
and are heard in turn: the old streams, the new ones, the old ones again. That crossing is the proof. No clock of a gateway
takes part in it, nor the order in which facts arrive.
"""

from dataclasses import dataclass
from typing import Final

LATELY_NS: Final = 3_600_000_000_000
"""How long after a crossing two boxes are told, and the longest time between two statuses of one that proves it."""
_MOST: Final = 8


@dataclass(frozen=True)
class Box:
    """streams: ids of its outbox's streams; seen_ns: when it was heard last, by the center's time [ns UTC]."""

    streams: frozenset[str]
    seen_ns: int


@dataclass(frozen=True)
class Boxes:
    """Of one gateway. known: in the order in which they were heard last; crossed_ns: when two were heard in turn last."""

    known: tuple[Box, ...] = ()
    crossed_ns: int = 0

    def heard(self, streams: frozenset[str], now_ns: int) -> "Boxes":
        """A status names these streams. It must have been sent now: one that the broker kept proves nothing."""
        if not streams:  # a last will
            return self
        same = next((box for box in self.known if box.streams & streams), None)
        others = tuple(box for box in self.known if box is not same)[1 - _MOST :]
        crossed = same is not None and self.known[-1] is not same and now_ns - same.seen_ns < LATELY_NS
        return Boxes((*others, Box(streams, now_ns)), now_ns if crossed else self.crossed_ns)

    def rivals(self, now_ns: int) -> tuple[Box, ...]:
        """The boxes that run at the same time, if there are several; () otherwise."""
        if not self.crossed_ns or now_ns - self.crossed_ns >= LATELY_NS:
            return ()
        return tuple(box for box in self.known if now_ns - box.seen_ns < LATELY_NS)
