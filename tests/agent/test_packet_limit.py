"""How large a packet the broker takes, where it says so and where it only ends the connection."""

from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.outbox.streams import EnvelopeKey
from agent.uplink.in_flight import InFlight
from wire.broker_limits import PACKET_TOO_LARGE, BrokerLimits, limits_of, packet_bytes
from wire.packet_limit import FORGET_AFTER_S, PROOF_S, PacketLimit
from wire.topics import topic


class Line:
    """Messages on connections to a broker that takes packets of at most `most` bytes and announces nothing."""

    def __init__(self, most):
        self.most, self.limit, self.connections = most, PacketLimit(), 1
        self.limit.begin(None, 0.0)

    def send(self, sizes):
        """Sends what fits, a batch at a time, over as many connections as it takes; returns what was taken."""
        waiting, taken, mid = list(sizes), [], 0
        for _ in range(20 + 4 * len(sizes)):
            waiting = [size for size in waiting if self.limit.fits(size)]
            if not waiting:
                return taken
            batch = waiting[:1] if self.limit.careful else waiting[:4]
            mids = []
            for size in batch:
                mid += 1
                self.limit.sent(mid, size, 0.0)
                mids.append((mid, size))
            for number, size in mids:
                if size > self.most:
                    self.limit.lost(0.0)
                    self.limit.begin(None, 0.0)
                    self.connections += 1
                    break
                self.limit.acknowledged(number)
                waiting.remove(size)
                taken.append(size)
        raise AssertionError(f"it does not come to an end: {waiting}")


@given(st.integers(50, 2000), st.lists(st.integers(20, 4000), min_size=1, max_size=30))
@settings(max_examples=examples(100))
def test_what_the_broker_takes_gets_through_whatever_is_too_large(most, sizes):
    line = Line(most)
    assert sorted(line.send(sizes)) == sorted(size for size in sizes if size <= most)
    assert line.limit.most_bytes is None or line.limit.most_bytes >= max(
        (size for size in sizes if size <= most), default=0
    )


def test_a_line_that_breaks_teaches_nothing():
    limit = PacketLimit()
    for _ in range(9):
        limit.begin(None, 0.0)
        limit.sent(1, 900, 0.0)
        limit.acknowledged(1)
        limit.sent(2, 800, 0.0)
        limit.lost(0.0)
    assert limit.most_bytes is None


def test_a_limit_that_was_found_is_tried_again_after_an_hour():
    limit = PacketLimit()
    for _ in range(3):
        limit.begin(None, 100.0)
        limit.sent(1, 900, 100.0)
        limit.lost(100.0)
    assert (limit.most_bytes, limit.announced) == (899, False)
    limit.begin(None, 100.0 + FORGET_AFTER_S)
    assert limit.most_bytes is None
    limit.begin(700, 100.0 + FORGET_AFTER_S)
    assert (limit.most_bytes, limit.announced) == (700, True)
    assert limit.fits(700)
    assert not limit.fits(701)


def test_a_packet_that_is_not_acknowledged_is_proven_by_the_next_that_is():
    limit = PacketLimit()
    limit.sent(1, 10, 0.0)
    limit.lost(0.0)
    limit.begin(None, 0.0)
    limit.sent(None, 900, 0.0)
    assert limit.blocked(0.0)
    assert limit.needs_proof(0.0)
    limit.sent(2, 50, 0.0)
    limit.acknowledged(2)
    assert not limit.blocked(0.0)
    limit.sent(3, 900, 0.0)
    assert not limit.blocked(0.0)


def test_what_is_never_acknowledged_holds_up_nothing_for_long():
    """A broker that refuses a kind without a word keeps the connection: the size is not why, and other kinds go on."""
    line = InFlight()
    for start_s in (0.0, 1000.0, 2000.0):
        line.begin(BrokerLimits(), start_s)
        line.sent(1, "status", None, 100, start_s)
        line.answered(1, 0, start_s)
        line.sent(2, "facts", EnvelopeKey("s", 1), 5000, start_s)
        assert line.most_envelopes(start_s + PROOF_S) > 0
        assert not line.packets.lost(start_s + 180.0)
        assert line.packets.careful
    assert line.packets.most_bytes is None


def test_a_refusal_for_its_size_is_a_limit_at_once():
    line = InFlight()
    line.begin(BrokerLimits(), 0.0)
    line.sent(1, "facts", None, 500, 0.0)
    line.answered(1, PACKET_TOO_LARGE, 0.0)
    assert line.packets.most_bytes == packet_bytes("facts", 500) - 1


def test_never_more_than_the_broker_takes_at_once():
    line = InFlight()
    line.begin(BrokerLimits(unacknowledged=3), 0.0)
    assert line.most_envelopes(0.0) == 2, "one place is left for the status"
    line.sent(1, "facts", None, 10, 0.0)
    line.sent(2, "facts", None, 10, 0.0)
    assert (line.most_envelopes(0.0), line.room) == (0, 1)
    line.sent(3, "status", None, 10, 0.0)
    assert line.room == 0
    line.answered(1, 0, 0.0)
    line.answered(2, 0, 0.0)
    assert line.most_envelopes(0.0) == 1
    line.begin(BrokerLimits(unacknowledged=1), 0.0)
    assert line.most_envelopes(0.0) == 1


def test_limits_of_a_connack():
    assert limits_of(None) == BrokerLimits()

    class Properties:
        MaximumPacketSize, ReceiveMaximum, MaximumQoS, RetainAvailable = 700, 10, 0, 0

    assert limits_of(Properties()) == BrokerLimits(700, 10, 0, retains=False)


@given(st.integers(0, 3_000_000))
@settings(max_examples=examples(50))
def test_the_size_of_a_packet_is_what_mqtt_sends(size):
    name = topic("test", "main", "facts")
    rest = 2 + len(name) + 2 + 1 + size
    length = len(bytes((rest >> 7 * place) & 0x7F for place in range(4) if place == 0 or rest >> 7 * place))
    assert packet_bytes(name, size) == 1 + length + rest
