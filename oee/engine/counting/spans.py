"""Spans: the stretches over which the time of one cycle is measured. Pure.

A poll sees a count up to a period late, which blurs a span by one period either way. So a span goes on until it is ten
periods long (as in `oee.kpi.learn`): a cycle of ten periods or more is a span of its own, and shorter ones are measured
together. Spans follow each other within a run, none has a count of another, and the rest of a run is not measured.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oee.model.samples import Int64

PERIODS: Final = 10


class OpenSpan(NamedTuple):
    """A span that has begun before the settled time and goes on at it. from_ns: the count that it begins with; counts: those
    that followed before the settled time."""

    from_ns: int
    counts: int


class CountRuns(NamedTuple):
    """Counts in order of time: when they were seen, how many at once, the product's code, pieces per count, and where a run
    begins."""

    t_ns: Int64
    counts: Int64
    product: Int64
    per_count: Int64
    begins: NDArray[np.bool_]


class CycleSpans(NamedTuple):
    """Measured cycles, in order of time: when the first and the last count of each span was seen, the product's code, and how
    many counts it has after the first.

    t_ns, made, begins: of all counts when they were seen, how many there were by then, and where a run begins; starts: those
    that begin a span, whether or not it ends.
    """

    from_ns: Int64
    to_ns: Int64
    product: Int64
    counts: Int64
    t_ns: Int64
    made: Int64
    begins: NDArray[np.bool_]
    starts: Int64

    def open_at(self, settled_ns: int) -> OpenSpan | None:
        """The span that a count at that time goes on or ends; None where a run begins there, or there is no count."""
        place = int(self.t_ns.searchsorted(settled_ns))
        if place == len(self.t_ns) or self.t_ns[place] != settled_ns or self.begins[place]:
            return None
        begin = int(self.starts[self.starts.searchsorted(place) - 1])
        return OpenSpan(int(self.t_ns[begin]), int(self.made[place - 1] - self.made[begin]))


def cycle_spans(t_ns: Int64, counts: Int64, begins: NDArray[np.bool_], product: Int64, least_ns: int) -> CycleSpans:
    """The spans of these counts. least_ns: how long one is at least."""
    made = counts.cumsum()
    starts, last = _spans(t_ns, begins, least_ns)
    ends = last < len(t_ns)
    first, last = starts[ends], last[ends]
    return CycleSpans(t_ns[first], t_ns[last], product[last], made[last] - made[first], t_ns, made, begins, starts)


def _spans(t_ns: Int64, begins: NDArray[np.bool_], least_ns: int) -> tuple[Int64, Int64]:
    """Where spans begin, and the count that ends each (`len(t_ns)` where the run ends before).

    t_ns: when counts were seen, ascending; begins: where a run begins, the first of them true.
    """
    n = len(t_ns)
    following = np.arange(1, n + 1)
    following[:-1][begins[1:]] = n
    is_long = t_ns[1:] - t_ns[:-1] >= least_ns
    if (is_long | begins[1:]).all():  # each cycle is a span
        return np.arange(n), following
    run_ends = np.append(np.flatnonzero(begins)[1:], n)[begins.cumsum() - 1]
    after = np.maximum(t_ns.searchsorted(t_ns + least_ns), np.arange(1, n + 1))
    after[after >= run_ends] = n
    reached = np.append(begins, False)
    jump = np.append(after, n)
    while True:  # twice as many spans on each time
        reached[jump[reached]] = True
        jump = jump[jump]
        if (jump == n).all():
            break
    first = np.flatnonzero(reached[:n])
    return first, after[first]
