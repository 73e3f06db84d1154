"""Ingest over real brokers: what a gateway sends is stored once, receipted, and nothing blocks the rest."""

import json
import random
import shutil
from dataclasses import replace

import pytest
from center_plant import (
    STREAM,
    Gateway,
    amqtt,
    envelope,
    eventually,
    free_port,
    mosquitto,
    ns,
    running,
    site_body,
)

from center.contract.store import Query, StoreUnavailable
from center.ingest.mqtt import BrokerSettings
from center.ingest.worker import Ingest
from center.model.viewer import EVERYTHING
from center.queries.delivery import delivery, health
from center.queries.gateways import gateways as gateway_answers
from center.queries.quarantine import quarantine
from center.queries.sites import live, sites
from center.runtime.live import Pictures
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from oee.model.facts import MINUTE_NS
from wire.bodies import DIVIDED, Dropped, Status
from wire.envelope import open_envelope
from wire.topics import next_status, topic

T = ns("2026-03-02T08:00:00")
ALL = Query("van-long", 0, 2**62, by=("machine",))


@pytest.fixture(params=[mosquitto, amqtt], ids=["mosquitto", "amqtt"])
def port(request, tmp_path):
    with request.param(tmp_path) as number:
        yield number


@pytest.fixture
def mosquitto_port(tmp_path):
    with mosquitto(tmp_path) as number:
        yield number


class Running:
    """A center's store and ingest, which can be stopped and started again."""

    def __init__(self, folder, port):
        self.file, self.port = folder / "nhip.duckdb", port
        self.start()

    def start(self):
        self.store = open_store({"file": str(self.file)})
        self.center = center_state(self.store)
        self.ingest = Ingest(self.center, BrokerSettings("127.0.0.1", self.port))
        self.ingest.start()
        eventually(lambda: self.center.health.condition("broker") == "ok")

    def stop(self):
        self.ingest.stop()
        self.store.close()

    def pieces(self):
        found = self.store.facts(ALL)
        return dict(zip(found.machine.tolist(), found.column("pieces_good").tolist(), strict=True))


@pytest.fixture
def center(tmp_path, port):
    running_center = Running(tmp_path, port)
    yield running_center
    running_center.stop()


@pytest.fixture
def on_mosquitto(tmp_path, mosquitto_port):
    running_center = Running(tmp_path, mosquitto_port)
    yield running_center
    running_center.stop()


@pytest.fixture
def gateways():
    made = []

    def make(port, **more):
        made.append(Gateway(port, version=4, **more))
        return made[-1]

    yield make
    for gateway in made:
        gateway.close()


def test_everything_at_once_is_counted_once(center, gateways):
    """Duplicates, disorder, damage, forged content, a conflict and a foreign machine, in one stream."""
    main, annex = gateways(center.port), gateways(center.port, gateway="annex")
    good = [envelope(seq, running(T + seq * MINUTE_NS, 1)) for seq in range(1, 31)]
    good[6] = envelope(7, content={"facts": "nonsense"})
    damaged = good[3][:-1] + b"?"
    shuffled = [*good, *good[::3], damaged, b"noise"]
    random.Random(1).shuffle(shuffled)
    main.send(*shuffled)
    eventually(lambda: main.mark() == 30)
    assert center.pieces() == {"press-1": 290}
    main.send(envelope(5, running(T, 9)))
    eventually(lambda: center.center.health.counts().get("conflicts") == 1)
    first = open_envelope(good[4]).digest[:8].hex()  # a copied card learns from it that its numbers are not its own
    eventually(lambda: main.receipts[-1].streams[STREAM].check == (5, first))
    annex.send(envelope(1, [*running(T, 1), *running(T, 2, "press-2")]))
    eventually(lambda: annex.mark() == 1)
    assert center.pieces() == {"press-1": 290, "press-2": 20}
    (row,) = [row for row in delivery(center.center, EVERYTHING)["rows"] if row["gateway"] == "main"]
    assert (row["mark"], row["stored"], row["quarantined"], row["duplicates"], row["conflicts"]) == (30, 29, 1, 10, 1)
    assert row["holes"] == []
    reasons = " ".join(row["reason"] for row in quarantine(center.center, EVERYTHING)["rows"])
    for expected in ("digest", "shorter than", "facts", "conflict", "belongs to gateway 'main'"):
        assert expected in reasons
    assert quarantine(center.center, EVERYTHING)["count"] == 5
    assert main.receipts[-1].streams[STREAM].quarantined == 1


def test_a_hole_is_told_and_closed(center, gateways):
    gateway = gateways(center.port)
    gateway.send(envelope(1, running(T, 1)), envelope(4, running(T + 4 * MINUTE_NS, 1)))
    eventually(lambda: gateway.receipts and gateway.receipts[-1].streams[STREAM].beyond == [(4, 4)])
    assert gateway.mark() == 1
    gateway.send(envelope(3, running(T + 3 * MINUTE_NS, 1)), envelope(2, running(T + 2 * MINUTE_NS, 1)))
    eventually(lambda: gateway.mark() == 4)
    assert gateway.receipts[-1].streams[STREAM].beyond == []


def test_a_settled_envelope_is_receipted_again(center, gateways):
    gateway = gateways(center.port)
    gateway.send(envelope(1, running(T, 1)))
    eventually(lambda: gateway.mark() == 1)
    before = len(gateway.receipts)
    gateway.send(envelope(1, running(T, 1)))
    eventually(lambda: len(gateway.receipts) > before)
    assert center.pieces() == {"press-1": 10}


def test_a_late_gateway_finds_its_receipt_retained(on_mosquitto, gateways):
    gateway = gateways(on_mosquitto.port)
    gateway.send(envelope(1, running(T, 1)))
    eventually(lambda: gateway.mark() == 1)
    later = gateways(on_mosquitto.port)
    eventually(lambda: later.mark() == 1)


def test_a_restarted_center_goes_on_where_it_was(on_mosquitto, gateways):
    gateway = gateways(on_mosquitto.port)
    gateway.send(envelope(1, running(T, 1)), envelope(2, running(T + 2 * MINUTE_NS, 1)))
    eventually(lambda: gateway.mark() == 2)
    generation = gateway.receipts[-1].generation
    on_mosquitto.stop()
    on_mosquitto.start()
    gateway.send(envelope(2, running(T + 2 * MINUTE_NS, 1)), envelope(3, running(T + 3 * MINUTE_NS, 1)))
    eventually(lambda: gateway.mark() == 3)
    assert gateway.receipts[-1].generation == generation
    assert on_mosquitto.pieces() == {"press-1": 30}
    gateway.send(envelope(2, running(T, 5)))
    eventually(lambda: on_mosquitto.center.health.counts().get("conflicts") == 1)


def test_a_restored_center_learns_what_it_is(on_mosquitto, gateways, tmp_path):
    gateway = gateways(on_mosquitto.port)
    gateway.send(envelope(1, running(T, 1)))
    eventually(lambda: gateway.mark() == 1)
    on_mosquitto.stop()
    shutil.copy(on_mosquitto.file, tmp_path / "backup")
    on_mosquitto.start()
    gateway.send(envelope(2, running(T + 2 * MINUTE_NS, 1)))
    eventually(lambda: gateway.mark() == 2)
    told = gateway.receipts[-1]
    on_mosquitto.stop()
    shutil.copy(tmp_path / "backup", on_mosquitto.file)
    on_mosquitto.start()
    status = Status(online=True, at_ns=1, generation=told.generation, marks={STREAM: 2})
    gateway.send(status.model_dump_json(), kind="status", retain=True)
    eventually(lambda: gateway.receipts[-1].generation != told.generation)
    assert gateway.mark() == 1
    gateway.send(envelope(2, running(T + 2 * MINUTE_NS, 1)))
    eventually(lambda: gateway.mark() == 2)
    assert on_mosquitto.pieces() == {"press-1": 20}
    assert "restored" in health(on_mosquitto.center)["conditions"]["ledger"]


def test_a_lost_center_tells_its_new_generation(on_mosquitto, gateways):
    gateway = gateways(on_mosquitto.port)
    status = Status(online=True, at_ns=1, generation="another", marks={STREAM: 7})
    gateway.send(status.model_dump_json(), kind="status")
    eventually(
        lambda: gateway.receipts and gateway.receipts[-1].generation == on_mosquitto.center.ledger_cache.generation
    )


class Failing:
    """Stands before the real store and is away for as long as it is told to be."""

    def __init__(self, commit):
        self.commit, self.away, self.refusals = commit, True, 0

    def __call__(self, batches, changes):
        if self.away:
            self.refusals += 1
            raise StoreUnavailable("the disk is full")
        return self.commit(batches, changes)


def test_while_the_store_is_away_facts_wait_and_health_says_so(tmp_path, mosquitto_port, gateways, monkeypatch):
    monkeypatch.setattr("center.ingest.retry.BACK_OFF_S", (0.02, 0.1))
    store = open_store({"file": str(tmp_path / "nhip.duckdb")})
    center = center_state(store)
    failing = Failing(center.commit)
    center = replace(center, commit=failing)
    ingest = Ingest(center, BrokerSettings("127.0.0.1", mosquitto_port))
    ingest.start()
    gateway = gateways(mosquitto_port)
    eventually(lambda: center.health.condition("broker") == "ok")
    gateway.send(*(envelope(seq, running(T + seq * MINUTE_NS, 1)) for seq in range(1, 6)))
    eventually(lambda: failing.refusals > 3)
    assert health(center)["status"] == "degraded"
    assert "disk is full" in health(center)["store"]
    assert not gateway.receipts
    failing.away = False
    eventually(lambda: gateway.mark() == 5)
    assert health(center)["status"] == "ok"
    ingest.stop()
    store.close()


def test_a_stumble_over_one_message_blocks_nothing(on_mosquitto, gateways, monkeypatch):
    """A fault of our own program: the culprit goes into quarantine, its neighbours are stored."""
    from center.ingest.planning import content as intake

    real = intake.read_rows

    def stumbling(body):
        rows = real(body)
        if (rows[0].column("cycles") == 13).any():
            raise ZeroDivisionError
        return rows

    monkeypatch.setattr(intake, "read_rows", stumbling)
    gateway = gateways(on_mosquitto.port)
    rows = [running(T + seq * MINUTE_NS, 1, cycles=13 if seq == 2 else 10) for seq in range(1, 5)]
    gateway.send(*(envelope(seq, row) for seq, row in enumerate(rows, 1)))
    eventually(lambda: gateway.mark() == 4)
    assert on_mosquitto.pieces() == {"press-1": 30}
    assert "stumbled" in quarantine(on_mosquitto.center, EVERYTHING)["rows"][0]["reason"]


def test_what_does_not_fit_into_memory_is_let_go_and_sent_again(tmp_path, mosquitto_port, gateways, monkeypatch):
    monkeypatch.setattr("center.ingest.ingest_queue.MAX_BYTES", 2000)
    monkeypatch.setattr("center.ingest.retry.BACK_OFF_S", (0.02, 0.1))
    store = open_store({"file": str(tmp_path / "nhip.duckdb")})
    failing = Failing(center_state(store).commit)
    center = replace(center_state(store), commit=failing)
    ingest = Ingest(center, BrokerSettings("127.0.0.1", mosquitto_port))
    ingest.start()
    eventually(lambda: center.health.condition("broker") == "ok")
    gateway = gateways(mosquitto_port)
    sent = [envelope(seq, running(T + seq * MINUTE_NS, 1)) for seq in range(1, 31)]
    gateway.send(sent[0])
    eventually(lambda: failing.refusals)
    gateway.send(*sent[1:])
    eventually(lambda: center.health.counts().get("let_go", 0) > 10)
    failing.away = False
    eventually(lambda: gateway.mark() >= 1)

    def resend():  # as a gateway does: what is not receipted goes again, until it is
        gateway.send(*sent[gateway.mark() :][:5])
        return gateway.mark() == 30

    eventually(resend, every_s=0.1)
    ingest.stop()
    store.close()


def test_live_and_status_make_the_picture(on_mosquitto, gateways):
    gateway = gateways(on_mosquitto.port)
    gateway.send(envelope(1, content=site_body()), kind="site")
    message = {"at_ns": T, "machines": {"press-1": {"state": "running", "since_ns": T, "product": "1", "pieces": 12}}}
    gateway.send(json.dumps(message), kind="live")
    status = Status(online=True, at_ns=T, waiting=3, version="0.1", devices={"plc": True})
    gateway.send(status.model_dump_json(), kind="status", retain=True)
    gateway.send(b"{broken", kind="live")
    gateway.send(b"\xff", kind="status")
    center = on_mosquitto.center
    eventually(lambda: center.health.counts().get("malformed_live_or_status") == 2)
    assert gateway_answers(center, EVERYTHING)[0]["unreadable"]
    eventually(lambda: center.ledger_cache.sites.machines("van-long"))
    (row,) = live(center, EVERYTHING, "van-long")
    assert (row["state"], row["pieces"], row["gateway_online"]) == ("running", 12, True)
    assert row["since"] == "2026-03-02T08:00:00+07:00"
    (found,) = sites(center, EVERYTHING)[0]["gateways"]
    assert (found["online"], found["waiting"], found["devices"]) == (True, 3, {"plc": True})
    gateway.send(status.model_copy(update={"online": False}).model_dump_json(), kind="status", retain=True)
    eventually(lambda: not live(center, EVERYTHING, "van-long")[0]["gateway_online"])
    (row,) = live(center, EVERYTHING, "van-long")
    assert (row["state"], row["last_state"]) == ("unknown", "running")


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        (next_status("van-long", "main"), b"anything"),
        (topic("van-long", "main", "facts"), b"NH\x02" + envelope(1)[3:]),
        (topic("van-long", "main", "status"), b"\xff"),
    ],
)
def test_a_gateway_of_a_newer_version_is_told_as_such(on_mosquitto, gateways, name, payload):
    """Whether it speaks other topics, other envelopes or other messages: this center is older."""
    gateway = gateways(on_mosquitto.port)
    gateway.publish(name, payload)
    eventually(lambda: [row["unreadable"] for row in gateway_answers(on_mosquitto.center, EVERYTHING)] == [True])


def test_an_envelope_that_was_divided_counts_as_stored(on_mosquitto, gateways):
    gateway = gateways(on_mosquitto.port)
    dropped = Dropped(dropped=[(1, 2)], why=DIVIDED).model_dump(mode="json")
    gateway.send(*(envelope(seq, running(T + seq * MINUTE_NS, 1)) for seq in (3, 4)), envelope(5, content=dropped))
    eventually(lambda: gateway.mark() == 5)
    (row,) = delivery(on_mosquitto.center, EVERYTHING)["rows"]
    assert (row["stored"], row["dropped"], row["holes"]) == (5, 0, [])


def test_a_silent_gateway_is_not_online_for_ever():
    pictures = Pictures()
    pictures.record_status("van-long", "main", Status(online=True, at_ns=0), 0)
    assert pictures.get("van-long", "main").online(89_000_000_000)
    assert not pictures.get("van-long", "main").online(90_000_000_000)


def test_foreign_topics_are_ignored(on_mosquitto, gateways):
    gateway = gateways(on_mosquitto.port)
    gateway._client.publish("nhip/v1/VAN LONG/main/facts", envelope(1, running(T, 1)), 1).wait_for_publish(5)
    eventually(lambda: on_mosquitto.center.health.counts().get("ignored") == 1)
    assert topic("van-long", "main", "facts")
    assert on_mosquitto.pieces() == {}


def test_the_center_may_start_before_the_broker_and_outlive_it(tmp_path, gateways):
    port = free_port()
    store = open_store({"file": str(tmp_path / "nhip.duckdb")})
    center = center_state(store)
    ingest = Ingest(center, BrokerSettings("127.0.0.1", port))
    ingest.start()
    eventually(lambda: center.health.condition("broker") == "unreachable")
    for seq in (1, 2):
        with mosquitto(tmp_path, port):
            eventually(lambda: center.health.condition("broker") == "ok")
            gateway = gateways(port)
            gateway.send(envelope(seq, running(T + seq * MINUTE_NS, 1)))
            eventually(lambda g=gateway, s=seq: g.mark() == s)
        eventually(lambda: center.health.condition("broker") != "ok")
    ingest.stop()
    store.close()


def test_stopping_settles_what_has_arrived(on_mosquitto, gateways):
    gateway = gateways(on_mosquitto.port)
    gateway.send(*(envelope(seq, running(T + seq * MINUTE_NS, 1)) for seq in range(1, 40)))
    eventually(lambda: gateway.mark() >= 1)
    on_mosquitto.ingest.stop()
    marks = on_mosquitto.center.ledger_cache.of_gateway("van-long", "main")
    stored = sum(on_mosquitto.pieces().values()) // 10
    assert stored == sum(state.stored for state in marks.values())
    eventually(lambda: gateway.mark() == stored)


def test_an_envelope_that_the_broker_kept_is_not_taken(on_mosquitto, gateways):
    """It would come again at each start of the center."""
    gateway = gateways(on_mosquitto.port)
    on_mosquitto.stop()
    gateway.send(envelope(1, running(T, 1)), retain=True)
    on_mosquitto.start()
    eventually(lambda: on_mosquitto.center.health.counts().get("retained_refused") == 1)
    gateway.send(envelope(2, running(T, 1)))
    eventually(lambda: gateway.receipts and gateway.receipts[-1].streams.get(STREAM))
    assert gateway.receipts[-1].streams[STREAM].beyond == [(2, 2)]
    assert on_mosquitto.pieces() == {"press-1": 10}
