"""Covers a window with roll-up bins and, between them, finer rows. Pure.

A roll-up is kept in bins (hours, days of UTC) aligned to its step. A bin may answer a query if it lies within the
window and no row arrived since it was added up; everything else is read from finer rows. So answers are exact however
far the roll-up lags behind, only slower.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Final, NamedTuple

MAX_STALE_SPANS: Final = 12
"""Bound on spans of stale bins: each adds a part to the query."""


class CoveredSpan(NamedTuple):
    """start_ns, end_ns: half-open. rolled_up: answered by the roll-up."""

    start_ns: int
    end_ns: int
    rolled_up: bool


def cover(low: int, high: int, step_ns: int, stale: Iterable[int], most: int = MAX_STALE_SPANS) -> list[CoveredSpan]:
    """The window as spans, ascending. stale: starts of bins that may not answer, in any order; those outside the window
    are ignored.

    >>> cover(5, 42, 10, [20])
    [CoveredSpan(start_ns=5, end_ns=10, rolled_up=False), CoveredSpan(start_ns=10, end_ns=20, rolled_up=True), \
CoveredSpan(start_ns=20, end_ns=30, rolled_up=False), CoveredSpan(start_ns=30, end_ns=40, rolled_up=True), \
CoveredSpan(start_ns=40, end_ns=42, rolled_up=False)]
    """
    first, last = -(-low // step_ns) * step_ns, high // step_ns * step_ns
    if first >= last:
        return [CoveredSpan(low, high, rolled_up=False)] if low < high else []
    stale_spans = _joined(sorted({start for start in stale if first <= start < last}), step_ns)
    out: list[CoveredSpan] = []
    position = low
    for start, end in [(low, first), *_fewer(stale_spans, most), (last, high)]:
        if start > position:
            out.append(CoveredSpan(position, start, rolled_up=True))
        if end > start:
            if out and not out[-1].rolled_up and out[-1].end_ns == start:
                out[-1] = out[-1]._replace(end_ns=end)
            else:
                out.append(CoveredSpan(start, end, rolled_up=False))
        position = end
    return out


def _joined(starts: list[int], step_ns: int) -> list[tuple[int, int]]:
    """Neighbouring bins as one span each."""
    out: list[tuple[int, int]] = []
    for start in starts:
        if out and out[-1][1] == start:
            out[-1] = (out[-1][0], start + step_ns)
        else:
            out.append((start, start + step_ns))
    return out


def _fewer(stale_spans: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """At most `most` spans: those with the smallest gaps between them are merged."""
    if len(stale_spans) <= most:
        return stale_spans
    gaps = sorted(range(1, len(stale_spans)), key=lambda index: stale_spans[index - 1][1] - stale_spans[index][0])
    cuts = [0, *sorted(gaps[: most - 1]), len(stale_spans)]
    return [(stale_spans[low][0], stale_spans[high - 1][1]) for low, high in pairwise(cuts)]
