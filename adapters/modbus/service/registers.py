"""Which addresses of one Modbus table exist, found with few requests. Pure: a generator that yields requests and is sent their outcomes.

A request is answered only if every address in it exists, so:

1. Coarse: blocks as large as one request may be. A block that is answered exists as a whole.
2. A block that is refused is sampled, one address every `step`. Where a sample exists, both ends of the stretch
   around it are found by bisection (a request from the sample on is answered as long as it ends within the stretch).
3. Where a stretch seems to end but its next address exists too, either the device takes fewer addresses in one request,
   and the block becomes that small, or two blocks of it meet there and refuse a read across their seam. It is a seam if
   more addresses were answered at once before, or if the two addresses beside it are refused together.

A stretch shorter than `step` that lies between two samples is not found; step 1 finds every stretch.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

MOST_SILENCES = 3
"""Missing responses in a row after which a table that never answered is not scanned further."""


class Span(NamedTuple):
    """`size` addresses from `start`."""

    start: int
    size: int


class ProbeOutcome(Enum):
    """The outcome of a request."""

    VALUES = "values"
    REFUSED = "refused"
    NO_FUNCTION = "no_function"
    SILENT = "silent"


class TableOutcome(Enum):
    """The outcome of scanning a table. STOPPED: not all of it was asked."""

    SCANNED = "scanned"
    STOPPED = "stopped"
    UNSUPPORTED = "unsupported"
    SILENT = "silent"


@dataclass(frozen=True)
class ScannedTable:
    """runs: the stretches of a table that exist, (first, last) with both ends included; at_most: the largest request that
    the device accepts, where that is less than was tried.
    """

    outcome: TableOutcome
    runs: tuple[tuple[int, int], ...] = ()
    at_most: int | None = None


Requests = Generator[Span, ProbeOutcome, bool]


class StopScanning(Exception):
    """Thrown into `scan_table`: it returns what it has found so far."""


class _GaveUp(Exception):
    """No more requests to this table."""


@dataclass
class _Scan:
    """The state while a table is scanned."""

    last: int
    block: int
    step: int
    runs: list[tuple[int, int]] = field(default_factory=list)
    at_most: int | None = None
    floor: int = 0
    """The lowest address that may still belong to the stretch above it."""
    silences: int = 0
    answered: bool = False
    largest: int = 0
    """Most addresses that were answered at once."""
    seams: set[int] = field(default_factory=set)
    """Addresses that are not read together with the one before."""

    def ask(self, start: int, count: int) -> Requests:
        """Requests `count` addresses; returns whether the device has them all."""
        answer = yield Span(start, count)
        if answer is ProbeOutcome.NO_FUNCTION:
            raise _GaveUp(TableOutcome.UNSUPPORTED)
        self.silences = self.silences + 1 if answer is ProbeOutcome.SILENT else 0
        self.answered |= answer is not ProbeOutcome.SILENT
        if self.silences >= MOST_SILENCES and not self.answered:
            raise _GaveUp(TableOutcome.SILENT)
        if answer is ProbeOutcome.VALUES:
            self.largest = max(self.largest, count)
        return answer is ProbeOutcome.VALUES

    def add(self, first: int, last: int) -> None:
        """Adds a stretch that exists; joined to the one before it if they touch without a seam."""
        if self.runs and self.runs[-1][1] + 1 >= first and first not in self.seams:
            self.runs[-1] = (self.runs[-1][0], max(last, self.runs[-1][1]))
        else:
            self.runs.append((first, last))
        self.floor = last + 1


def scan_table(first: int, last: int, block: int, step: int) -> Generator[Span, ProbeOutcome, ScannedTable]:
    """Yields spans to request, is sent the `ProbeOutcome` of each, and returns what exists in `first`..`last`, both included.

    block: most addresses in one request; step: distance of the samples within a refused block.
    """
    scan = _Scan(last, block, step, floor=first)
    try:
        at = first
        while at <= last:
            count = min(scan.block, last - at + 1)
            if (yield from scan.ask(at, count)):
                scan.add((yield from _left(scan, at)), at + count - 1)
                at += count
            else:
                at = yield from _sample(scan, at, at + count)
    except StopScanning:
        return ScannedTable(TableOutcome.STOPPED, tuple(scan.runs), scan.at_most)
    except _GaveUp as outcome:
        return ScannedTable(outcome.args[0], tuple(scan.runs), scan.at_most)
    return ScannedTable(TableOutcome.SCANNED, tuple(scan.runs), scan.at_most)


def _sample(scan: _Scan, at: int, end: int) -> Generator[Span, ProbeOutcome, int]:
    """Searches the refused block `[at, end)` for stretches; returns the address at which to continue."""
    if end - at == 1:
        scan.floor = end
        return end
    sample = at
    while sample < end:
        if (yield from scan.ask(sample, 1)):
            low = yield from _left(scan, sample)
            high = yield from _right(scan, sample, end)
            scan.add(low, high)
            if scan.block < end - at:  # the block was refused for its size: go on with smaller ones
                return high + 1
            sample = high + 1 if high + 1 in scan.seams else max(sample + scan.step, high + 2)
        else:
            scan.floor = sample + 1
            sample += scan.step
    return end


def _left(scan: _Scan, sample: int) -> Generator[Span, ProbeOutcome, int]:
    """The lowest address from which everything up to `sample` exists."""
    low, high = min(scan.floor, sample), sample
    while low < high:
        middle = (low + high) // 2
        if (yield from scan.ask(middle, sample - middle + 1)):
            high = middle
        else:
            low = middle + 1
    return high


def _right(scan: _Scan, sample: int, end: int) -> Generator[Span, ProbeOutcome, int]:
    """The highest address below `end` up to which everything from `sample` exists, or fits into one request."""
    low, high = sample, end - 1
    while low < high:
        middle = (low + high + 1) // 2
        if (yield from scan.ask(sample, middle - sample + 1)):
            low = middle
        else:
            high = middle - 1
    if low < end - 1 and (yield from scan.ask(low + 1, 1)):
        if (yield from _is_seam(scan, low, low - sample + 1)):
            scan.seams.add(low + 1)
        else:
            scan.block = scan.at_most = low - sample + 1
    return low


def _is_seam(scan: _Scan, last: int, size: int) -> Generator[Span, ProbeOutcome, bool]:
    """Whether two blocks of the device meet after `last`, though both exist; else it takes `size` addresses at most."""
    if scan.largest > size:
        return True
    if (yield from scan.ask(last, 2)):
        return False
    if size > 1:
        return True
    return (yield from scan.ask(last + 1, 2))  # one at most, or the first block ends just here


def requests_if_empty(first: int, last: int, block: int, step: int) -> int:
    """How many requests an empty table takes: blocks and samples."""
    blocks, rest = divmod(last - first + 1, block)
    return blocks * (1 + -(-block // step)) + (1 + -(-rest // step) if rest else 0)
