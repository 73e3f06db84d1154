"""The sender as a law: whatever is lost, doubled or reordered, an envelope is sent until receipted, and never after."""

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.outbox.streams import EnvelopeKey, OutboxStream
from agent.uplink.sender import ReceiptEffect, Sender
from agent.uplink.stream_window import SendLimits
from wire.envelope import seal
from wire.marks import NO_MARKS, Marks, settle
from wire.receipts import Receipt, StreamReceipt, contradicts, digest_check

A, B = "a" * 16, "b" * 16


def receipt(generation="g1", **marks):
    streams = {
        stream: StreamReceipt(kind="facts", mark=known.mark, beyond=list(known.beyond))
        for stream, known in ((A, marks.get("a")), (B, marks.get("b")))
        if known is not None
    }
    return Receipt(generation=generation, at_ns=1, streams=streams)


def of(seqs):
    return settle(NO_MARKS, [(seq, seq) for seq in seqs])


def sender_with(last, **limits):
    sender = Sender([OutboxStream(A, "facts", 1, last)], "g1", SendLimits(**limits))
    sender.connected(0.0)
    return sender


def test_oldest_first_within_the_window_after_listening():
    sender = sender_with(5, window=3, listen_first_s=1.0)
    assert sender.due(0.5) == []
    assert [key.seq for key in sender.due(1.0)] == [1, 2, 3]
    assert sender.due(2.0) == []
    sender.receipt(receipt(a=Marks(2)), 2.0)
    assert [key.seq for key in sender.due(2.0)] == [4, 5]


def test_the_retained_receipt_ends_the_listening_and_saves_the_repetition():
    sender = sender_with(5)
    sender.receipt(receipt(a=Marks(4)), 0.2)
    assert [key.seq for key in sender.due(0.2)] == [5]


def test_site_before_facts_and_windows_of_their_own():
    sender = Sender([OutboxStream(A, "facts", 1, 9), OutboxStream(B, "site", 1, 9)], "g1", SendLimits(window=2))
    sender.connected(0.0)
    assert sender.due(1.0) == [EnvelopeKey(B, 1), EnvelopeKey(B, 2), EnvelopeKey(A, 1), EnvelopeKey(A, 2)]


def test_resent_60_s_after_the_brokers_word_then_with_backoff():
    sender = sender_with(1)
    assert sender.due(1.0)
    assert sender.next_s() == 601.0  # the broker has not answered yet
    sender.accepted(EnvelopeKey(A, 1), 20.0)
    assert sender.due(79.9) == []
    assert sender.due(80.0) == [EnvelopeKey(A, 1)]
    sender.accepted(EnvelopeKey(A, 1), 81.0)
    assert sender.next_s() == 81.0 + 120.0
    sender.receipt(receipt(), 90.0)  # the center lives: the back-off is over
    assert sender.next_s() == 80.0 + 60.0


def test_a_hole_is_sent_again_soon():
    sender = sender_with(4)
    sender.due(1.0)
    for seq in (1, 2, 3, 4):
        sender.accepted(EnvelopeKey(A, seq), 1.1)
    sender.receipt(receipt(a=Marks(1, ((3, 4),))), 2.0)
    assert sender.due(5.9) == []
    assert sender.due(6.0) == [EnvelopeKey(A, 2)]


def test_a_new_generation_takes_receipts_back():
    sender = sender_with(4)
    sender.due(1.0)
    assert sender.receipt(receipt(a=Marks(4)), 1.5).changed
    assert sender.waiting == 0
    learned = sender.receipt(receipt("g2", a=Marks(1, ((3, 3),))), 2.0)
    assert learned.new_generation
    assert [key.seq for key in sender.due(2.0)] == [2, 4]


def test_what_is_off_the_disk_is_not_sent():
    sender = Sender([OutboxStream(A, "facts", 3, 4, Marks(4))], "g1", SendLimits())
    sender.connected(0.0)
    sender.receipt(receipt("g2"), 1.0)
    assert [key.seq for key in sender.due(1.0)] == [3, 4]
    assert sender.waiting == 2


def test_what_could_not_be_sent_makes_room_and_may_be_tried_again():
    sender = sender_with(3, window=1)
    assert sender.due(1.0) == [EnvelopeKey(A, 1)]
    sender.missing(EnvelopeKey(A, 1))
    assert sender.due(1.0) == [EnvelopeKey(A, 2)]
    sender.missing(EnvelopeKey(A, 2), again=True)
    assert sender.due(1.0) == [EnvelopeKey(A, 2)]
    assert sender.due(1.0) == []


def test_what_is_in_flight_is_not_sent_beside_what_is_tried_again():
    sender = sender_with(3)
    assert len(sender.due(1.0)) == 3
    sender.missing(EnvelopeKey(A, 1), again=True)
    assert sender.due(1.0) == [EnvelopeKey(A, 1)]


def test_a_receipt_beyond_what_was_ever_written_means_a_copied_card():
    sender = sender_with(4)
    assert sender.receipt(receipt(a=Marks(5)), 1.0).ahead == (A,)
    known = Sender([OutboxStream(A, "facts", 1, 4, Marks(4))], "g1", SendLimits())
    learned = known.receipt(receipt(a=Marks(5)), 1.0)  # teaches no new mark, and must be acted upon all the same
    assert (learned.ahead, learned.changed) == ((A,), True)
    old = Sender([OutboxStream(A, "facts", 1, 4, current=False)], "g1", SendLimits())
    assert old.receipt(receipt(a=Marks(5)), 1.0).ahead == ()  # the end of a salvaged stream may be lost


def test_another_envelope_under_the_same_number_contradicts():
    mine, other = seal(A, 5, 1, {"n": 1}), seal(A, 5, 2, {"n": 1})
    assert not contradicts(mine.data, digest_check(5, mine.digest))
    assert contradicts(mine.data, digest_check(5, other.digest))
    assert not contradicts(mine.data, digest_check(6, other.digest))
    assert not contradicts(mine.data[:-1], digest_check(5, other.digest))
    told = StreamReceipt(kind="facts", mark=5, check=digest_check(5, other.digest))
    sender = sender_with(9)
    assert sender.receipt(Receipt(generation="g1", at_ns=1, streams={A: told}), 1.0).checks == {A: told.check}


def test_a_receipt_that_has_forgotten_something_is_noticed():
    sender = Sender([OutboxStream(A, "facts", 1, 9, Marks(6))], "g1", SendLimits())
    assert sender.receipt(receipt(a=Marks(3, ((7, 8),))), 1.0).behind
    assert sender.streams[A].marks.mark == 8
    assert not sender.receipt(receipt(a=Marks(9)), 2.0).behind
    assert not sender.receipt(receipt("g2", a=Marks(1)), 3.0).behind  # a new generation says so itself


EFFECTS = st.builds(ReceiptEffect, st.booleans(), st.booleans(), st.sampled_from([(), (A,)]), st.booleans())


@given(EFFECTS, EFFECTS)
def test_of_two_receipts_before_a_commit_none_is_forgotten(one, later):
    both = one.and_then(later)
    assert both.changed is (one.changed or later.changed)
    assert both.new_generation is (one.new_generation or later.new_generation)
    assert both.ahead == (one.ahead or later.ahead)


def test_nothing_is_due_while_disconnected_and_all_in_flight_again_after():
    sender = sender_with(2)
    sender.due(1.0)
    sender.disconnected()
    assert sender.due(1000.0) == []
    assert sender.next_s() is None
    sender.connected(1000.0)
    assert [key.seq for key in sender.due(1001.0)] == [1, 2]


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.integers(1, 3)),
        st.tuples(st.just("deliver"), st.integers(0, 5)),  # one of the messages in the air reaches the center
        st.tuples(st.just("lose"), st.integers(0, 5)),
        st.tuples(st.just("receipt"), st.integers(0, 3)),  # one of the latest receipts arrives, maybe again
        st.tuples(st.just("reconnect"), st.just(0)),
        st.tuples(st.just("wait"), st.sampled_from([1, 30, 100, 700])),
        st.tuples(st.just("restore"), st.integers(0, 30)),  # the center goes back to an older memory
    ),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(EVENTS)
def test_every_envelope_arrives_and_none_is_sent_after_its_receipt(events):
    sender = sender_with(0, window=4)
    now, last, generation = 0.0, 0, "g1"
    air, stored, told = [], set(), []
    seen = set()  # settled by the receipts that reached the sender, in its generation

    def pump():
        for key in sender.due(now):
            assert key.seq not in seen
            assert key.seq <= last
            air.append(key.seq)
            sender.accepted(key, now)

    for what, number in events:
        if what == "commit":
            last += number
            sender.on_disk(A, last=last)
        elif what == "deliver" and air:
            stored.add(air.pop(number % len(air)))
            told.append((generation, frozenset(stored)))
        elif what == "lose" and air:
            air.pop(number % len(air))
        elif what == "receipt" and told:
            said, seqs = told[-1 - number % min(3, len(told))]
            if said == generation:
                fresh = sender.generation != said
                sender.receipt(receipt(said, a=of(seqs)), now)
                seen = set(seqs) if fresh else seen | seqs
        elif what == "reconnect":
            sender.disconnected()
            sender.connected(now)
        elif what == "wait":
            now += number
        elif what == "restore":
            stored = {seq for seq in stored if seq <= number}
            generation += "x"
            told.append((generation, frozenset(stored)))
        pump()

    for _ in range(200):  # from here on nothing is lost any more
        now += 700.0
        pump()
        stored |= set(air)
        air.clear()
        fresh = sender.generation != generation
        sender.receipt(receipt(generation, a=of(stored)), now)
        seen = set(stored) if fresh else seen | stored
        if not fresh and len(stored) == last:
            break
    assert stored == set(range(1, last + 1))
    assert sender.waiting == 0
    assert sender.due(now + 10_000) == []
