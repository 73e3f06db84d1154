"""When there is no room: first process values that the center has, then others, said by a `dropped` envelope, then
facts that it has; never facts that it does not have."""

import random
from collections import Counter

import pytest

from agent.outbox import envelopes as on_disk
from agent.outbox.disk import DiskFull
from agent.outbox.outbox import Outbox
from center.contract.streams import StreamRecord, drop
from wire.bodies import Dropped
from wire.envelope import decode_content, open_envelope
from wire.marks import Marks, settle

NOW = 1_800_000_000_000_000_000


@pytest.fixture
def outbox(tmp_path):
    opened = Outbox(tmp_path / "outbox.db", budget_mb=1)
    yield opened
    opened.close()


def body(kind, number, size=3000):
    return kind, {"n": number, "pad": random.Random(number).randbytes(size).hex()}


def kept(outbox):
    """Kind to the seqs on disk."""
    rows = outbox.file.db.execute("select kind, seq from envelopes e join streams s on s.no = e.stream order by seq")
    out = {}
    for kind, seq in rows:
        out.setdefault(kind, []).append(seq)
    return out


def dropped(outbox):
    """What the `dropped` envelopes on disk say, by their seq."""
    found = [
        open_envelope(data)
        for _, _, data in on_disk.read(outbox.file, [key for _, key in on_disk.waiting(outbox.file, 10_000)])
    ]
    return {
        item.seq: [tuple(span) for span in Dropped.model_validate(inside).dropped]
        for item in found
        if "dropped" in (inside := decode_content(item))
    }


def test_values_go_before_facts_and_receipted_ones_first(outbox):
    for number in range(60):
        outbox.commit([body("facts", number), body("values", number)], {}, NOW)
    facts, values = on_disk.current_stream(outbox.file, "facts"), on_disk.current_stream(outbox.file, "values")
    outbox.receipted({facts: Marks(60), values: Marks(20)}, "g1", NOW)
    number = 60
    while kept(outbox)["values"][0] <= 20:
        outbox.commit([body("facts", number)], {}, NOW)
        number += 1
    assert kept(outbox)["values"] == list(range(21, 61)), "what the center has goes first, and nothing else yet"
    assert len(kept(outbox)["facts"]) == number
    while 1 in kept(outbox)["facts"]:
        assert len(kept(outbox)["facts"]) == number
        outbox.commit([body("facts", number)], {}, NOW)
        number += 1
    left = set(kept(outbox)["values"]) - set(dropped(outbox))
    assert len(left) <= 2, "facts that the center has outlive values that it has not"
    with pytest.raises(DiskFull):
        for more in range(number, number + 300):
            outbox.commit([body("facts", more)], {}, NOW)
    waiting = [key.seq for _, key in on_disk.waiting(outbox.file, 10_000) if key.stream == facts]
    assert waiting == list(range(61, waiting[-1] + 1)), "facts that the center has not are never given up"


def test_a_dropped_envelope_lets_the_center_settle_everything(outbox):
    """Values for a month without a line: the newest are kept, and what is sent settles every number."""
    outbox.commit([body("facts", 0)], {}, NOW)
    evicted = Counter()
    last = 0
    for number in range(700):
        for item in outbox.commit([body("values", number, 1500)], {}, NOW):
            evicted["envelopes"] += item.evicted
            assert item.key.seq == last + 1
            last = item.key.seq
    seqs = kept(outbox)["values"]
    assert seqs == list(range(seqs[0], last + 1)), "the newest are kept"
    assert evicted["envelopes"] == last - len(seqs)
    assert outbox.used_mb() <= 1.05
    said = dropped(outbox)
    assert said
    state = StreamRecord("values")
    for seq in seqs:
        state = drop(state, said[seq]) if seq in said else state
        state = StreamRecord("values", settle(state.marks, [(seq, seq)]), dropped=state.dropped)
    assert state.marks == Marks(last), "no hole is left"


def test_pruning_an_outbox_over_its_budget_says_what_it_gave_up(outbox):
    for number in range(80):
        outbox.commit([body("values", number)], {}, NOW)
    outbox.room.budget_bytes //= 4
    gone, sealed = outbox.prune(NOW)
    assert gone == sealed[0].evicted > 0
    assert dropped(outbox) == {81: [(1, gone)]}
