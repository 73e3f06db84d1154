"""What each kind of message does to the books, without a network."""

import json
import zlib
from datetime import date, timedelta

import pytest
from center_plant import STREAM, envelope, facts, ns, running, site_body
from value_rows import gathered

from center.contract.ledger import LedgerSnapshot
from center.contract.streams import StreamKey
from center.ingest.planning.plan import EnvelopeMessage
from center.ingest.planning.planner import plan_messages, plan_replay
from center.ledger.cache import LedgerCache, is_ahead, receipt
from center.model.retention import OpenTimes, open_times
from oee.model.facts import MINUTE_NS, Stop
from oee.model.states import State
from wire.bodies import Status, facts_body
from wire.envelope import Unsound, open_envelope, seal
from wire.marks import Marks
from wire.topics import Topic
from wire.values import values_bodies

T = ns("2026-03-02T08:00:00")
KEY = StreamKey("van-long", "main", STREAM)


@pytest.fixture
def memory():
    return LedgerCache(LedgerSnapshot("generation-1", {}, {}, {}, []))


def take(memory, *payloads, gateway="main", kind="facts", refused=""):
    messages = [EnvelopeMessage(Topic("van-long", gateway, kind), payload) for payload in payloads]
    plan = plan_messages(memory, messages, 1_000, refused=refused)
    memory.adopt(plan.changes())
    return plan


def test_new_envelopes_are_stored_and_settled(memory):
    plan = take(memory, envelope(1, running(T, 2)), envelope(3, running(T + 10**12, 1)))
    assert [len(batch.facts) for batch in plan.batches] == [2, 1]
    assert plan.heard == {("van-long", "main")}
    state = memory.streams[KEY]
    assert (state.marks, state.stored, state.kind) == (Marks(1, ((3, 3),)), 2, "facts")
    slip = receipt(memory, "van-long", "main", 5)
    assert slip.generation == "generation-1"
    assert slip.streams[STREAM].mark == 1
    assert slip.streams[STREAM].beyond == [(3, 3)]
    last = open_envelope(envelope(3, running(T + 10**12, 1)))
    assert slip.streams[STREAM].check == (3, last.digest[:8].hex())


@pytest.mark.parametrize("together", [True, False])
def test_a_repetition_stores_nothing_and_is_receipted_again(memory, together):
    one = envelope(1, running(T, 1))
    plans = [take(memory, *part) for part in ([[one, one]] if together else [[one], [one]])]
    assert sum(len(plan.batches) for plan in plans) == 1
    assert plans[-1].heard == {("van-long", "main")}
    assert not plans[-1].quarantine
    assert memory.streams[KEY].duplicates == 1


@pytest.mark.parametrize("together", [True, False])
def test_the_same_seq_with_another_content_is_a_conflict(memory, together):
    one, other = envelope(1, running(T, 1)), envelope(1, running(T, 2))
    plans = [take(memory, one, other)] if together else [take(memory, one), take(memory, other)]
    assert sum(len(plan.batches) for plan in plans) == 1
    assert plans[-1].quarantine[0].payload == other
    assert plans[-1].quarantine[0].settled
    assert "conflict" in plans[-1].quarantine[0].reason
    assert memory.streams[KEY].conflicts == 1
    assert memory.streams[KEY].stored == 1


def _damaged():
    data = bytearray(envelope(1, running(T, 1)))
    data[60] ^= 1
    return bytes(data)


@pytest.mark.parametrize(
    "payload", [b"", b"hello", _damaged(), envelope(0), seal(STREAM, 2**64 - 1, 1, {}).data, b"x" * 200_000]
)
def test_an_unsound_payload_is_kept_for_people_and_settles_nothing(memory, payload):
    plan = take(memory, payload)
    assert not plan.batches
    assert not plan.streams
    assert not plan.heard
    (entry,) = plan.quarantine
    assert not entry.settled
    assert entry.payload == payload[:65_536]


def _raw(body, codec=0):
    """A sound header around any body."""
    import hashlib
    import struct

    head = struct.pack(">2sBB8sQq", b"NH", 1, codec, bytes.fromhex(STREAM), 1, 1)
    return head + hashlib.sha256(head + body).digest()[:20] + body


def _table(**changes):
    body = facts_body(facts(running(T, 2)), facts([]), [])
    return body | {"facts": body["facts"] | changes}


FORGED = {
    "no json": _raw(b"{"),
    "unknown codec": _raw(b"{}", codec=9),
    "not compressed": _raw(b"{}", codec=1),
    "larger than any agent makes": _raw(b" " * (8 * 2**20 + 1)),
    "larger once it is unpacked": _raw(zlib.compress(b" " * (8 * 2**20 + 1)), codec=1),
    "a million tiny objects": _raw(zlib.compress(b"[" + b"[]," * 10**6 + b"[]]"), codec=1),
    "nested too deep": _raw(zlib.compress(b"[" * 200_000), codec=1),
    "a list": envelope(1, content=[1, 2]),
    "unknown key": envelope(1, content={"fact": {}}),
    "a column too short": envelope(1, content=_table(n=[0])),
    "an unknown column": envelope(1, content=_table(sums={"profit": [1, 2]})),
    "an unknown class": envelope(1, content=_table(calendar=["holiday", "holiday"])),
    "a number too large": envelope(1, content=_table(sums={"running_ms": [2**63, 0]})),
    "an implausible number": envelope(1, content=_table(sums={"running_ms": [2**62, 0]})),
    "more time than a minute has": envelope(1, content=_table(sums={"running_ms": [60_001, 0]})),
    "more pieces than a counter holds": envelope(1, content=_table(sums={"pieces_total": [10**11, 0]})),
    "a minute moved about too often": envelope(1, running(T, 1, n=0) * 41),
    "sums of thirty years": envelope(1, [row | {"ideal_total_us": 10**14} for row in running(T, 11)]),
    "more rows than an agent puts into one": envelope(1, content=_table(minute=[0] * 20_001)),
    "more stops": envelope(
        1, content={"stops": [{"machine": "a", "id": "1", "start_ns": 5, "state": "setup"}] * 20_001}
    ),
    "more machines than a gateway has": envelope(
        1, [row for number in range(2_001) for row in running(T, 1, f"press-{number}")]
    ),
    "a minute in the year 9000": envelope(1, content=_table(minute=[3_700_000_000, 0])),
    "a minute before 1970": envelope(1, content=_table(minute=[-5, 0])),
    "a negative row number": envelope(1, content=_table(n=[-1, 0])),
    "a fraction": envelope(1, content=_table(n=[0.5, 0])),
    "a machine without a name": envelope(1, content=_table(machine=["", "a"])),
    "a very long name": envelope(1, content=_table(machine=["x" * 10_000, "a"])),
    "half a character": _raw(json.dumps(_table(machine=["\ud800", "a"])).encode()),
    "a stop that ends first": envelope(
        1, content={"stops": [{"machine": "a", "id": "1", "start_ns": 5, "end_ns": 4, "state": "setup"}]}
    ),
    "a stop of no state": envelope(
        1, content={"stops": [{"machine": "a", "id": "1", "start_ns": 5, "state": "tired"}]}
    ),
    "a huge stop": envelope(1, content={"stops": [{"machine": "a", "id": "1", "start_ns": 10**30, "state": "setup"}]}),
    "dropped without a reason": envelope(1, content={"dropped": [[1, 1]]}),
    "dropped of the future": envelope(1, content={"dropped": [[1, 2**62]], "why": "disk"}),
}


@pytest.mark.parametrize("name", FORGED)
def test_bad_content_in_a_sound_envelope_is_quarantined_settled_and_blocks_nothing(memory, name):
    plan = take(memory, FORGED[name], envelope(2, running(T, 1)))
    (entry,) = plan.quarantine
    assert entry.settled
    assert entry.payload == FORGED[name]
    assert entry.reason
    state = memory.streams[KEY]
    assert (state.marks, state.quarantined, state.stored) == (Marks(2), 1, 1)
    assert len(plan.batches) == 1


def test_what_the_store_refuses_is_quarantined_with_its_reason(memory):
    plan = take(memory, envelope(1, running(T, 1)), refused="value out of range")
    assert not plan.batches
    assert "value out of range" in plan.quarantine[0].reason
    assert memory.streams[KEY].marks == Marks(1)


def test_a_machine_belongs_to_the_first_gateway_that_names_it(memory):
    take(memory, envelope(1, running(T, 1)))
    stop = Stop("press-1", "1", T, None, State.SETUP, "", "plc", "1", "", 0)
    mixed = envelope(1, [*running(T, 1), *running(T, 1, "press-2")], stops=[stop])
    plan = take(memory, mixed, gateway="annex")
    (batch,) = plan.batches
    assert batch.facts.machine.tolist() == ["press-2"]
    assert not batch.stops
    assert plan.quarantine[0].settled
    assert "'press-1' belongs to gateway 'main'" in plan.quarantine[0].reason
    assert memory.streams[StreamKey("van-long", "annex", STREAM)].quarantined == 1
    assert memory.sites.owner("van-long", "press-2").gateway == "annex"


def test_the_same_stream_of_another_gateway_is_another_stream(memory):
    take(memory, envelope(1, running(T, 1)))
    plan = take(memory, envelope(1, running(T, 2, "press-2")), gateway="annex")
    assert not plan.quarantine
    assert len(plan.batches) == 1


def test_a_stream_carries_one_kind(memory):
    take(memory, envelope(1, running(T, 1)))
    plan = take(memory, envelope(2, content={}), kind="values")
    assert not plan.streams
    assert not plan.quarantine[0].settled
    assert plan.counts["wrong_kind"] == 1


def test_dropped_ranges_are_settled_and_counted_apart(memory):
    take(memory, envelope(2, running(T, 1)))
    take(memory, envelope(6, content={"dropped": [[1, 3], [4, 5]], "why": "disk full"}))
    state = memory.streams[KEY]
    assert (state.marks, state.dropped, state.stored) == (Marks(6), 4, 2)


def _values(**changes):
    (content,) = values_bodies(gathered({"plc.temp": [(T // 1000, 21.5, 0), (T // 1000 + 10**6, 21.7, 0)]}))
    return {"values": content["values"] | changes}


def test_process_values_are_planned_for_the_store(memory):
    plan = take(memory, envelope(1, content=_values()), kind="values")
    state = memory.streams[KEY]
    assert (state.marks, state.discarded, state.stored) == (Marks(1), 0, 1)
    (batch,) = plan.batches
    assert batch.origin.gateway == "main"
    assert list(zip(batch.values.tag, batch.values.t_ns, batch.values.number, strict=True)) == [
        ("plc.temp", T, 21.5),
        ("plc.temp", T + 10**9, 21.7),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"v": [215]},
        {"rows": [3]},
        {"t": [T // 1000, 0]},
        {"t": [-(10**6), 10**6]},
        {"t": [8 * 10**15, 1]},
        {"at": [0, 7]},
        {"at": [1, -2]},
        {"decimals": [40]},
        {"quality": {"at": [0], "are": [9]}},
        {"quality": {"at": [5], "are": [2]}},
        {"text": {"at": [0], "are": ["x" * 300]}},
        {"text": {"at": [0, 1], "are": ["a"]}},
        {"tags": [["plc", ["x" * 300]]]},
        {"tags": [["plc", ["temp", "temp"]]], "rows": [1, 1], "decimals": [1, 1]},
        {"tags": [["plc", ["temp", "more"]]], "rows": [2, 0], "decimals": [1, 1]},
        {"v": ["many", 2]},
    ],
    ids=str,
)
def test_impossible_process_values_are_quarantined(memory, changes):
    plan = take(memory, envelope(1, content=_values(**changes)), kind="values")
    assert (memory.streams[KEY].quarantined, plan.batches) == (1, [])


def test_process_values_are_settled_and_thrown_away_where_the_center_keeps_none(memory):
    memory.keeps_values = False
    plan = take(memory, envelope(1, content={"anything": 1}), kind="values")
    state = memory.streams[KEY]
    assert (state.marks, state.discarded, state.stored) == (Marks(1), 1, 0)
    assert not plan.batches


def test_site_bodies_are_kept_once_and_again_when_they_change(memory):
    bodies = [
        site_body(valid_from=10),
        site_body(valid_from=20),
        site_body(["press-1", "press-2"], valid_from=30),
        site_body(valid_from=40, timezone="UTC"),
    ]
    plans = [take(memory, envelope(seq, content=body), kind="site") for seq, body in enumerate(bodies, 1)]
    assert [len(plan.sites) for plan in plans] == [1, 0, 1, 1]
    assert memory.sites.machines("van-long") == ["press-1", "press-2"]
    assert memory.sites.current("van-long").body.timezone == "UTC"


SHIFT = {"name": "A", "weekdays": [0], "start_s": 0, "end_s": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"timezone": "Mars/Olympus"},
        {"timezone": "../../etc/passwd"},
        {"timezone": "America"},
        {"machines": []},
        {"valid_from_ns": -1},
        {"calendars": {"": {"shifts": [{"name": "A", "weekdays": [7], "start_s": 0, "end_s": 1}]}}},
        {"calendars": {"": {"shifts": [{"name": "A", "weekdays": [0], "start_s": 9, "end_s": 1}]}}},
        {"calendars": {"": {"shifts": [], "exceptions": {"Tết": []}}}},
        {"calendars": {"": {"shifts": [SHIFT] * 51}}},
        {"calendars": {"": {"shifts": [SHIFT | {"breaks": [[0, 1]] * 21}]}}},
        {"calendars": {"": {"shifts": [], "exceptions": {f"day {number}": [] for number in range(2_001)}}}},
        {"name": {"vi": "x" * 257}},
        {"name": dict.fromkeys("abcde", "x")},
        {"machines": {f"press-{number}": {"name": {}} for number in range(2_001)}},
        {"products": {str(number): {} for number in range(20_001)}},
        {"machines": {"press-1": {"name": {}, "period_s": 1e308}}},
        {"products": {"1": {"ideal_s": float("nan")}}},
    ],
    ids=lambda change: str(change)[:60],
)
def test_an_impossible_site_body_is_quarantined(memory, change):
    plan = take(memory, envelope(1, content=site_body() | change), kind="site")
    assert plan.quarantine[0].settled
    assert not plan.sites
    assert memory.streams[KEY].marks == Marks(1)


def test_endless_holes_are_not_remembered(memory, monkeypatch):
    monkeypatch.setattr("center.ingest.planning.planner.MAX_RANGES", 3)
    plan = take(memory, *(envelope(seq, running(T + seq * 10**12, 1)) for seq in range(2, 14, 2)))
    assert len(memory.streams[KEY].marks.beyond) == 3
    assert plan.counts["too_many_holes"] == 3
    assert len(plan.batches) == 3


def test_old_digests_are_forgotten(memory, monkeypatch):
    monkeypatch.setattr("center.ledger.cache.KEEP_DIGESTS", 5)
    for seq in range(1, 10):
        take(memory, envelope(seq, content={}))
    assert sorted(memory.digests[KEY]) == [5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("generation", "marks", "ahead"),
    [
        ("generation-1", {STREAM: 1}, False),
        ("generation-1", {STREAM: 2}, True),
        ("generation-1", {"ff" * 8: 1}, True),
        ("generation-1", {}, False),
        ("generation-0", {STREAM: 99}, False),
    ],
)
def test_an_echo_above_the_ledger_shows_a_restored_center(memory, generation, marks, ahead):
    take(memory, envelope(1, running(T, 1)))
    status = Status(online=True, at_ns=1, generation=generation, marks=marks)
    assert is_ahead(memory, "van-long", "main", status) is ahead


def test_what_came_after_the_restoration_does_not_hide_what_is_missing(memory):
    take(memory, *(envelope(seq, running(T + seq * 10**12, 1)) for seq in (1, 2, 6, 7)))
    told = Status(online=True, at_ns=1, generation="generation-1", marks={STREAM: 5})
    assert is_ahead(memory, "van-long", "main", told)


def test_rows_of_closed_minutes_are_quarantined_and_the_open_ones_are_stored(memory):
    old, new = T - 100 * MINUTE_NS, T
    mixed = EnvelopeMessage(Topic("van-long", "main", "facts"), envelope(1, [*running(old, 3), *running(new, 2)]))
    plan = plan_messages(memory, [mixed], 0, OpenTimes(T))
    (stored,) = plan.batches
    assert stored.facts.minute_ns.tolist() == [new, new + MINUTE_NS]
    (entry,) = plan.quarantine
    assert entry.settled
    assert entry.reason.startswith("closed: 3 of 5 rows are of minutes before 2026-03-02 01:00 UTC")
    assert plan.streams[KEY].quarantined == 1


def test_what_is_of_later_than_tomorrow_waits_until_then(memory):
    """A gateway with a wrong clock: its good rows are kept, and the others counted once their time has come."""
    later = T + 2 * 86_400_000_000_000
    stop = Stop("press-1", "1", later, None, State.SETUP, "", "plc", "1", "", 0)
    sent = [
        ("facts", envelope(1, [*running(T, 2), *running(later, 3)], stops=[stop])),
        ("values", seal("00000000000000bb", 1, 1, _values(t=[later // 1000, 10**6])).data),
        ("site", seal("00000000000000cc", 1, 1, site_body(valid_from=later)).data),
    ]
    messages = [EnvelopeMessage(Topic("van-long", "main", kind), payload) for kind, payload in sent]
    plan = plan_messages(memory, messages, T, open_times(0, T))
    assert [len(batch.facts) for batch in plan.batches] == [2]
    assert not plan.sites
    assert [entry.settled for entry in plan.quarantine] == [True] * 3
    assert plan.quarantine[0].reason.startswith("future: 4 of 6 rows are of 2026-03-03 01:00 UTC or later")
    memory.adopt(plan.changes())
    for entry in plan.quarantine:
        with pytest.raises(Unsound):
            plan_replay(memory, 1, entry, T, open_times(0, T))
        again, refusal = plan_replay(memory, 1, entry, later, open_times(0, later))
        assert not refusal
        assert again.released == [1]


def test_what_the_largest_honest_gateway_sends_is_accepted(memory):
    """At every limit of a site file, and an agent's largest envelopes."""
    names = {"vi": "ố" * 256, "en": "x" * 256}
    shift = SHIFT | {"breaks": [[0, 1]] * 20}
    day = date(2026, 1, 1)
    body = site_body() | {
        "machines": {f"press-{number}": {"name": names} for number in range(2_000)},
        "products": {str(number): {"ideal_s": 1.0} for number in range(20_000)},
        "calendars": {
            "": {
                "shifts": [shift] * 50,
                "exceptions": {(day + timedelta(number)).isoformat(): [SHIFT] for number in range(2_000)},
            }
        },
        "values": {f"press-plc.tag_{number}": {"machines": ["press-1"] * 10} for number in range(20_000)},
    }
    rows = [row for number in range(100) for row in running(T, 20, f"press-{number}")]
    corrected = [row | {"n": 1, "running_ms": -60_000, "unplanned_stop_ms": 60_000} for row in rows]
    most = gathered({"plc.temp": [(T // 1000 + at, float(at % 7), 0) for at in range(20_000)]})
    (values,) = values_bodies(most)
    plan = take(memory, envelope(1, content=body), kind="site")
    assert len(plan.sites) == 1
    plan = take(memory, seal("00000000000000bb", 1, 1, facts_body(facts(rows), facts([]), [])).data)
    assert not plan.quarantine
    plan = take(memory, seal("00000000000000bb", 2, 1, facts_body(facts(corrected), facts([]), [])).data)
    assert not plan.quarantine
    plan = take(memory, seal("00000000000000cc", 1, 1, values).data, kind="values")
    assert not plan.quarantine
