"""The gateway's sender and the center's intake, wired back to back: no broker, no disk, no clock, and every fault.

A network loses, repeats and reorders messages and receipts; either side is killed between any two steps; the center is
restored from an older copy; a cloned memory card writes other content under the gateway's numbers; the gateway deletes
what is receipted and evicts process values. Whatever the order: nothing is deleted before the center has stored it, no
envelope is counted twice, and once the faults stop everything that is left arrives.

Two orders are given by MQTT and kept here: of one topic's receipts none of an older generation follows one of a newer,
and a subscription begins with the retained receipt.
"""

import copy
from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from examples import examples
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.outbox.streams import EnvelopeKey, OutboxStream
from agent.uplink.sender import ReceiptEffect, Sender
from agent.uplink.stream_window import SendLimits
from center.contract.ledger import Changes, LedgerSnapshot
from center.contract.streams import StreamKey
from center.ingest.planning.plan import EnvelopeMessage
from center.ingest.planning.planner import plan_messages
from center.ledger.cache import LedgerCache, is_ahead, receipt
from oee.model.facts import FACT_COLUMNS, MINUTE_NS, NO_LOSSES, Facts, make_table
from wire.bodies import Dropped, Status, facts_body
from wire.envelope import open_envelope, seal
from wire.marks import NO_MARKS, Marks, count, highest, is_settled, unsettled_below
from wire.receipts import contradicts, decode_receipt, encode_receipt
from wire.topics import Topic
from wire.value_buffer import ValueBuffer
from wire.values import values_bodies

SITE, GATEWAY = "van-long", "main"
LIMITS = SendLimits(window=4)
KINDS = ("facts", "values")
RENEW_AT_MOST_EVERY_S = 600.0


def fact_content(minute):
    sums = np.zeros((1, len(FACT_COLUMNS)), np.int64)
    sums[0, FACT_COLUMNS.index("running_ms")] = 60_000
    facts = make_table(Facts, [("press-1", minute * MINUTE_NS, 0, 20_000, "A", "1")], sums, np.zeros(1, np.int64))
    return facts_body(facts, NO_LOSSES, [])


def value_content(minute):
    rows = ValueBuffer(("plc.temperature",))
    rows.add(0, minute * 60_000_000, 21.5, 0)
    (body,) = values_bodies(rows)
    return body


@dataclass
class Disk:
    """What a power cut leaves of an outbox."""

    generation: str = ""
    streams: dict[str, OutboxStream] = field(default_factory=dict)
    envelopes: dict[EnvelopeKey, bytes] = field(default_factory=dict)

    def first(self, stream):
        return min((key.seq for key in self.envelopes if key.stream == stream.stream), default=stream.last + 1)

    def sent_streams(self):
        return [replace(item, first=self.first(item)) for item in self.streams.values()]


class Gateway:
    """The outbox on a dictionary, the committer's steps, and the product's sender."""

    def __init__(self):
        self.disk, self.made, self.ids = Disk(), 0, 0
        self.notices, self.freed, self.evicted, self.retired = set(), set(), set(), set()
        self.begin_streams()
        self.start(0.0)

    def begin_streams(self):
        self.retired |= set(self.disk.streams)
        self.disk.streams.clear()
        for kind in KINDS:
            self.ids += 1
            self.disk.streams[f"{self.ids:016x}"] = OutboxStream(f"{self.ids:016x}", kind, 1, 0)

    def start(self, now_s):
        """The process starts: all that it knows is on disk."""
        self.sender = Sender(self.disk.sent_streams(), self.disk.generation, LIMITS)
        self.checks, self.to_keep = {}, None
        self.sender.connected(now_s)

    def add(self, kind, content=None):
        stream = next(item for item in self.disk.streams.values() if item.kind == kind)
        self.made += 1
        if content is None:
            content = fact_content(self.made) if kind == "facts" else value_content(self.made)
        key = EnvelopeKey(stream.stream, stream.last + 1)
        if "dropped" in content:
            self.notices.add(key)
        self.disk.streams[key.stream] = replace(stream, last=key.seq)
        self.disk.envelopes[key] = seal(key.stream, key.seq, self.made, content).data
        self.sender.on_disk(key.stream, last=key.seq)

    def commit(self, kinds=()):
        """Receipts go to disk; new envelopes are sealed."""
        effect, self.to_keep = self.to_keep, None
        if effect and effect.ahead:
            self.begin_streams()
            self.sender.replace(self.disk.sent_streams())
        elif effect:
            self.disk.generation = self.sender.generation
            for name, window in self.sender.streams.items():
                self.disk.streams[name] = replace(self.disk.streams[name], marks=window.marks)
            lost = [
                (window.kind, unsettled_below(window.marks, window.first)) for window in self.sender.streams.values()
            ]
            for kind, ranges in lost if effect.new_generation else []:
                if ranges:
                    self.add(kind, Dropped(dropped=ranges, why="lost").model_dump(mode="json"))
        for kind in kinds:
            self.add(kind)

    def prune(self):
        """Deletes what the receipts on disk cover."""
        for stream in self.disk.streams.values():
            gone = [key for key in self.disk.envelopes if key.stream == stream.stream and key.seq <= stream.marks.mark]
            self.delete(stream, gone)
            self.freed |= set(gone)

    def evict(self, most):
        """Gives up the oldest process values, once those are gone that the center has; an envelope says which. The
        newest stays.
        """
        self.prune()
        stream = next(item for item in self.disk.streams.values() if item.kind == "values")
        mark = stream.marks.mark
        unsettled = sorted(key for key in self.disk.envelopes if key.stream == stream.stream and key.seq > mark)
        gone = unsettled[:-1][:most]
        if gone:
            self.delete(stream, gone)
            self.evicted |= set(gone)
            ranges = [(mark + 1, self.disk.first(stream) - 1)]
            self.add("values", Dropped(dropped=ranges, why="disk").model_dump(mode="json"))

    def delete(self, stream, keys):
        for key in keys:
            del self.disk.envelopes[key]
        self.sender.on_disk(stream.stream, first=self.disk.first(stream))

    def send(self, now_s, acknowledged=True):
        """What is due, as messages."""
        for stream, check in self.checks.items():
            data = self.disk.envelopes.get(EnvelopeKey(stream, check[0]))
            if data is not None and contradicts(data, check):
                self.learn(self.sender.bar(stream))
        self.checks = {}
        out = []
        for key in self.sender.due(now_s):
            data = self.disk.envelopes.get(key)
            if data is None:
                self.sender.missing(key)
                continue
            assert not is_settled(self.sender.streams[key.stream].marks, key.seq), "sent after its receipt"
            out.append((self.sender.streams[key.stream].kind, data))
            if acknowledged:
                self.sender.accepted(key, now_s)
        return out

    def hear(self, data, now_s):
        """A receipt; True if the center should be told our status at once."""
        effect = self.sender.receipt(decode_receipt(data), now_s)
        self.checks |= effect.checks
        if effect.changed:
            self.learn(effect)
        return effect.new_generation or effect.behind

    def learn(self, effect: ReceiptEffect):
        self.to_keep = effect if self.to_keep is None else self.to_keep.and_then(effect)

    def status(self):
        marks = {name: window.marks.mark for name, window in self.sender.streams.items()}
        return Status(online=True, at_ns=1, generation=self.sender.generation, marks=marks)


@dataclass
class Store:
    """What a power cut leaves of the center: facts and ledger, written in one transaction."""

    generation: str = "g0"
    streams: dict = field(default_factory=dict)
    digests: dict = field(default_factory=dict)
    owners: dict = field(default_factory=dict)
    contents: dict = field(default_factory=dict)  # digests of what was settled, kept here and not by the product
    stored: Counter = field(default_factory=Counter)
    quarantined: Counter = field(default_factory=Counter)

    def commit(self, plan):
        changes = plan.changes()
        self.streams |= changes.streams
        for (key, seq), digest in changes.digests.items():
            self.digests.setdefault(key, {})[seq] = digest
        self.owners |= {(owner.site, owner.machine): owner for owner in changes.owners}
        for batch in plan.batches:
            self.stored[EnvelopeKey(batch.origin.stream, batch.seq)] += 1
        return changes


class Center:
    """The store on dictionaries, and the product's planning and cache."""

    def __init__(self):
        self.store, self.sessions, self.generations, self.renewed_s = Store(), 0, 0, -1e9
        self.ever_settled = set()
        self.start()

    def start(self):
        """The process starts: all that it knows is in the store."""
        self.sessions += 1
        snapshot = LedgerSnapshot(
            self.store.generation, dict(self.store.streams), copy.deepcopy(self.store.digests), self.store.owners, []
        )
        self.cache = LedgerCache(snapshot)

    def take(self, messages):
        """Plans and commits; the cache follows with `adopt`."""
        arrived = [EnvelopeMessage(Topic(SITE, GATEWAY, kind), data) for kind, data in messages]
        plan = plan_messages(self.cache, arrived, 1_000)
        self.compare_contents(plan, arrived)
        changes = self.store.commit(plan)
        for key, record in changes.streams.items():
            seqs = range(1, record.marks.beyond[-1][1] + 1 if record.marks.beyond else record.marks.mark + 1)
            self.ever_settled |= {EnvelopeKey(key.stream, seq) for seq in seqs if is_settled(record.marks, seq)}
        return plan, changes

    def compare_contents(self, plan, arrived):
        """Another content under a settled number is a conflict, also within one batch, and the gateway will be told."""
        conflicts = []
        for envelope in (open_envelope(message.payload) for message in arrived):
            known = self.store.contents.setdefault(EnvelopeKey(envelope.stream, envelope.seq), envelope.digest)
            conflicts += [envelope.stream] if known != envelope.digest else []
        assert plan.counts["conflicts"] == len(conflicts)
        assert {key.stream for key in plan.disputed} == set(conflicts)

    def adopt(self, plan, changes):
        self.cache.adopt(changes)
        self.cache.disputed |= plan.disputed

    def receipt(self):
        return encode_receipt(receipt(self.cache, SITE, GATEWAY, 5, session=f"s{self.sessions}"))

    def hear(self, status, now_s):
        """A gateway's status; True if it is owed a receipt."""
        if is_ahead(self.cache, SITE, GATEWAY, status):
            if now_s - self.renewed_s < RENEW_AT_MOST_EVERY_S:
                return False
            self.renewed_s, self.generations = now_s, self.generations + 1
            self.store.generation = f"g{self.generations}"
            self.cache.adopt(Changes(generation=self.store.generation))
            return True
        return status.generation != self.cache.generation


class BackToBack(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now_s = 10.0
        self.gateway, self.center = Gateway(), Center()
        self.air: list = []  # messages on their way to the center
        self.receipts: list = []  # (place in the topic's order, generation, data)
        self.published = self.clones = 0
        self.heard_from = 0  # receipts older than the last one of a new generation do not come any more
        self.forged: set[EnvelopeKey] = set()
        self.backups = []

    def publish_receipt(self):
        self.published += 1
        self.retained = (self.published, self.center.cache.generation, self.center.receipt())
        self.receipts.append(self.retained)

    def hear(self, place, generation, data):
        if place < self.heard_from:
            return
        if generation != self.gateway.sender.generation:
            self.heard_from = place
        if self.gateway.hear(data, self.now_s):
            self.air.append(("status", self.gateway.status()))

    def center_takes(self, messages, killed=False):
        enveloped = [(kind, data) for kind, data in messages if kind != "status"]
        plan, changes = self.center.take(enveloped)
        if killed:
            self.kill_center()
            return
        self.center.adopt(plan, changes)
        owed = bool(plan.heard)
        for _, status in (item for item in messages if item[0] == "status"):
            owed = self.center.hear(status, self.now_s) or owed
        if owed:
            self.publish_receipt()

    # the plant runs

    @rule(kinds=st.lists(st.sampled_from(KINDS), max_size=3))
    def commit(self, kinds):
        self.gateway.commit(kinds)

    @rule(acknowledged=st.booleans())
    def send(self, acknowledged):
        self.air += self.gateway.send(self.now_s, acknowledged)

    @rule()
    def say_status(self):
        self.air.append(("status", self.gateway.status()))

    @rule(seconds=st.sampled_from([1, 30, 100, 700]))
    def wait(self, seconds):
        self.now_s += seconds

    @rule()
    def prune(self):
        self.gateway.prune()

    @rule(most=st.integers(1, 3))
    def evict(self, most):
        self.gateway.evict(most)

    @precondition(lambda self: self.air)
    @rule(places=st.lists(st.integers(0, 7), min_size=1, max_size=4), killed=st.booleans())
    def arrive(self, places, killed):
        """Some messages in any order reach the center, which may be killed between commit and receipt."""
        taken = [self.air.pop(place % len(self.air)) for place in places if self.air]
        self.center_takes(taken, killed)

    @precondition(lambda self: self.receipts)
    @rule(place=st.integers(0, 7))
    def hear_receipt(self, place):
        self.hear(*self.receipts.pop(place % len(self.receipts)))

    @rule(kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))
    def exchange(self, kinds):
        """Some new envelopes, delivered and receipted without a fault."""
        self.now_s += 1.0
        self.gateway.commit(kinds)
        self.center_takes(self.gateway.send(self.now_s))
        if self.receipts:
            self.hear(*self.receipts.pop())
        self.gateway.commit()

    # the network fails

    @precondition(lambda self: self.air)
    @rule(place=st.integers(0, 7))
    def lose(self, place):
        self.air.pop(place % len(self.air))

    @precondition(lambda self: self.air)
    @rule(place=st.integers(0, 7))
    def repeat(self, place):
        self.air.append(self.air[place % len(self.air)])

    @precondition(lambda self: self.receipts)
    @rule(place=st.integers(0, 7), again=st.booleans())
    def lose_or_repeat_receipt(self, place, again):
        item = self.receipts[place % len(self.receipts)]
        self.receipts.append(item) if again else self.receipts.remove(item)

    @rule()
    def reconnect(self):
        self.gateway.sender.disconnected()
        self.gateway.sender.connected(self.now_s)
        if self.published:
            self.hear(*self.retained)
        self.now_s += LIMITS.listen_first_s
        self.oldest_go_first()  # nothing is in flight any more

    @rule()
    def center_was_away(self):
        """What was sent meanwhile is lost; the first receipt of its new session says so, before any time-out."""
        self.air = []
        self.kill_center()
        self.hear(*self.retained)
        self.now_s += max(LIMITS.hole_after_s, LIMITS.listen_first_s)
        self.oldest_go_first()

    def oldest_go_first(self):
        self.air += (sent := self.gateway.send(self.now_s))
        for name, window in self.gateway.sender.streams.items():
            wanted = [
                key
                for key in self.gateway.disk.envelopes
                if key.stream == name and not is_settled(window.marks, key.seq)
            ]
            if wanted and not window.barred:
                assert (window.kind, self.gateway.disk.envelopes[min(wanted)]) in sent

    # processes are killed, disks replaced

    @rule()
    def kill_gateway(self):
        self.gateway.start(self.now_s)

    @rule()
    def kill_center(self):
        self.center.start()
        self.publish_receipt()

    @rule()
    def back_up(self):
        self.backups = [*self.backups[-1:], copy.deepcopy(self.center.store)]

    @precondition(lambda self: self.backups)
    @rule(place=st.integers(0, 1))
    def restore(self, place):
        self.center.store = copy.deepcopy(self.backups[place % len(self.backups)])
        self.kill_center()

    @rule(kind=st.sampled_from(KINDS), ahead=st.integers(-3, 2))
    def clone(self, kind, ahead):
        """A copied card sends other content under one of the gateway's numbers."""
        stream = next(item for item in self.gateway.disk.streams.values() if item.kind == kind)
        self.air.append(self.forge(kind, EnvelopeKey(stream.stream, max(stream.last + ahead, 1))))

    @rule(kind=st.sampled_from(KINDS))
    def overtake(self, kind):
        """A copied card's envelope is stored under the number that the gateway gives its next."""
        self.gateway.commit([kind])
        stream = next(item for item in self.gateway.disk.streams.values() if item.kind == kind)
        self.center_takes([self.forge(kind, EnvelopeKey(stream.stream, stream.last))])

    def forge(self, kind, key):
        self.forged.add(key)
        self.clones += 1
        minute = 100_000 + self.clones  # of its own: that two streams cover one minute is another story
        content = fact_content(minute) if kind == "facts" else value_content(minute)
        return kind, seal(key.stream, key.seq, 99, content).data

    # what must always be true

    @invariant()
    def each_envelope_is_counted_once(self):
        assert set(self.center.store.stored.values()) <= {1}
        for record in self.center.store.streams.values():
            settled = record.stored + record.quarantined + record.dropped + record.discarded
            assert settled == count(record.marks)
            assert not record.quarantined

    @invariant()
    def nothing_is_deleted_before_the_center_has_it(self):
        assert self.gateway.freed <= self.center.ever_settled

    @invariant()
    def a_gateway_believes_no_more_to_be_settled_than_it_has_written(self):
        for window in self.gateway.sender.streams.values():
            assert highest(window.marks) <= window.last

    @invariant()
    def the_cache_says_no_more_than_the_store(self):
        assert self.center.cache.generation == self.center.store.generation
        assert self.center.cache.streams == self.center.store.streams

    def teardown(self):
        """The faults stop: a few rounds later everything is there, and nothing is sent any more."""
        for _ in range(40):
            self.now_s += 700.0
            self.gateway.commit()
            self.air += self.gateway.send(self.now_s)
            self.air.append(("status", self.gateway.status()))
            arrived, self.air = self.air, []
            self.center_takes(arrived)
            receipts, self.receipts = self.receipts, []
            for item in receipts:
                self.hear(*item)
            self.each_envelope_is_counted_once()
        assert self.gateway.sender.waiting == 0
        assert self.gateway.send(self.now_s + 10_000.0) == []
        assert self.gateway.sender.generation == self.center.store.generation
        gateway, store = self.gateway, self.center.store
        last = decode_receipt(self.center.receipt()).streams
        for stream, check in ((name, last[name].check) for name in gateway.disk.streams if name in last):
            data = gateway.disk.envelopes.get(EnvelopeKey(stream, check[0])) if check else None
            assert data is None or not contradicts(data, check), "goes on under numbers that mean something else"
        for key in {*gateway.disk.envelopes, *gateway.freed, *gateway.evicted}:
            if key.stream in gateway.retired:
                continue
            record = store.streams[StreamKey(SITE, GATEWAY, key.stream)]
            assert is_settled(record.marks, key.seq)
            exempt = self.forged | gateway.notices | gateway.evicted
            if key in gateway.disk.envelopes and key not in exempt:
                assert store.stored[key] == 1
        for stream in gateway.disk.streams.values():
            record = store.streams.get(StreamKey(SITE, GATEWAY, stream.stream))
            assert (record.marks if record else NO_MARKS) == Marks(stream.last), "no hole is left"


BackToBack.TestCase.settings = settings(max_examples=examples(120), stateful_step_count=30, deadline=None)
TestBackToBack = BackToBack.TestCase
