"""What is told of gateways: what they said, what is missing by day, and only to who may see it."""

import time
from html import unescape

import httpx
import pytest
from api_plant import fill
from center_plant import ns
from scraped import samples

from center.api.app import create_app
from center.api.upkeep.metrics import _gateways
from center.console.delivery import cards as delivery_cards
from center.ingest.gateway_state import GatewayStateHandler
from center.ingest.mqtt import Arrived
from center.model.viewer import EVERYTHING, Viewer
from center.queries.gateways import days, gateways
from center.queries.question import Question
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from oee.model.facts import MINUTE_NS
from wire.bodies import Clock, CounterStep, DeviceFault, LinkTrouble, Status, WentBack
from wire.envelope import pack_message
from wire.prometheus import render
from wire.topics import Topic, topic
from words import say

MINUTE_MS = 60_000
NOW = ns("2026-03-02T10:00:20")


@pytest.fixture
def center(tmp_path):
    store = open_store({"file": str(tmp_path / "nhip.duckdb")})
    made = center_state(store, now_ns=lambda: NOW)
    fill(made)
    yield made
    store.close()


def hear(center, **said):
    status = Status(online=True, at_ns=NOW, **said)
    center.pictures.record_status("van-long", "main", status, NOW)


def test_a_day_is_measured_against_the_calendar(center):
    found = days(center, Question(EVERYTHING, "van-long", (), ns("2026-03-02T08:00:00"), ns("2026-03-02T10:00:00")))
    (row,) = found["rows"]
    assert (row["date"], row["gateway"]) == ("2026-03-02", "main")
    assert row["scheduled_ms"] == 2 * 120 * MINUTE_MS  # press-1 and press-2, which never spoke
    assert row["known_ms"] == 45 * MINUTE_MS
    assert row["unknown_ms"] == 0
    assert row["missing_ms"] == row["missing_all_ms"] == 195 * MINUTE_MS
    assert [(item["kind"], item["ranges"], item["envelopes"]) for item in found["holes"]] == [("facts", [(2, 2)], 1)]


async def test_over_http(center):
    hear(
        center,
        waiting=3,
        oldest_ns=NOW - 5 * MINUTE_NS,
        clock=Clock(by="center", error_s=0.25),
        health={"rss_mb": 61.5},
    )
    transport = httpx.ASGITransport(create_app(center))
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        answer = (
            await client.get("/holes", params={"site": "van-long", "from": "2026-03-02", "to": "2026-03-03"})
        ).json()
        assert answer["rows"][0]["known_ms"] == 45 * MINUTE_MS
        (row,) = (await client.get("/gateways", params={"site": "van-long"})).json()
        assert (row["waiting"], row["waiting_since"]) == (3, "2026-03-02T02:55:20+00:00")
        assert (row["holes"], row["clock"]["by"], row["clock"]["error_s"]) == (1, "center", 0.25)
        assert (row["health"]["rss_mb"], row["health"]["tags_per_s"]) == (61.5, None)
        assert (await client.get("/gateways", params={"site": "nowhere"})).status_code == 404
    scraped = samples(render(_gateways(center)))
    assert samples('nhip_center_gateway_clock_trusted{site="van-long",gateway="main"} 1\n') <= scraped
    assert samples('nhip_center_gateway_clock_error_seconds{site="van-long",gateway="main"} 0.25\n') <= scraped
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        assert (await client.get("/holes", params={"site": "van-long", "from": "noon"})).status_code == 422


@pytest.mark.parametrize(
    "clock", [Clock(by="moon"), Clock(by="ntp", error_s=1e10), Clock(by="ntp", wall_error_s=-1e10)]
)
def test_what_makes_no_sense_breaks_no_page(center, clock):
    """A newer program's word, or numbers at their bounds: the cards of all gateways stand on one page."""
    hear(center, clock=clock, health={"uptime_s": 1e15, "rss_mb": -1e15}, waiting=2**53 - 1)
    (row,) = gateways(center, EVERYTHING)
    assert (row["health"]["uptime_s"], row["health"]["rss_mb"]) == (1e15, -1e15)
    zone = center.ledger_cache.sites.current("van-long").zone
    assert "main" in delivery_cards.cards([row], NOW, zone, "en")


def test_others_see_nothing_of_it(center):
    stranger = Viewer("stranger", frozenset({"hoa-binh"}), frozenset({"read"}))
    assert gateways(center, stranger) == []
    with pytest.raises(LookupError):
        gateways(center, stranger, "van-long")
    with pytest.raises(LookupError):
        days(center, Question(stranger, "van-long"))


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_card_says_what_somebody_should_look_at(center, lang):
    hear(center, clock=Clock(by="nobody", wall_error_s=-90.0), devices={"plc": False}, health={"cannot_store": 1.0})
    zone = center.ledger_cache.sites.current("van-long").zone
    card = unescape(delivery_cards.cards(gateways(center, EVERYTHING), NOW, zone, lang))
    for trouble in ("clock", "disk"):
        assert say(f"delivery.trouble.{trouble}", lang) in card
    assert say("delivery.trouble.devices", lang, names="plc") in card
    assert say("delivery.trouble.holes", lang, count=1) in card


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_devices_with_one_cause_are_one_sentence(center, lang):
    taken = [DeviceFault(device=name, code="other_master", extent="line") for name in ("meter-1", "meter-2")]
    tags = DeviceFault(
        device="plc", code="illegal_address", values={"code": "2"}, extent="range", tags=["a", "b"], count=9
    )
    devices = {"meter-1": False, "meter-2": False, "old": False, "plc": True}
    hear(center, devices=devices, faults=[*taken, tags])
    [row] = gateways(center, EVERYTHING)
    zone = center.ledger_cache.sites.current("van-long").zone
    card = unescape(delivery_cards.cards([row], NOW, zone, lang))
    what, causes = (say(f"fault.other_master{part}", lang) for part in ("", ".causes"))
    assert say("delivery.trouble.fault", lang, names="meter-1; meter-2", what=what, causes=causes) in card
    assert say("delivery.trouble.tags", lang, device="plc", count="9", tags="a, b, …") in card
    assert say("delivery.trouble.devices", lang, names="old") in card, "an older gateway says no cause"


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_card_says_why_nothing_is_stored(center, lang):
    why = "table journal_recent has no column named <envelopes>"
    hear(center, health={"cannot_store": 1.0}, trouble=why)
    [row] = gateways(center, EVERYTHING)
    assert (row["cannot_store"], row["trouble"]) == (True, why)
    zone = center.ledger_cache.sites.current("van-long").zone
    card = unescape(delivery_cards.cards([row], NOW, zone, lang))
    assert say("delivery.trouble.storing", lang, why=why) in card


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_card_says_what_counters_did_besides_counting(center, lang):
    """Each kind in its own words, one that only a newer gateway knows too; a restart makes no card red."""
    kinds = ("reset", "jump", "spike", "dip", "pace", "swap")
    steps = [
        CounterStep(machine="press-1", role="total", at_ns=NOW - n * MINUTE_NS, kind=kind, old=5060, new=190 + n)
        for n, kind in enumerate(kinds)
    ]
    zone = center.ledger_cache.sites.current("van-long").zone
    for step in steps:
        hear(center, counters=[step])
        [row] = gateways(center, EVERYTHING)
        assert [(item["kind"], item["old"], item["new"]) for item in row["counters"]] == [(step.kind, 5060, step.new)]
        card = unescape(delivery_cards.cards([row], NOW, zone, lang))
        key = "other" if step.kind == "swap" else step.kind
        assert say(f"counter.{key}", lang, old=5060, new=step.new) in card
        assert f"press-1, {say('counter.role.total', lang)}" in card
    hear(center, counters=[])
    assert "counter-steps" not in delivery_cards.cards(gateways(center, EVERYTHING), NOW, zone, lang)


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_a_gateway_that_is_newer_than_the_center(center, lang):
    """Its messages cannot be read, and it would look as if it were away."""
    center.pictures.record_unreadable("van-long", "main", NOW - 60_000_000_000)
    [row] = gateways(center, EVERYTHING)
    assert (row["online"], row["unreadable"]) == (False, True)
    zone = center.ledger_cache.sites.current("van-long").zone
    card = unescape(delivery_cards.cards([row], NOW, zone, lang))
    assert say("delivery.trouble.unreadable", lang) in card
    center.pictures.record_unreadable("van-long", "main", NOW - 100_000_000_000)
    assert not gateways(center, EVERYTHING)[0]["unreadable"]


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_a_gateway_whose_new_version_did_not_start(center, lang):
    assert gateways(center, EVERYTHING)[0]["went_back"] is None
    hear(center, went_back=WentBack(from_version="0.3-1", to_version="0.2-1", unit="nhip-agent", at_ns=NOW))
    [row] = gateways(center, EVERYTHING)
    assert row["went_back"] == {
        "from_version": "0.3-1",
        "to_version": "0.2-1",
        "unit": "nhip-agent",
        "at": "2026-03-02T03:00:20+00:00",
    }
    card = unescape(delivery_cards.cards([row], NOW, center.ledger_cache.sites.current("van-long").zone, lang))
    for part in ("0.3-1", "0.2-1", "10:00", "journalctl -u nhip-agent"):
        assert part in card
    hear(center, went_back=WentBack(from_version="0.3-1", to_version="0.2-1"))
    [row] = gateways(center, EVERYTHING)
    assert row["went_back"]["at"] is None
    assert "0.3-1" in delivery_cards.cards([row], NOW, center.ledger_cache.sites.current("van-long").zone, lang)


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_a_gateway_that_sends_more_than_its_budget(center, lang):
    now_s = time.monotonic()
    while center.budgets.admits("van-long", "main", 1_000_000, now_s):
        pass
    [row] = gateways(center, EVERYTHING)
    assert row["held_back"] == 1
    zone = center.ledger_cache.sites.current("van-long").zone
    card = unescape(delivery_cards.cards([row], NOW, zone, lang))
    assert say("delivery.trouble.held_back", lang, count="1") in card


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_a_gateway_whose_status_comes_and_whose_envelopes_do_not(center, lang):
    """What it says it has sent and what arrives are compared."""
    zone = center.ledger_cache.sites.current("van-long").zone
    status = Status(online=True, at_ns=NOW, waiting=7)
    center.pictures.record_status("van-long", "main", status, NOW - 20 * MINUTE_NS)
    hear(center, waiting=7)
    [row] = gateways(center, EVERYTHING)
    assert row["unreceived"] == 7
    card = unescape(delivery_cards.cards([row], NOW, zone, lang))
    assert say("delivery.trouble.unreceived", lang, count="7") in card
    for change in ({"waiting": 0}, {"waiting": 7}):  # all were taken; the next wait began only now
        hear(center, **change)
        assert gateways(center, EVERYTHING)[0]["unreceived"] == 0


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_what_is_not_closed_yet_is_said_beside_what_waits(center, lang):
    """Nothing waits, and still the last two minutes are not there: they are not closed."""
    hear(center, waiting=0, closed_ns=NOW - NOW % MINUTE_NS - MINUTE_NS)
    [row] = gateways(center, EVERYTHING)
    assert (row["waiting"], row["closed"]) == (0, "2026-03-02T02:59:00+00:00")
    zone = center.ledger_cache.sites.current("van-long").zone
    card = unescape(delivery_cards.cards([row], NOW, zone, lang))
    assert say("delivery.closed", lang) in card
    assert "09:59" in card


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_the_card_says_what_is_wrong_with_the_link(center, lang):
    told = LinkTrouble(code="too_large_named", values={"kind": "site", "bytes": "900", "most": "700"})
    odd = [LinkTrouble(code="of_a_newer_one", values={"x": "1"}), LinkTrouble(code="two_boxes", values={"lang": "y"})]
    hear(center, link=[told, *odd, *[LinkTrouble(code="x" * 1000, values={"y" * 1000: "z" * 1000})] * 50])
    [row] = gateways(center, EVERYTHING)
    assert len(row["link"]) == 10
    zone = center.ledger_cache.sites.current("van-long").zone
    card = unescape(delivery_cards.cards([row], NOW, zone, lang))
    assert say("link.too_large_named", lang, kind="site", bytes="900", most="700") in card
    assert "of_a_newer_one x=1" in card
    assert "two_boxes lang=y" in card
    assert "x" * 61 not in card


def test_of_statuses_that_wait_the_newest_stands_for_all(center):
    """The worker parses none again, and asks no database about what is outdated."""
    passed_on = []
    handler = GatewayStateHandler(center, None, lambda _: True, lambda *told: passed_on.append(told), settles=False)
    places = [Topic("van-long", name, "status") for name in ("main", "annex")]
    waiting = []
    for number in range(5):
        for where in places:
            payload = pack_message(Status(online=True, at_ns=NOW, waiting=number))
            waiting.append(Arrived(topic(*where), payload, 1, number, 1))
            assert handler.record(waiting[-1], where)
    for message in waiting:
        handler.check(message)
    assert [(gateway, status.waiting) for _, gateway, status in passed_on] == [("main", 4), ("annex", 4)]
    handler.record(waiting[0], places[0])
    handler.check(waiting[0])
    assert len(passed_on) == 3


@pytest.mark.parametrize(("kind", "most"), [("status", 10_000), ("live", 40_000)])
def test_what_would_be_too_many_objects_is_not_read(center, kind, most):
    handler = GatewayStateHandler(center, None, lambda _: True, lambda *_: None, settles=False)
    where = Topic("van-long", "main", kind)
    for items, malformed in ((most - 10, 0), (most + 1, 1)):
        text = b'{"online":true,"at_ns":1,"machines":{},"later":[' + b",".join([b"0"] * items) + b"]}"
        handler.record(Arrived(topic(*where), text, 1, 1, 1), where)
        assert center.health.counts().get("malformed_live_or_status", 0) == malformed
