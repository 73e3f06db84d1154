"""The delivery ledger's arithmetic: which seqs of a stream are settled. Pure.

A stream numbers its envelopes from 1 without gaps. Settled seqs are held as a mark (everything up to it) and
disjoint, ascending ranges beyond it that never touch each other or the mark; what lies between is a hole, to be
sent again. Settling is a union of sets, so order and repetition cannot spoil it.

That a seq is settled does not say that it was *this* envelope: the same pair of stream and seq with another digest
is a conflict (two outboxes that believe to be one, or a damaged disk) and must never count as a repetition.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

MAX_SEQ: Final = 2**63 - 1  # what a BIGINT column holds
MAX_RANGES: Final = 4096
"""Ranges beyond the mark that one stream may have: a bound on memory and on the receipt's size. A gateway that sends
in order never comes near it; an envelope that would go over it stays unsettled until the holes are filled."""

Range = tuple[int, int]


@dataclass(frozen=True)
class Marks:
    """Settled seqs. mark: all up to it, 0 for none; beyond: ranges above it, first and last seq."""

    mark: int = 0
    beyond: tuple[Range, ...] = ()


@dataclass(frozen=True)
class StreamKey:
    """A stream as the center knows it: the topic's site and gateway, and the envelope's stream."""

    site: str
    gateway: str
    stream: str


@dataclass(frozen=True)
class StreamState:
    """What became of one stream's envelopes, counted in envelopes.

    stored: their rows are in the store; quarantined: kept with a reason; dropped: given up by the gateway;
    discarded: process values, which this center accepts and does not keep. These four add up to the settled seqs.
    duplicates: repetitions of settled ones; conflicts: a settled seq with another digest. seen_ns: last heard.
    """

    kind: str
    marks: Marks = Marks()
    stored: int = 0
    quarantined: int = 0
    dropped: int = 0
    discarded: int = 0
    duplicates: int = 0
    conflicts: int = 0
    seen_ns: int = 0


class Verdict(Enum):
    """What an arriving envelope is."""

    NEW = "new"
    REPEATED = "repeated"
    CONFLICT = "conflict"


def settle(marks: Marks, ranges: Iterable[Range]) -> Marks:
    """The marks with these ranges of seqs (first and last, both included) settled as well."""
    spans = sorted([*marks.beyond, *ranges])
    mark = marks.mark
    beyond: list[Range] = []
    for first, last in spans:
        if last <= mark:
            continue
        if first <= mark + 1:
            mark = last
        elif beyond and first <= beyond[-1][1] + 1:
            beyond[-1] = (beyond[-1][0], max(beyond[-1][1], last))
        else:
            beyond.append((first, last))
    return Marks(mark, tuple(beyond))


def is_settled(marks: Marks, seq: int) -> bool:
    """Whether this seq needs no further sending."""
    return seq <= marks.mark or any(first <= seq <= last for first, last in marks.beyond)


def holes(marks: Marks) -> tuple[Range, ...]:
    """The ranges below the highest settled seq that are not settled."""
    out = []
    before = marks.mark
    for first, last in marks.beyond:
        out.append((before + 1, first - 1))
        before = last
    return tuple(out)


def both(one: Marks, other: Marks) -> Marks:
    """The seqs that are settled in both."""
    mark = min(one.mark, other.mark)
    spans = [(1, one.mark), *one.beyond], [(1, other.mark), *other.beyond]
    shared = [(max(a, c), min(b, d)) for a, b in spans[0] for c, d in spans[1] if max(a, c) <= min(b, d)]
    return settle(Marks(mark), shared)


def lower(state: StreamState, known: Marks) -> StreamState:
    """The state without the seqs that are not among those known elsewhere. Which of the counts they were in nobody
    can tell: they leave `stored` first, then `dropped`, then `quarantined`, so that counts still add up.
    """
    marks = both(state.marks, known)
    gone = count(state.marks) - count(marks)
    left = {}
    for name in ("stored", "dropped", "quarantined", "discarded"):
        taken = min(gone, getattr(state, name))
        left[name] = getattr(state, name) - taken
        gone -= taken
    return replace(state, marks=marks, **left)


def merged(truth: StreamState, before: StreamState, after: StreamState) -> StreamState:
    """A stream after a step that was planned while it looked like `before` and led to `after`, when others had made
    `truth` of it meanwhile. Adds what the step settled and nothing else; a seq that others settled too was repeated.
    """
    marks = settle(truth.marks, _only(after.marks, before.marks))
    twice = count(after.marks) - count(both(after.marks, before.marks)) - (count(marks) - count(truth.marks))
    duplicates = after.duplicates - before.duplicates + twice
    added = {}
    for name in ("stored", "dropped", "discarded", "quarantined"):
        more = getattr(after, name) - getattr(before, name)
        less = min(twice, max(more, 0))
        added[name] = getattr(truth, name) + more - less
        twice -= less
    return replace(
        truth,
        marks=marks,
        duplicates=truth.duplicates + duplicates,
        conflicts=truth.conflicts + after.conflicts - before.conflicts,
        seen_ns=max(truth.seen_ns, after.seen_ns),
        **added,
    )


def _only(one: Marks, other: Marks) -> list[Range]:
    """The ranges that are settled in one and not in the other."""
    gaps = [*holes(other), (highest(other) + 1, MAX_SEQ)]
    return [(max(a, c), min(b, d)) for a, b in ((1, one.mark), *one.beyond) for c, d in gaps if max(a, c) <= min(b, d)]


def count(marks: Marks) -> int:
    """How many seqs are settled."""
    return marks.mark + sum(last - first + 1 for first, last in marks.beyond)


def highest(marks: Marks) -> int:
    """The highest settled seq, 0 for none."""
    return marks.beyond[-1][1] if marks.beyond else marks.mark


def judge(marks: Marks, digests: Mapping[int, bytes], seq: int, digest: bytes) -> Verdict:
    """What an envelope with this seq and digest is. digests: those still known of settled envelopes; one that was
    settled so long ago that its digest is gone counts as repeated.
    """
    if not is_settled(marks, seq):
        return Verdict.NEW
    known = digests.get(seq)
    return Verdict.CONFLICT if known is not None and known != digest else Verdict.REPEATED


def drop(state: StreamState, ranges: Iterable[Range]) -> StreamState:
    """The state after the gateway gave up these ranges; only what was not settled yet counts as dropped."""
    marks = settle(state.marks, ranges)
    return replace(state, marks=marks, dropped=state.dropped + count(marks) - count(state.marks))
