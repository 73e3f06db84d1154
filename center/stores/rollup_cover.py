"""A window as cover of roll-ups and of finer rows between them. Pure.

A roll-up is kept in bins (hours, days of UTC) that begin where its steps do. A bin may answer a question when the
window holds it whole and no row came since it was added up; everything else is read from finer rows. So an answer is
exact however much of the roll-up is behind, and only slower.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Final, NamedTuple

MOST_HOLES: Final = 12
"""Of bins that must be read finer, so many cover at most: each costs a part of the question."""


class CoveredSpan(NamedTuple):
    """start_ns, end_ns: half-open. whole: answered by the roll-up."""

    start_ns: int
    end_ns: int
    whole: bool


def cover(low: int, high: int, step_ns: int, stale: Iterable[int], most: int = MOST_HOLES) -> list[CoveredSpan]:
    """The window cut at the roll-up's bins. stale: starts of bins that may not answer, in any order, those outside the
    window included.

    >>> cover(5, 42, 10, [20])
    [CoveredSpan(start_ns=5, end_ns=10, whole=False), CoveredSpan(start_ns=10, end_ns=20, whole=True), \
CoveredSpan(start_ns=20, end_ns=30, whole=False), CoveredSpan(start_ns=30, end_ns=40, whole=True), \
CoveredSpan(start_ns=40, end_ns=42, whole=False)]
    """
    first, last = -(-low // step_ns) * step_ns, high // step_ns * step_ns
    if first >= last:
        return [CoveredSpan(low, high, whole=False)] if low < high else []
    holes = _joined(sorted({start for start in stale if first <= start < last}), step_ns)
    out: list[CoveredSpan] = []
    position = low
    for start, end in [(low, first), *_fewer(holes, most), (last, high)]:
        if start > position:
            out.append(CoveredSpan(position, start, whole=True))
        if end > start:
            if out and not out[-1].whole and out[-1].end_ns == start:
                out[-1] = out[-1]._replace(end_ns=end)
            else:
                out.append(CoveredSpan(start, end, whole=False))
        position = end
    return out


def _joined(starts: list[int], step_ns: int) -> list[tuple[int, int]]:
    """Neighbouring bins as one."""
    out: list[tuple[int, int]] = []
    for start in starts:
        if out and out[-1][1] == start:
            out[-1] = (out[-1][0], start + step_ns)
        else:
            out.append((start, start + step_ns))
    return out


def _fewer(holes: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """At most so many holes: those with the least between them become one."""
    if len(holes) <= most:
        return holes
    gaps = sorted(range(1, len(holes)), key=lambda index: holes[index - 1][1] - holes[index][0])
    cuts = [0, *sorted(gaps[: most - 1]), len(holes)]
    return [(holes[low][0], holes[high - 1][1]) for low, high in pairwise(cuts)]
