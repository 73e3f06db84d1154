"""What a gateway may cost, and that no other notices when one costs more."""

import json
import threading
import zlib

import pytest
from center_plant import STREAM, Gateway, envelope, eventually, mosquitto, ns, running
from hypothesis import given
from hypothesis import strategies as st

from center.contract.ledger import ENTRY_BYTES, KEEP_UNSETTLED_OF_ONE, Changes, QuarantinedPayload
from center.database.notices import open_notices
from center.database.sql import opening
from center.ingest import ingest_queue
from center.ingest.ingest_queue import IngestQueue, Job
from center.ingest.mqtt import Arrived, BrokerSettings
from center.ingest.notice_keeper import NoticeKeeper
from center.ingest.worker import Ingest
from center.ledger.sql import SqlLedger
from center.model.viewer import EVERYTHING
from center.queries.gateways import gateways
from center.runtime.budgets import BudgetLimits, Budgets
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from oee.model.facts import MINUTE_NS
from wire.bodies import Notice, Status
from wire.topics import parse, topic

T = ns("2026-03-02T08:00:00")
LIMITS = BudgetLimits(messages=60, packed_bytes=6_000, unpacked_bytes=60_000, site_bodies=24, quarantine_bytes=1_000)
WHO = ("van-long", "main")


def arrived(gateway, number, size=1):
    return Arrived(topic("van-long", gateway, "facts"), bytes(size), 1, number, 1)


def test_a_budget_fills_again_as_time_goes_by():
    budgets = Budgets(LIMITS)
    assert [budgets.admits(*WHO, 1, 0.0) for _ in range(301)] == [True] * 300 + [False]
    assert budgets.admits("van-long", "annex", 1, 0.0)
    assert [budgets.admits(*WHO, 1, 2.0) for _ in range(3)] == [True, True, False]
    assert budgets.held_back(*WHO, 3.0).messages == 2
    assert budgets.held_back("van-long", "annex", 3.0) is None
    assert budgets.held_back(*WHO, 1000.0) is None
    assert budgets.refusals() == {WHO: 2}
    assert budgets.admits(*WHO, 1, 1000.0)


@pytest.mark.parametrize(
    ("spend", "wait_s"),
    [
        (lambda budgets: budgets.admits(*WHO, 30_600, 0.0), 7),
        (lambda budgets: budgets.charge_unpacked(*WHO, 120_000, 0.0), 61),
        (lambda budgets: budgets.quarantined(*WHO, [1] * 18, 0.0), 61),
    ],
    ids=["bytes as they arrive", "bytes once they are unpacked", "payloads in quarantine"],
)
def test_whoever_overdraws_waits_until_it_is_paid(spend, wait_s):
    budgets = Budgets(LIMITS)
    spend(budgets)
    assert not budgets.admits(*WHO, 1, wait_s - 2.0)
    assert budgets.admits(*WHO, 1, wait_s)


def test_site_bodies_have_a_budget_of_a_day():
    budgets = Budgets(LIMITS)
    assert [budgets.admits(*WHO, 1, 0.0, is_site_body=True) for _ in range(25)] == [True] * 24 + [False]
    assert budgets.admits(*WHO, 1, 0.0)
    assert budgets.admits(*WHO, 1, 3_601.0, is_site_body=True)


def test_gateways_take_turns():
    queue = IngestQueue()
    for number in range(5):
        assert queue.put(arrived("main", number)) == []
    queue.put(arrived("annex", 7))
    queue.put(arrived("hall", 8))
    taken = queue.take(None, threading.Event()).messages
    assert [message.mid for message in taken] == [0, 7, 8, 1, 2, 3, 4]


@pytest.mark.parametrize(("limit", "size"), [("MAX_MESSAGES", 1), ("MAX_BYTES", 100)])
def test_where_there_is_no_room_the_one_that_waits_with_most_gives_way(monkeypatch, limit, size):
    monkeypatch.setattr(ingest_queue, limit, 10 * size)
    queue = IngestQueue()
    let_go = [left for number in range(12) for left in queue.put(arrived("main", number, size))]
    assert [message.mid for message in let_go] == [10, 11]
    assert [left.mid for number in (20, 21) for left in queue.put(arrived("annex", number, size))] == [9, 8]
    taken = queue.take(None, threading.Event()).messages
    assert [message.mid for message in taken] == [0, 20, 1, 21, 2, 3, 4, 5, 6, 7]
    assert queue.empty()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), max_size=60))
def test_nothing_is_lost_or_doubled_and_each_gateway_keeps_its_order(sent):
    queue, let_go = IngestQueue(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest_queue, "MAX_BYTES", 200)
        patch.setattr(ingest_queue, "MAX_MESSAGES", 20)
        for number, (gateway, size) in enumerate(sent):
            let_go += queue.put(arrived(gateway, number, size))
        taken = queue.take(0, threading.Event()).messages
    assert sorted(message.mid for message in [*taken, *let_go]) == list(range(len(sent)))
    for gateway in "abc":
        mids = [message.mid for message in taken if f"/{gateway}/" in message.topic]
        assert mids == sorted(mids)


def test_jobs_and_wake_ups_come_with_the_batch():
    queue = IngestQueue()
    job = Job(lambda: 1)
    queue.wake()
    assert queue.put_job(job)
    batch = queue.take(None, threading.Event())
    assert (batch.jobs, batch.woken, batch.messages) == ([job], True, [])
    assert queue.empty()


@pytest.fixture(params=["duckdb", "sql"])
def ledger(request, tmp_path):
    if request.param == "duckdb":
        store = open_store({"file": str(tmp_path / "nhip.duckdb")})
        yield store.ledger
        store.close()
    else:
        with opening(f"sqlite:///{tmp_path / 'books.sqlite'}") as engine:
            made = SqlLedger(engine)
        yield made
        made.close()


def payload(gateway, number, *, settled, size=100):
    data = number.to_bytes(4, "big") + bytes(size - 4)
    return QuarantinedPayload(T + number, topic("van-long", gateway, "facts"), "junk", data, settled, "aa" * settled)


def test_a_gateways_junk_takes_no_room_from_others(ledger):
    flood = [payload("main", number, settled=False) for number in range(KEEP_UNSETTLED_OF_ONE + 50)]
    for first in range(0, len(flood), 60):
        ledger.commit(Changes(quarantine=flood[first : first + 60]))
    ledger.commit(Changes(quarantine=[payload("annex", 1, settled=False), payload("main", 999, settled=True)]))
    rows, count = ledger.quarantined("van-long", 10_000)
    assert count == KEEP_UNSETTLED_OF_ONE + 2
    assert [row.settled for row in rows[:2]].count(True) == 1


def test_the_oldest_go_where_a_gateway_has_more_in_quarantine_than_it_may(ledger):
    each = 100 + ENTRY_BYTES
    ledger.commit(Changes(quarantine=[payload("main", number, settled=True) for number in range(10)]))
    ledger.commit(Changes(quarantine=[payload("annex", number, settled=True) for number in range(3)]))
    assert ledger.prune(*WHO, 10 * each) == (10 * each, 0)
    assert ledger.prune(*WHO, 8 * each) == (
        6 * each,
        4,
    )  # and room for some more, so that not each is a reason to look again
    rows, _ = ledger.quarantined("van-long", 100)
    assert sorted(row.at_ns - T for row in rows if "/main/" in row.topic) == [4, 5, 6, 7, 8, 9]
    assert sum("/annex/" in row.topic for row in rows) == 3


def test_beyond_its_budget_a_gateway_waits_and_is_shown_and_others_notice_nothing(tmp_path):
    store = open_store({"file": str(tmp_path / "nhip.duckdb")})
    budgets = Budgets(BudgetLimits(messages=2, quarantine_bytes=300))
    center = center_state(store, budgets=budgets)
    with mosquitto(tmp_path) as port:
        ingest = Ingest(center, BrokerSettings("127.0.0.1", port))
        ingest.start()
        bad, good = Gateway(port), Gateway(port, gateway="annex")
        try:
            eventually(lambda: center.health.condition("broker") == "ok")
            bad.send(*(f"junk {number}".encode() for number in range(40)))
            eventually(lambda: center.health.counts().get("held_back", 0) >= 29)
            good.send(envelope(1, running(T, 1, "press-2")))
            eventually(lambda: good.mark() == 1)
            shown = {row["gateway"]: row["held_back"] for row in gateways(center, EVERYTHING, "van-long")}
            assert shown["annex"] == 0
            assert budgets.refusals()["van-long", "main"] >= 29
            assert not bad.receipts
        finally:
            bad.close()
            good.close()
            ingest.stop()
            store.close()


def test_what_a_status_is_unpacked_is_charged_too(tmp_path):
    """A kilobyte that becomes half a megabyte, again and again: in the end it waits as any other."""
    store = open_store({"file": str(tmp_path / "nhip.duckdb")})
    budgets = Budgets(BudgetLimits(unpacked_bytes=2_000_000))
    center = center_state(store, budgets=budgets)
    ingest = Ingest(center, BrokerSettings("127.0.0.1", 9))
    status = zlib.compress(json.dumps({"online": True, "at_ns": 1, "trouble": "x" * 500_000}).encode())
    for number in range(20):
        ingest._received(Arrived(topic("van-long", "main", "status"), status, -1, number, 1))
    held_back = center.health.counts()["held_back"]
    assert held_back >= 12
    ingest._received(Arrived(topic("van-long", "annex", "status"), status, -1, 99, 1))
    assert center.health.counts()["held_back"] == held_back
    store.close()


def arrive(ingest, gateway, status):
    message = Arrived(topic("van-long", gateway, "status"), status, -1, 0, 1)
    assert ingest._gateway_state.record(message, parse(message.topic))
    ingest._gateway_state.check(message)


def test_new_notices_have_a_budget_of_a_day(tmp_path):
    """What is beyond it is not confirmed, so the gateway says it again; repetitions cost nothing."""
    store, engine = open_store({"file": str(tmp_path / "nhip.duckdb")}), open_notices(f"sqlite:///{tmp_path}/n.sqlite")
    center = center_state(store, budgets=Budgets(BudgetLimits(notices=5)))
    ingest = Ingest(center, BrokerSettings("127.0.0.1", 9), notices=NoticeKeeper(engine))

    def said(gateway, *ids):
        notices = [Notice(id=name, at_ns=T, machine="press-1", kind="call") for name in ids]
        status = Status(online=True, at_ns=1, notices=notices).model_dump_json().encode()
        arrive(ingest, gateway, status)
        return ingest._gateway_state.notices.noted("van-long", gateway)

    assert said("main", *"abc") == [*"abc"]
    for _ in range(9):
        assert said("main", *"abc") == [*"abc"]
    assert said("main", *"abcdef") == [*"abc"]
    assert said("main", *"abcde") == [*"abcde"]
    assert said("annex", *"fgh") == [*"fgh"]
    engine.dispose()
    store.close()


def test_a_gateway_that_cries_wolf_is_believed_ever_more_rarely(tmp_path):
    """Each time that the ledger seems to be restored all gateways are told; an honest one is believed at once."""
    store, now = open_store({"file": str(tmp_path / "nhip.duckdb")}), [T]
    center = center_state(store, now_ns=lambda: now[0])
    ingest = Ingest(center, BrokerSettings("127.0.0.1", 9))

    def cried(gateway):
        before = center.ledger_cache.generation
        status = Status(online=True, at_ns=1, generation=before, marks={STREAM: 9})
        arrive(ingest, gateway, status.model_dump_json().encode())
        return center.ledger_cache.generation != before

    believed = []
    for minute in range(0, 3 * 24 * 60, 11):
        now[0] = T + minute * MINUTE_NS
        if cried("main"):
            believed.append(minute)
    assert len(believed) <= 10
    assert "van-long/main" in center.health.condition("ledger")
    now[0] += 11 * MINUTE_NS
    assert cried("annex")
    store.close()
