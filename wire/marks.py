"""Which sequence numbers of a stream are settled: the basis of delivery. Pure.

A stream numbers its envelopes from 1 without gaps. An envelope is settled when it needs no further sending: it was
stored, durably quarantined, discarded by policy, or given up by its gateway. Outbox, receipt and ledger hold the
settled seqs in the same shape:

    1 ....... mark    hole    beyond[0]    hole    beyond[1]
    all settled      resend    settled    resend    settled

`beyond` is ascending and disjoint, and no two ranges touch each other or the mark, so that equal sets are equal
values. Settling is a union of sets, so the order and repetition of messages do not matter.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MAX_SEQ: Final = 2**63 - 1
"""What a signed 64-bit column holds (SQLite INTEGER, SQL BIGINT)."""
MAX_RANGES: Final = 4096
"""Ranges beyond the mark that one stream may have: a bound on memory and on the receipt's size. A gateway that sends
in order never comes near it; an envelope that would exceed it stays unsettled until the holes are filled."""

Range = tuple[int, int]
"""First and last seq, both inclusive."""


@dataclass(frozen=True)
class Marks:
    """Settled seqs. mark: all up to it, 0 for none; beyond: ranges above it. For ranges that may not be normalised use
    `settle(Marks(mark), ranges)`.
    """

    mark: int = 0
    beyond: tuple[Range, ...] = ()


NO_MARKS: Final = Marks()


def settle(marks: Marks, ranges: Iterable[Range]) -> Marks:
    """These marks with the ranges settled as well: in any order, overlapping; an empty one (last < first) is ignored.

    >>> settle(Marks(2), [(5, 6), (3, 3), (7, 7)])
    Marks(mark=3, beyond=((5, 7),))
    """
    mark = marks.mark
    beyond: list[Range] = []
    for first, last in sorted([*marks.beyond, *ranges]):
        if last <= mark:
            continue
        if first <= mark + 1:
            mark = last
        elif last < first:
            continue
        elif beyond and first <= beyond[-1][1] + 1:
            beyond[-1] = (beyond[-1][0], max(beyond[-1][1], last))
        else:
            beyond.append((first, last))
    return Marks(mark, tuple(beyond))


def is_settled(marks: Marks, seq: int) -> bool:
    """Whether this seq needs no further sending."""
    if seq <= marks.mark:
        return True
    at = bisect_right(marks.beyond, (seq, MAX_SEQ)) - 1
    return at >= 0 and seq <= marks.beyond[at][1]


def highest(marks: Marks) -> int:
    """The highest settled seq, 0 for none."""
    return marks.beyond[-1][1] if marks.beyond else marks.mark


def count(marks: Marks) -> int:
    """How many seqs are settled."""
    return marks.mark + sum(last - first + 1 for first, last in marks.beyond)


def holes(marks: Marks) -> tuple[Range, ...]:
    """The unsettled ranges below the highest settled seq, ascending."""
    out = []
    before = marks.mark
    for first, last in marks.beyond:
        out.append((before + 1, first - 1))
        before = last
    return tuple(out)


def unsettled_below(marks: Marks, seq: int) -> list[Range]:
    """The unsettled ranges below `seq`, ascending."""
    return [(first, last) for first, last in holes(settle(marks, [(seq, seq)])) if first < seq]


def next_unsettled(marks: Marks, seq: int) -> int:
    """The lowest unsettled seq above `seq`."""
    seq = max(seq, marks.mark) + 1
    for first, last in marks.beyond:
        if first <= seq <= last:
            seq = last + 1
    return seq


def count_unsettled(marks: Marks, first: int, last: int) -> int:
    """How many of first..last (both inclusive) are unsettled."""
    first = max(first, marks.mark + 1)
    inside = sum(max(0, min(last, high) - max(first, low) + 1) for low, high in marks.beyond)
    return max(0, last - first + 1) - inside


def union(one: Marks, other: Marks) -> Marks:
    """The seqs settled in either."""
    return settle(Marks(max(one.mark, other.mark)), [*one.beyond, *other.beyond])


def intersection(one: Marks, other: Marks) -> Marks:
    """The seqs settled in both."""
    return settle(Marks(min(one.mark, other.mark)), _overlaps(_ranges(one), _ranges(other)))


def difference(one: Marks, other: Marks) -> list[Range]:
    """The ranges settled in the first and not in the second."""
    return _overlaps(_ranges(one), [*holes(other), (highest(other) + 1, MAX_SEQ)])


def _ranges(marks: Marks) -> list[Range]:
    return [(1, marks.mark), *marks.beyond]


def _overlaps(one: Iterable[Range], other: list[Range]) -> list[Range]:
    return [(max(a, c), min(b, d)) for a, b in one for c, d in other if max(a, c) <= min(b, d)]


def encode_beyond(marks: Marks) -> str:
    """The ranges as JSON text, as databases keep them beside the mark."""
    return json.dumps(marks.beyond)


def decode_marks(mark: int, beyond: str) -> Marks:
    """The marks in a database row. Raises `ValueError` or `TypeError` for what `encode_beyond` did not write."""
    return settle(Marks(int(mark)), ((int(first), int(last)) for first, last in json.loads(beyond)))
