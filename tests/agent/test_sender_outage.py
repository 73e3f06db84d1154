"""Long outages in no time: a week without a line, and a thousand gateways whose broker comes back."""

import random
import time
from collections import Counter

import pytest

from agent.outbox.streams import EnvelopeKey, OutboxStream
from agent.uplink.cadence import backoff_s
from agent.uplink.sender import Sender
from agent.uplink.stream_window import SendLimits
from wire.marks import NO_MARKS, settle
from wire.receipts import Receipt, StreamReceipt

DAY_S = 86_400.0
COMMIT_S = 10.0
FACTS = "f" * 16


class World:
    """A gateway that commits every ten seconds, a line that may be cut, a center that receipts in batches."""

    def __init__(self, limits=None):
        self.sender = Sender([OutboxStream(FACTS, "facts", 1, 0)], "g1", limits or SendLimits())
        self.now_s = 0.0
        self.sent = Counter()
        self.arrived = set()
        self.written = 0

    def commit(self):
        self.written += 1
        self.sender.on_disk(FACTS, last=self.written)

    def deliver(self, lost=lambda: False):
        """Sends what is due and answers it, until nothing is due at this time; returns how many were sent."""
        count = 0
        while keys := self.sender.due(self.now_s, 16):
            for key in keys:
                self.sent[key.seq] += 1
                self.sender.accepted(key, self.now_s)
                if not lost():
                    self.arrived.add(key.seq)
            count += len(keys)
            self.receipt()
        return count

    def receipt(self, session="s1"):
        known = settle(NO_MARKS, [(seq, seq) for seq in self.arrived])
        stream = StreamReceipt(kind="facts", mark=known.mark, beyond=list(known.beyond))
        said = Receipt(generation="g1", at_ns=1, session=session, streams={FACTS: stream})
        self.sender.receipt(said, self.now_s)

    def wait(self):
        """To the time at which something may become due by itself."""
        next_s = self.sender.next_s()
        assert next_s is not None
        self.now_s = max(self.now_s + 1e-3, next_s)


def test_a_week_without_a_line_is_sent_once_and_in_order():
    world = World()
    began_s = time.process_time()
    for _ in range(int(7 * DAY_S / COMMIT_S)):
        world.now_s += COMMIT_S
        world.commit()
        assert world.sender.next_s() is None, "nothing to wake up for without a line"
    assert world.sender.waiting == world.written == 60_480
    world.sender.connected(world.now_s)
    order = []
    while world.sender.waiting:
        keys = world.sender.due(world.now_s, 16)
        if not keys:
            world.wait()
            continue
        order += [key.seq for key in keys]
        for key in keys:
            world.sender.accepted(key, world.now_s)
        stream = StreamReceipt(kind="facts", mark=order[-1])
        world.sender.receipt(Receipt(generation="g1", at_ns=1, streams={FACTS: stream}), world.now_s)
    assert order == list(range(1, 60_481))
    assert time.process_time() - began_s < 5.0, "milliseconds on any machine; seconds would be a backlog in memory"


def test_a_bad_line_for_days_delivers_everything_and_does_not_repeat_for_ever():
    world, chance = World(), random.Random(5)
    for _ in range(600):
        world.now_s += COMMIT_S
        world.commit()
    world.sender.connected(world.now_s)
    while world.sender.waiting:
        if chance.random() < 0.02:  # the line breaks: what was in flight is unknown again
            world.sender.disconnected()
            world.now_s += 30
            world.sender.connected(world.now_s)
        if not world.deliver(lost=lambda: chance.random() < 0.3):
            world.wait()
    assert world.arrived == set(range(1, 601))
    assert sum(world.sent.values()) < 3 * 600


def test_what_was_sent_before_the_center_listened_is_sent_again_at_its_hello():
    """Not a minute later: the broker had acknowledged it, and nobody was subscribed."""
    world = World()
    for _ in range(5):
        world.commit()
    world.sender.connected(0.0)
    world.now_s = 2.0
    assert [key.seq for key in world.sender.due(world.now_s)] == [1, 2, 3, 4, 5]
    for seq in range(1, 6):
        world.sender.accepted(EnvelopeKey(FACTS, seq), 2.1)
    world.now_s = 20.0
    assert world.sender.due(world.now_s) == [], "patience: sixty seconds"
    world.receipt(session="hello")
    assert [key.seq for key in world.sender.due(world.now_s)] == [1, 2, 3, 4, 5]
    world.receipt(session="hello")
    assert world.sender.due(world.now_s + 1) == [], "a hello counts once"


def test_what_was_deleted_in_flight_leaves_its_place_in_the_window():
    """A full disk had the oldest deleted; what says so is sent at once, not when their receipts are overdue."""
    world = World(SendLimits(window=4))
    for _ in range(6):
        world.commit()
    world.sender.connected(0.0)
    assert [key.seq for key in world.sender.due(2.0)] == [1, 2, 3, 4]
    for seq in range(1, 5):
        world.sender.accepted(EnvelopeKey(FACTS, seq), 2.0)
    assert world.sender.due(3.0) == []
    world.sender.on_disk(FACTS, first=4)
    assert world.sender.next_s() <= 3.0
    assert [key.seq for key in world.sender.due(3.0)] == [5, 6]
    world.sender.accepted(EnvelopeKey(FACTS, 1), 3.0)  # the broker's late answer


def test_held_kinds_wait_and_others_go_on():
    values = "e" * 16
    sender = Sender([OutboxStream(FACTS, "facts", 1, 2), OutboxStream(values, "values", 1, 2)], "g1")
    sender.connected(0.0)
    sender.held_kinds = {"values"}
    assert {key.stream for key in sender.due(5.0)} == {FACTS}
    sender.held_kinds = frozenset()
    assert sender.next_s() <= 5.0
    assert {key.stream for key in sender.due(5.0)} == {values}


@pytest.mark.parametrize(("away_s", "most_a_second", "within_s"), [(60, 900, 3), (3600, 60, 61), (6 * 3600, 60, 61)])
def test_a_thousand_gateways_do_not_storm_a_broker_that_comes_back(away_s, most_a_second, within_s):
    """All lost it in the same moment. Connects in each second after its return, and when the last is back."""
    chance = random.Random(11)
    back = []
    tries = 0
    for _ in range(1000):
        now_s, attempt = 0.0, 0
        while now_s < away_s:
            attempt += 1
            now_s += backoff_s(attempt, now_s, chance.random())
            tries += 1
        back.append(now_s - away_s)
    seconds = Counter(int(delay_s) for delay_s in back)
    assert max(seconds.values()) <= most_a_second
    assert max(back) <= within_s
    assert tries / 1000 / max(away_s, 1) < 1.1, "a try a second at most while it is away"


def test_a_broker_that_bears_a_hundred_connects_a_second_gets_a_thousand_gateways_back():
    """Whoever is turned away tries again later, so a slow broker is not kept from answering by those who ask."""
    chance = random.Random(3)
    away = {number: (chance.random(), 1) for number in range(1000)}
    refused = second = 0
    while away and second < 300:
        accepted = 0
        for number, (due_s, attempt) in sorted(away.items(), key=lambda item: item[1]):
            if due_s >= second + 1:
                break
            if accepted < 100:
                accepted += 1
                del away[number]
            else:
                refused += 1
                away[number] = (due_s + backoff_s(attempt + 1, due_s + 60, chance.random()), attempt + 1)
        second += 1
    assert not away
    assert second <= 40
    assert refused < 8000
