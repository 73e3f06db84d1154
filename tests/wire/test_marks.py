"""The law of delivery: marks and ranges say exactly what plain sets of seqs say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.marks import (
    MAX_SEQ,
    NO_MARKS,
    Marks,
    count,
    count_unsettled,
    decode_marks,
    difference,
    encode_beyond,
    highest,
    holes,
    intersection,
    is_settled,
    next_unsettled,
    settle,
    union,
    unsettled_below,
)
from wire.receipts import Receipt, StreamReceipt, decode_receipt, encode_receipt

TOP = 60
SEQS = st.integers(1, 40)
RANGES = st.lists(st.tuples(SEQS, st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=12)
ANY_RANGES = st.lists(st.tuples(st.integers(-5, 40), st.integers(-5, 40)), max_size=12)
MARKS = RANGES.map(lambda ranges: settle(NO_MARKS, ranges))


def as_set(marks):
    return {seq for seq in range(1, TOP) if is_settled(marks, seq)}


def seqs_of(ranges):
    return {seq for first, last in ranges for seq in range(first, min(last, TOP - 1) + 1)}


def one_by_one(ranges):
    marks = NO_MARKS
    for item in ranges:
        marks = settle(marks, [item])
    return marks


def assert_normal(marks):
    before = marks.mark
    for first, last in marks.beyond:
        assert before + 1 < first <= last
        before = last


@given(RANGES)
def test_ranges_equal_a_set(ranges):
    marks = one_by_one(ranges)
    truth = seqs_of(ranges)
    assert as_set(marks) == truth
    assert count(marks) == len(truth)
    assert highest(marks) == max(truth, default=0)
    assert seqs_of(holes(marks)) == set(range(1, max(truth, default=0))) - truth


@given(RANGES)
def test_ranges_stay_apart_and_in_order(ranges):
    assert_normal(one_by_one(ranges))


@given(st.integers(0, 20), ANY_RANGES)
def test_whatever_ranges_a_message_lists_the_marks_are_normal(mark, ranges):
    marks = settle(Marks(mark), ranges)
    assert_normal(marks)
    assert as_set(marks) == {*range(1, mark + 1), *(seq for seq in seqs_of(ranges) if seq > 0)}


@given(RANGES, st.randoms())
def test_order_and_repetition_change_nothing(ranges, chance):
    shuffled = [*ranges, *ranges[:3]]
    chance.shuffle(shuffled)
    assert one_by_one(shuffled) == one_by_one(ranges) == settle(NO_MARKS, ranges)


@given(MARKS, MARKS)
def test_the_algebra_is_that_of_sets(one, other):
    assert as_set(union(one, other)) == as_set(one) | as_set(other)
    assert as_set(intersection(one, other)) == as_set(one) & as_set(other)
    assert seqs_of(difference(one, other)) == as_set(one) - as_set(other)
    for marks in (union(one, other), intersection(one, other)):
        assert_normal(marks)
    assert union(one, other) == union(other, one)
    assert intersection(one, other) == intersection(other, one)
    assert union(intersection(one, other), settle(NO_MARKS, difference(one, other))) == one


@given(MARKS, st.integers(0, 50), st.integers(0, 50))
def test_what_is_unsettled(marks, first, last):
    unsettled = set(range(1, TOP)) - as_set(marks)
    assert next_unsettled(marks, first) == min(seq for seq in unsettled if seq > first)
    assert count_unsettled(marks, first, last) == len({seq for seq in unsettled if first <= seq <= last})
    assert count(marks) + count_unsettled(marks, 1, highest(marks)) == highest(marks)
    below = unsettled_below(marks, first)
    assert seqs_of(below) == {seq for seq in unsettled if seq < first}
    assert below == sorted(below)


@given(MARKS)
def test_equal_sets_are_equal_values_in_the_database_and_in_the_receipt(marks):
    assert decode_marks(marks.mark, encode_beyond(marks)) == marks
    sent = StreamReceipt(kind="facts", mark=marks.mark, beyond=list(marks.beyond))
    received = decode_receipt(encode_receipt(Receipt(generation="g", at_ns=1, streams={"a": sent})))
    assert received.streams["a"].marks == marks


def test_stored_and_sent_texts_stay_as_they_are():
    marks = Marks(3, ((5, 6), (9, 9)))
    assert encode_beyond(marks) == "[[5, 6], [9, 9]]"
    assert encode_beyond(NO_MARKS) == "[]"
    sent = StreamReceipt(kind="facts", mark=3, beyond=list(marks.beyond))
    text = encode_receipt(Receipt(generation="g", at_ns=1, streams={"a": sent})).decode()
    assert text == '{"generation":"g","at_ns":1,"streams":{"a":{"kind":"facts","mark":3,"beyond":[[5,6],[9,9]]}}}'


@pytest.mark.parametrize("text", ["", "[", "[1]", "[[1]]", '[["x", 2]]', "3"])
def test_damaged_ranges_are_refused(text):
    with pytest.raises((ValueError, TypeError)):
        decode_marks(1, text)


def test_the_highest_seq_can_be_settled():
    marks = settle(NO_MARKS, [(MAX_SEQ, MAX_SEQ)])
    assert is_settled(marks, MAX_SEQ)
    assert holes(marks) == ((1, MAX_SEQ - 1),)
    assert settle(marks, [(1, MAX_SEQ - 1)]) == Marks(MAX_SEQ)


@pytest.mark.parametrize(
    ("ranges", "marks"),
    [
        ([(1, 3)], Marks(3)),
        ([(2, 3)], Marks(0, ((2, 3),))),
        ([(2, 3), (1, 1)], Marks(3)),
        ([(5, 5), (2, 3), (4, 4)], Marks(0, ((2, 5),))),
        ([(1, 1), (2, 2), (4, 9), (6, 7)], Marks(2, ((4, 9),))),
    ],
)
def test_examples(ranges, marks):
    assert one_by_one(ranges) == marks
