"""What became of a stream's envelopes, and how arriving ones change it. Pure.

`wire.marks` says which seqs are settled. That a seq is settled does not say that it was *this* envelope: the same pair
of stream and seq with another digest is a conflict (two outboxes that believe to be one, or a damaged disk) and must
never count as a repetition.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from wire.marks import Marks, Range, count, difference, intersection, is_settled, settle


@dataclass(frozen=True)
class StreamKey:
    """A stream as the center knows it: the topic's site and gateway, and the envelope's stream."""

    site: str
    gateway: str
    stream: str


@dataclass(frozen=True)
class StreamRecord:
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


class SeqStatus(Enum):
    """What an arriving envelope is."""

    NEW = "new"
    REPEATED = "repeated"
    CONFLICT = "conflict"


def lower(state: StreamRecord, known: Marks) -> StreamRecord:
    """The state without the seqs that are not among those known elsewhere. Which of the counts they were in nobody
    can tell: they leave `stored` first, then `dropped`, then `quarantined`, so that counts still add up.
    """
    marks = intersection(state.marks, known)
    gone = count(state.marks) - count(marks)
    left = {}
    for name in ("stored", "dropped", "quarantined", "discarded"):
        taken = min(gone, getattr(state, name))
        left[name] = getattr(state, name) - taken
        gone -= taken
    return replace(state, marks=marks, **left)


def merged(truth: StreamRecord, before: StreamRecord, after: StreamRecord) -> StreamRecord:
    """A stream after a step that was planned while it looked like `before` and led to `after`, when others had made
    `truth` of it meanwhile. Adds what the step settled and nothing else; a seq that others settled too was repeated.
    """
    marks = settle(truth.marks, difference(after.marks, before.marks))
    twice = count(after.marks) - count(intersection(after.marks, before.marks)) - (count(marks) - count(truth.marks))
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


def classify(marks: Marks, digests: Mapping[int, bytes], seq: int, digest: bytes) -> SeqStatus:
    """What an envelope with this seq and digest is. digests: those still known of settled envelopes; one that was
    settled so long ago that its digest is gone counts as repeated.
    """
    if not is_settled(marks, seq):
        return SeqStatus.NEW
    known = digests.get(seq)
    return SeqStatus.CONFLICT if known is not None and known != digest else SeqStatus.REPEATED


def drop(state: StreamRecord, ranges: Iterable[Range]) -> StreamRecord:
    """The state after the gateway gave up these ranges; only what was not settled yet counts as dropped."""
    marks = settle(state.marks, ranges)
    return replace(state, marks=marks, dropped=state.dropped + count(marks) - count(state.marks))
