"""Which sequence numbers are settled: a mark and, above it, ranges. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

Range = tuple[int, int]
"""First and last seq, both inclusive."""


@dataclass(frozen=True)
class Settled:
    """Every seq up to `mark`, and those in `beyond`: ascending, apart from each other and from the mark."""

    mark: int = 0
    beyond: tuple[Range, ...] = ()

    def __contains__(self, seq: int) -> bool:
        return seq <= self.mark or any(first <= seq <= last for first, last in self.beyond)

    @property
    def highest(self) -> int:
        """The highest settled seq."""
        return self.beyond[-1][1] if self.beyond else self.mark

    def after(self, seq: int) -> int:
        """The first seq above this one that is not settled."""
        seq = max(seq, self.mark) + 1
        for first, last in self.beyond:
            if first <= seq <= last:
                seq = last + 1
        return seq

    def waiting(self, first: int, last: int) -> int:
        """How many of first..last are not settled."""
        first = max(first, self.mark + 1)
        inside = sum(max(0, min(last, high) - max(first, low) + 1) for low, high in self.beyond)
        return max(0, last - first + 1) - inside


NOTHING: Final = Settled()


def settled(mark: int, ranges: Iterable[Range]) -> Settled:
    """A mark and ranges in any order, overlapping or empty, as the one `Settled` that says the same."""
    apart: list[Range] = []
    for first, last in sorted(ranges):
        if last < first:
            continue
        if first <= mark + 1:
            mark = max(mark, last)
        elif apart and first <= apart[-1][1] + 1:
            apart[-1] = (apart[-1][0], max(apart[-1][1], last))
        else:
            apart.append((first, last))
    return Settled(mark, tuple(apart))


def merge(one: Settled, other: Settled) -> Settled:
    """What either of them settles."""
    return settled(0, [(1, one.mark), (1, other.mark), *one.beyond, *other.beyond])


def holes(known: Settled) -> list[Range]:
    """What lies unsettled between the mark and the highest settled seq."""
    out, position = [], known.mark
    for first, last in known.beyond:
        out.append((position + 1, first - 1))
        position = last
    return out
