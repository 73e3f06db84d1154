"""Two boxes with one bundle: told from a gateway whose outbox was replaced, never counted twice, decided by somebody."""

import asyncio
import json
from html import unescape

import httpx
import pytest
from center_plant import STREAM, envelope, ns, running, site_body
from click.testing import CliRunner
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from postgres_plant import postgres

from center.accounts import audit
from center.accounts.schema import open_accounts
from center.api.app import create_app
from center.api.quarantine import BoxDecisions, Undecided, add_quarantine
from center.commands import quarantine as commands
from center.console.delivery import cards as delivery_cards
from center.contract.ledger import Changes
from center.contract.store import Query
from center.contract.streams import MOST_COVERS, StreamKey, StreamRecord, age, cover, merged
from center.database.sql import open_database
from center.ingest.boxes import accept, discard, hold_younger
from center.ingest.mqtt import BrokerSettings
from center.ingest.planning.plan import EnvelopeMessage
from center.ingest.worker import Ingest
from center.ledger.cache import receipt
from center.ledger.sql import SqlLedger
from center.model.viewer import EVERYTHING
from center.queries.gateways import gateways
from center.queries.sites import sites
from center.runtime.boxes import LATELY_NS, Boxes
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from oee.model.facts import MINUTE_NS
from wire.bodies import Status
from wire.marks import Marks, is_settled
from wire.topics import Topic
from words import say

T = ns("2026-03-02T08:00:00")
OLD, NEW, OTHER = STREAM, "00000000000000bb", "00000000000000cc"
S = 1_000_000_000


def heard(*turns, every_ns=5 * S):
    """The boxes after these were heard in this order; and the time."""
    boxes, now_ns = Boxes(), T
    for name in turns:
        now_ns += every_ns
        boxes = boxes.heard(frozenset(name), now_ns)
    return boxes, now_ns


def test_an_outbox_that_was_replaced_is_one_box_after_the_other():
    for turns in (["ab"] * 3 + ["cd"] * 9, ["ab", "abc", "bc", "c"], ["ab"], ["ab", "", "ab"]):
        boxes, now_ns = heard(*turns)
        assert boxes.rivals(now_ns) == ()


def test_boxes_that_are_heard_in_turn_run_at_once():
    boxes, now_ns = heard("ab", "cd", "ab")
    assert [box.streams for box in boxes.rivals(now_ns)] == [frozenset("cd"), frozenset("ab")]
    assert boxes.rivals(now_ns + LATELY_NS - 1)
    assert boxes.rivals(now_ns + LATELY_NS) == ()
    assert len(heard("a", "b", "c", "a", "b")[0].rivals(now_ns)) == 3


def test_a_card_that_is_put_back_after_a_day_is_no_second_box():
    assert heard("ab", "cd", "ab", every_ns=LATELY_NS)[0].rivals(T + 3 * LATELY_NS) == ()


@given(st.lists(st.sampled_from(["ab", "cd", "ef", "gh"]), max_size=30))
@settings(max_examples=examples(100))
def test_rivals_are_exactly_those_that_come_back(turns):
    boxes, now_ns = heard(*turns)
    back = any(turns[index] in turns[:index] and turns[index - 1] != turns[index] for index in range(1, len(turns)))
    assert bool(boxes.rivals(now_ns)) == back


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=300))
@settings(max_examples=examples(50))
def test_what_is_covered_stays_covered(minutes):
    record = StreamRecord("facts")
    for start in range(0, len(minutes), 7):
        record = cover(record, minutes[start : start + 7])
    assert all(is_settled(record.covers, minute) for minute in minutes)
    many = cover(record, range(10_001, 10_001 + 4 * MOST_COVERS, 2))
    assert len(many.covers.beyond) <= MOST_COVERS
    assert all(is_settled(many.covers, minute) for minute in minutes)


def test_records_that_two_workers_changed_are_merged():
    before = StreamRecord("facts", Marks(1), stored=1, first_ns=9, covers=Marks(0, ((5, 6),)))
    one = cover(StreamRecord("facts", Marks(2), stored=2, first_ns=9, covers=before.covers), [7])
    truth = cover(StreamRecord("facts", Marks(1), stored=1, first_ns=9, covers=before.covers, held_from=1), [9])
    assert merged(truth, before, one).covers == Marks(0, ((5, 7), (9, 9)))
    assert merged(truth, before, one).held_from == 1
    assert age(truth) < age(StreamRecord("facts", first_ns=10)) < age(None)


class Plant:
    """A center with its worker, whose MQTT session is never opened; a clock that stands."""

    def __init__(self, path):
        self.now_ns = T
        self.store = open_store({"file": str(path)})
        self.center = center_state(self.store, now_ns=lambda: self.now_ns)
        self.ingest = Ingest(self.center, BrokerSettings("127.0.0.1", 1))
        self.send(OLD, site_body(), kind="site")

    def send(self, stream, rows, seq=None, kind="facts"):
        """rows: of facts; or the content."""
        key = StreamKey("van-long", "main", stream if kind == "facts" else stream[::-1])
        seq = seq or (self.center.ledger_cache.streams.get(key, StreamRecord(kind)).marks.mark + 1)
        data = (
            envelope(seq, rows, stream=key.stream)
            if isinstance(rows, list)
            else envelope(seq, stream=key.stream, content=rows)
        )
        self.ingest.deliver([EnvelopeMessage(Topic("van-long", "main", kind), data)])

    def minutes(self, stream, first, count=1, **more):
        self.send(stream, running(T + first * MINUTE_NS, count, **more))

    def status(self, stream):
        """A box tells its streams, as it does at each connection."""
        self.now_ns += S
        marks = {stream: 0, stream[::-1]: 0}
        self.center.pictures.record_status("van-long", "main", Status(online=True, at_ns=1, marks=marks), self.now_ns)
        hold_younger(self.center, "van-long", "main", lambda changes: self.ingest.settler.commit((), changes))

    def counted(self):
        """Minutes and pieces that count."""
        facts = self.store.facts(Query("van-long", 0, 2**62, by=("machine",)))
        return int(facts.column("running_ms").sum()) / 60_000, int(facts.column("pieces_total").sum())

    def record(self, stream):
        return self.center.ledger_cache.streams[StreamKey("van-long", "main", stream)]

    @property
    def quarantined(self):
        return self.center.ledger.quarantined("van-long", 1000)[0]


@pytest.fixture
def plant(tmp_path):
    made = Plant(tmp_path / "nhip.duckdb")
    yield made
    made.store.close()


def test_a_minute_counts_from_the_stream_that_covered_it_first(plant):
    """Before anybody has noticed two boxes: neither time nor pieces are counted twice, whoever comes first."""
    plant.minutes(OLD, 0, 5)
    plant.minutes(NEW, 3, 4)
    plant.minutes(OLD, 5, 3)
    assert plant.counted() == (8, 80)
    assert [row.reason.split(":")[0] for row in plant.quarantined] == ["counted already"] * 2
    assert {row.stream for row in plant.quarantined} == {OLD, NEW}
    plant.send(OLD, running(T, 1, n=1, running_ms=-60_000, pieces_total=-10))
    assert plant.counted() == (7, 70), "what a stream has counted it may correct"


def test_a_fresh_outbox_after_the_old_one_counts_at_once(plant):
    plant.status(OLD)
    plant.minutes(OLD, 0, 5)
    plant.status(NEW)
    plant.minutes(NEW, 5, 5)
    plant.status(NEW)
    assert plant.counted() == (10, 100)
    assert plant.quarantined == []
    assert gateways(plant.center, EVERYTHING)[0]["boxes"] == 1


def two_boxes(plant):
    """The old box runs; a spare with the same bundle is tried: they are heard in turn before it has a minute."""
    plant.status(OLD)
    plant.minutes(OLD, 0, 5)
    plant.status(NEW)
    plant.status(OLD)
    plant.send(NEW, site_body(["press-1", "press-9"], config_hash="other"), kind="site")
    plant.minutes(NEW, 5, 2)
    plant.minutes(OLD, 5, 3)
    plant.minutes(NEW, 7, 3)


def test_the_younger_waits_for_a_decision(plant):
    two_boxes(plant)
    assert plant.counted() == (8, 80)
    assert plant.center.ledger_cache.sites.machines("van-long") == ["press-1"]
    assert {row.stream for row in plant.quarantined} == {NEW, NEW[::-1]}
    assert all(row.reason.startswith("held:") for row in plant.quarantined)
    told = receipt(plant.center.ledger_cache, "van-long", "main", 1).streams
    assert told[NEW].mark == 2, "it is receipted: nothing is sent again for ever"


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_both_are_said_where_people_look(plant, lang):
    two_boxes(plant)
    [row] = gateways(plant.center, EVERYTHING)
    assert (row["boxes"], row["held"]["envelopes"]) == (2, 3)
    zone = plant.center.ledger_cache.sites.current("van-long").zone
    card = unescape(delivery_cards.cards([row], plant.now_ns, zone, lang))
    assert say("delivery.trouble.boxes", lang, count=2) in card
    assert "nhip quarantine accept CENTER.yaml van-long/main" in card
    [gateway] = sites(plant.center, EVERYTHING)[0]["gateways"]
    assert gateway["trouble"] == "boxes"
    plant.now_ns += 2 * LATELY_NS
    [row] = gateways(plant.center, EVERYTHING)
    assert row["boxes"] == 1
    assert row["held"], "what waits is told until somebody has decided"


def test_the_spare_was_a_mistake(plant):
    two_boxes(plant)
    decided = discard(plant.center, plant.ingest.settler, "van-long", "main")
    assert (decided.envelopes, plant.quarantined) == (3, [])
    record = plant.record(NEW)
    assert (record.quarantined, record.discarded, record.marks.mark) == (0, 2, 2)
    plant.minutes(NEW, 10, 2)
    plant.minutes(OLD, 8, 4)
    assert plant.counted() == (12, 120)
    assert len(plant.quarantined) == 1, "if it is switched on again, it waits again"


def test_the_spare_replaces_the_old_box(plant):
    """What it sent counts, but for minutes that the old one has counted; and from now on the old one waits."""
    two_boxes(plant)
    plant.now_ns = T + 20 * MINUTE_NS
    decided = accept(plant.center, plant.ingest.settler, "van-long", "main")
    assert (decided.envelopes, decided.kept) == (1, 2), (
        "the site body; and 8 and 9, since of 5 to 7 the old box was first"
    )
    assert plant.counted() == (10, 100)
    assert plant.center.ledger_cache.sites.machines("van-long") == ["press-1", "press-9"]
    plant.minutes(NEW, 10, 5)
    plant.minutes(OLD, 25, 2)
    plant.minutes(OLD, 15, 2)
    assert plant.counted() == (17, 170), "what the old one has of the time before is not lost"
    for stream in (OLD, NEW, OLD):
        plant.status(stream)
    assert plant.record(NEW).held_from == 0
    plant.minutes(NEW, 17, 3)
    assert plant.counted() == (20, 200)
    assert discard(plant.center, plant.ingest.settler, "van-long", "main").envelopes == 3
    assert plant.quarantined == []
    with pytest.raises(LookupError):
        accept(plant.center, plant.ingest.settler, "van-long", "elsewhere")


def test_a_third_box_waits_too(plant):
    two_boxes(plant)
    for stream in (OTHER, OLD):
        plant.status(stream)
    plant.minutes(OTHER, 8, 2)
    plant.minutes(OLD, 8, 2)
    assert plant.counted() == (10, 100)
    assert plant.record(OTHER).held_from


def test_a_status_that_the_broker_kept_proves_nothing(plant):
    """A broker that is restored from an older copy hands out what a box said days ago."""
    plant.status(OLD)
    plant.status(NEW)
    kept = Status(online=True, at_ns=1, marks={OLD: 0})
    plant.center.pictures.record_status("van-long", "main", kept, plant.now_ns, kept=True)
    assert gateways(plant.center, EVERYTHING)[0]["boxes"] == 1


def test_what_is_held_stays_held_over_a_restart(plant, tmp_path):
    two_boxes(plant)
    plant.store.close()
    again = Plant(tmp_path / "nhip.duckdb")
    try:
        again.minutes(NEW, 10, 2)
        assert again.counted() == (8, 80)
        assert again.record(OLD).covers == Marks(0, ((T // MINUTE_NS, T // MINUTE_NS + 7),))
    finally:
        again.store.close()


def test_a_file_of_an_earlier_version_knows_which_minutes_its_streams_cover(plant, tmp_path):
    plant.minutes(OLD, 0, 5)
    with plant.store.file.writing() as cursor:
        for name in ("first_ns", "covers", "held_from"):
            cursor.execute(f"ALTER TABLE streams DROP COLUMN {name}")
        cursor.execute("ALTER TABLE quarantine DROP COLUMN stream")
        cursor.execute("UPDATE meta SET value = '2' WHERE key = 'schema'")
        cursor.commit()
    plant.store.close()
    again = Plant(tmp_path / "nhip.duckdb")
    try:
        assert again.record(OLD).covers == Marks(0, ((T // MINUTE_NS, T // MINUTE_NS + 4),))
        again.minutes(NEW, 3, 4)
        assert again.counted() == (7, 70)
    finally:
        again.store.close()


def test_over_http_and_by_command(plant, tmp_path, monkeypatch):
    two_boxes(plant)
    plant.ingest._worker.start()
    app, entries = create_app(plant.center), []
    decisions = BoxDecisions(plant.center, plant.ingest, lambda *entry: entries.append(entry))
    add_quarantine(app, plant.center, plant.ingest, decisions)

    async def ask(path, **more):
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://center") as client:
            return await client.post(f"/api/v1/quarantine/{path}", json={}, **more)

    assert asyncio.run(ask("van-long/nobody/discard")).status_code == 404
    assert asyncio.run(ask("van-long/main/burn")).status_code == 422
    found = asyncio.run(ask("van-long/main/accept", params={"stream": NEW})).json()
    assert (found["envelopes"], found["kept"], found["streams"]) == (0, 2, [NEW])
    assert entries == [(EVERYTHING.name, "127.0.0.1", "accept", "van-long/main", NEW)], "refused ones are none"
    with pytest.raises(Undecided):
        decisions("discard", "hoa", "", ("van-long", "main", ""), [OLD])
    assert len(entries) == 1
    plant.ingest.stop()
    plant.store.close()
    file = tmp_path / "center.yaml"
    file.write_text(f"broker: mqtt://127.0.0.1:1\nstore: {{kind: duckdb, file: {tmp_path / 'nhip.duckdb'}}}\n")
    for act, status, said in (
        ("accept", 0, "1 envelope that waited is stored"),
        ("discard", 0, "2 envelopes"),
        ("discard", 0, "0 envelopes"),
    ):
        done = CliRunner().invoke(commands.quarantine, [act, str(file), "van-long/main", "--lang", "en"])
        assert (done.exit_code, said in done.output) == (status, True), done.output
    engine = open_accounts(f"sqlite:///{tmp_path / 'nhip.accounts.sqlite'}")
    assert [(row.what, row.about) for row in audit.entries(engine)[0]] == [
        ("boxes.discard", "van-long/main"),
        ("boxes.discard", "van-long/main"),
        ("boxes.accept", "van-long/main"),
    ]
    done = CliRunner().invoke(commands.quarantine, ["accept", str(file), "van-long/else", "--lang", "vi"])
    assert (done.exit_code, "không có gì chờ" in done.output) == (1, True)
    done = CliRunner().invoke(commands.quarantine, ["discard", str(file), "van-long/main", "--json"])
    assert set(json.loads(done.output)) == {"envelopes", "kept", "streams"}


def test_two_workers_do_not_count_a_minute_twice():
    """Each has a box; what one has planned the other sees before it stores anything."""
    database = postgres().database()
    one, other = (SqlLedger(open_database(database)) for _ in range(2))
    try:
        for ledger in (one, other):
            ledger.load()
        old, new = (StreamKey("van-long", "main", stream) for stream in (OLD, NEW))
        empty = StreamRecord("facts")
        one.commit(Changes({old: cover(StreamRecord("facts", Marks(1), 1), [5]), new: empty}))
        step = {old: cover(StreamRecord("facts", Marks(2), 2, covers=Marks(0, ((5, 5),))), [6])}
        assert one.reconcile(Changes(step)).streams[new].covers == Marks()
        beside = other.reconcile(Changes({new: cover(empty, [6])})).streams
        assert beside[old].covers == Marks(0, ((5, 6),))
        assert one.waiting("van-long", "main", NEW) == []
    finally:
        one.close()
        other.close()
