"""Settling is a union of sets: the fast ranges equal a plain set of seqs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from center.ledger.marks import (
    Marks,
    StreamState,
    Verdict,
    count,
    drop,
    highest,
    holes,
    is_settled,
    judge,
    settle,
)

seqs = st.integers(1, 40)
ranges = st.lists(st.tuples(seqs, st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=12)


def _set(marks):
    return {seq for seq in range(1, 60) if is_settled(marks, seq)}


def _settled(parts):
    marks = Marks()
    for part in parts:
        marks = settle(marks, [part])
    return marks


@given(ranges)
def test_ranges_equal_a_set(parts):
    marks = _settled(parts)
    truth = {seq for first, last in parts for seq in range(first, last + 1)}
    assert _set(marks) == truth
    assert count(marks) == len(truth)
    assert highest(marks) == max(truth, default=0)
    assert {seq for first, last in holes(marks) for seq in range(first, last + 1)} == (
        set(range(1, max(truth, default=0))) - truth
    )


@given(ranges)
def test_ranges_stay_apart_and_in_order(parts):
    marks = _settled(parts)
    before = marks.mark
    for first, last in marks.beyond:
        assert before + 1 < first <= last
        before = last


@given(ranges, st.randoms())
def test_order_and_repetition_change_nothing(parts, chance):
    shuffled = [*parts, *parts[:3]]
    chance.shuffle(shuffled)
    assert _settled(shuffled) == _settled(parts) == settle(Marks(), parts)


@given(ranges, ranges)
def test_dropping_counts_only_what_was_open(stored, given_up):
    state = StreamState("facts", settle(Marks(), stored))
    after = drop(state, given_up)
    assert after.dropped == len(_set(after.marks) - _set(state.marks))
    assert drop(after, given_up) == after


@given(ranges, seqs, st.binary(min_size=1, max_size=2), st.dictionaries(seqs, st.binary(min_size=1, max_size=2)))
def test_a_verdict_is_new_repeated_or_conflict(parts, seq, digest, digests):
    marks = settle(Marks(), parts)
    verdict = judge(marks, digests, seq, digest)
    assert (verdict is Verdict.NEW) == (not is_settled(marks, seq))
    if verdict is Verdict.CONFLICT:
        assert digests[seq] != digest
    if verdict is Verdict.REPEATED:
        assert digests.get(seq, digest) == digest


@pytest.mark.parametrize(
    ("parts", "marks"),
    [
        ([(1, 3)], Marks(3)),
        ([(2, 3)], Marks(0, ((2, 3),))),
        ([(2, 3), (1, 1)], Marks(3)),
        ([(5, 5), (2, 3), (4, 4)], Marks(0, ((2, 5),))),
        ([(1, 1), (2, 2), (4, 9), (6, 7)], Marks(2, ((4, 9),))),
    ],
)
def test_examples(parts, marks):
    assert _settled(parts) == marks
