"""State of one stream's envelopes in the delivery ledger, and how an arriving envelope changes it. Pure.

`wire.marks` says which seqs are settled. That a seq is settled does not say that it was *this* envelope: the same pair
of stream and seq with another digest is a conflict (two outboxes with one identity, or a damaged disk) and must never
count as a repetition.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise
from typing import Final

from wire.marks import MAX_SEQ, NO_MARKS, Marks, Range, count, difference, intersection, is_settled, settle, union

MOST_COVERS: Final = 512
"""Ranges of minutes that are kept of one stream: each is a time in which its gateway ran without a break."""


@dataclass(frozen=True)
class StreamKey:
    """Identity of a stream: site and gateway of the topic, stream of the envelope."""

    site: str
    gateway: str
    stream: str


@dataclass(frozen=True)
class StreamRecord:
    """Outcomes of one stream's envelopes, counted in envelopes.

    stored: rows are in the store; quarantined: kept with a reason; dropped: given up by the gateway; discarded:
    process values that this center accepts but does not keep. These four add up to the number of settled seqs.
    duplicates: repetitions of settled seqs; conflicts: settled seqs with another digest. seen_ns: last received, first_ns:
    first received, 0 before that was recorded. covers: minutes since 1970 of which it has facts in the store, as far as
    that was recorded; held_from: what it sends of minutes from this one on waits for a decision, 0 for nothing.
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
    first_ns: int = 0
    covers: Marks = NO_MARKS
    held_from: int = 0


class SeqStatus(Enum):
    """How an arriving envelope relates to the settled ones."""

    NEW = "new"
    REPEATED = "repeated"
    CONFLICT = "conflict"


def lower(state: StreamRecord, known: Marks) -> StreamRecord:
    """The record without seqs that are not in `known`. It is not recorded which count included each of them: they are
    subtracted from `stored` first, then `dropped`, `quarantined` and `discarded`, so that the counts still add up.
    """
    marks = intersection(state.marks, known)
    removed = count(state.marks) - count(marks)
    remaining = {}
    for name in ("stored", "dropped", "quarantined", "discarded"):
        taken = min(removed, getattr(state, name))
        remaining[name] = getattr(state, name) - taken
        removed -= taken
    return replace(state, marks=marks, **remaining)


def merged(truth: StreamRecord, before: StreamRecord, after: StreamRecord) -> StreamRecord:
    """A three-way merge: a step was planned on `before` and led to `after`, while other processes changed the stream to
    `truth`. Adds to `truth` exactly what the step settled; a seq that others settled too counts as a duplicate.
    """
    marks = settle(truth.marks, difference(after.marks, before.marks))
    overlap = count(after.marks) - count(intersection(after.marks, before.marks)) - (count(marks) - count(truth.marks))
    duplicates = after.duplicates - before.duplicates + overlap
    counts = {}
    for name in ("stored", "dropped", "discarded", "quarantined"):
        added = getattr(after, name) - getattr(before, name)
        counted_twice = min(overlap, max(added, 0))
        counts[name] = getattr(truth, name) + added - counted_twice
        overlap -= counted_twice
    return replace(
        truth,
        marks=marks,
        first_ns=min(filter(None, (truth.first_ns, after.first_ns)), default=0),
        covers=union(truth.covers, after.covers),
        held_from=truth.held_from if after.held_from == before.held_from else after.held_from,
        duplicates=truth.duplicates + duplicates,
        conflicts=truth.conflicts + after.conflicts - before.conflicts,
        seen_ns=max(truth.seen_ns, after.seen_ns),
        **counts,
    )


def classify(marks: Marks, digests: Mapping[int, bytes], seq: int, digest: bytes) -> SeqStatus:
    """How an envelope with this seq and digest relates to the settled ones. digests: those still kept of settled
    envelopes; if the digest of a settled seq has been deleted, the envelope counts as repeated.
    """
    if not is_settled(marks, seq):
        return SeqStatus.NEW
    settled_digest = digests.get(seq)
    return SeqStatus.CONFLICT if settled_digest is not None and settled_digest != digest else SeqStatus.REPEATED


def drop(state: StreamRecord, ranges: Iterable[Range]) -> StreamRecord:
    """The record after the gateway gave up these ranges; seqs that were settled before do not count as dropped."""
    marks = settle(state.marks, ranges)
    return replace(state, marks=marks, dropped=state.dropped + count(marks) - count(state.marks))


def cover(state: StreamRecord, minutes: Iterable[int]) -> StreamRecord:
    """The record once facts of these minutes are stored. Beyond `MOST_COVERS` ranges the closest ones are joined."""
    covers = settle(state.covers, ((minute, minute) for minute in minutes))
    if len(covers.beyond) > MOST_COVERS:
        gaps = sorted((second[0] - first[1], first[1] + 1, second[0] - 1) for first, second in pairwise(covers.beyond))
        covers = settle(covers, ((first, last) for _, first, last in gaps[: len(gaps) - MOST_COVERS // 2]))
    return state if covers == state.covers else replace(state, covers=covers)


def age(state: StreamRecord | None) -> tuple[int, int, int]:
    """Orders streams from the oldest to the youngest: by when they were first received, or, where that was not recorded,
    by their first minute and by how much they have delivered. None: a stream that has delivered nothing.
    """
    if state is None:
        return (MAX_SEQ, 0, 0)
    first_minute = state.covers.beyond[0][0] if state.covers.beyond else MAX_SEQ
    return (state.first_ns, first_minute, -state.marks.mark)
