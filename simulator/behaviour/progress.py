"""The state of a machine at the end of its past segments. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simulator.behaviour.segments import Kind, ProductChange, Segment


@dataclass(frozen=True)
class Progress:
    """product: index of the product that is set; cycles, rejects: since the model's start; last_done_ns: last completed
    cycle; left_ns: remaining processing time of the piece in the machine, None without one; since_change: cycles since the
    last changeover (a large number before the first).
    """

    last_done_ns: int
    product: int = 0
    cycles: int = 0
    rejects: int = 0
    left_ns: int | None = None
    since_change: int = 1_000_000


def progress_after(progress: Progress, segment: Segment) -> Progress:
    """The progress after this segment."""
    if segment.change:
        progress = replace(progress, product=segment.change[1], since_change=0, left_ns=None)
    if segment.kind != Kind.RUN:
        return progress
    progress = replace(progress, left_ns=segment.left_ns)
    if not len(segment.done_ns):
        return progress
    return replace(
        progress,
        last_done_ns=int(segment.done_ns[-1]),
        cycles=progress.cycles + len(segment.done_ns),
        rejects=progress.rejects + int(segment.rejects.sum()),
        since_change=progress.since_change + len(segment.done_ns),
    )


def begun_changeover(progress: Progress, segment: Segment) -> ProductChange | None:
    """The changeover that begins in the segment that follows this progress; None if none does."""
    if not segment.change:
        return None
    change_ns, product = segment.change
    return ProductChange(progress.last_done_ns, change_ns, None, progress.product, product)


def ended_changeovers(items: Sequence[ProductChange], segment: Segment, cavities: int) -> list[ProductChange]:
    """The changeovers; those without a good piece yet end with the segment's first good one."""
    good = np.flatnonzero(segment.rejects < cavities)
    if not len(good) or not items or items[-1].first_good_ns is not None:
        return list(items)
    first_good_ns = int(segment.done_ns[good[0]])
    return [replace(item, first_good_ns=first_good_ns) if item.first_good_ns is None else item for item in items]
