"""What an arriving envelope is, and what a `dropped` one counts (the law of settling itself: tests/wire/test_marks.py)."""

from hypothesis import given
from hypothesis import strategies as st

from center.contract.streams import SeqStatus, StreamRecord, classify, drop
from wire.marks import Marks, is_settled, settle

seqs = st.integers(1, 40)
ranges = st.lists(st.tuples(seqs, st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=12)


def _set(marks):
    return {seq for seq in range(1, 60) if is_settled(marks, seq)}


@given(ranges, ranges)
def test_dropping_counts_only_what_was_open(stored, given_up):
    state = StreamRecord("facts", settle(Marks(), stored))
    after = drop(state, given_up)
    assert after.dropped == len(_set(after.marks) - _set(state.marks))
    assert drop(after, given_up) == after


@given(ranges, seqs, st.binary(min_size=1, max_size=2), st.dictionaries(seqs, st.binary(min_size=1, max_size=2)))
def test_a_verdict_is_new_repeated_or_conflict(parts, seq, digest, digests):
    marks = settle(Marks(), parts)
    verdict = classify(marks, digests, seq, digest)
    assert (verdict is SeqStatus.NEW) == (not is_settled(marks, seq))
    if verdict is SeqStatus.CONFLICT:
        assert digests[seq] != digest
    if verdict is SeqStatus.REPEATED:
        assert digests.get(seq, digest) == digest
