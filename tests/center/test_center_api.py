"""The API over a real store file: numbers that a person can check by hand, and plain words for what cannot be."""

import asyncio
import re
from dataclasses import replace
from urllib.parse import urlencode

import httpx
import pytest
from api_plant import WINDOW, T, deliver, fill
from center_plant import STREAM, envelope, ns

from center.api.app import create_app
from center.contract.store import StoreUnavailable
from center.run import run
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from config import Misconfigured, parse_center
from oee.kpi.kpi import KPI_KEYS
from oee.model.facts import MINUTE_NS, Stop
from oee.model.states import State

HOUR_MS = 3_600_000


@pytest.fixture
def center(tmp_path):
    store = open_store({"file": str(tmp_path / "nhip.duckdb")})
    made = center_state(store, now_ns=lambda: ns("2026-03-02T10:00:20"), name="Trung tâm")
    fill(made)
    yield made
    store.close()


@pytest.fixture
async def client(center):
    transport = httpx.ASGITransport(create_app(center))
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as made:
        yield made


async def _get(client, path, **parameters):
    answer = await client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_sites_and_machines(client):
    (site,) = await _get(client, "/sites")
    assert (site["id"], site["name"]["vi"], site["timezone"]) == ("van-long", "Nhựa Vân Long", "Asia/Ho_Chi_Minh")
    assert site["machines"] == ["press-1", "press-2"]
    assert [(gateway["id"], gateway["online"]) for gateway in site["gateways"]] == [("main", False)]
    detail = await _get(client, "/sites/van-long")
    assert detail["products"]["1"]["name"]["vi"] == "Ốp nhựa A"
    machines = await _get(client, "/machines", site="van-long")
    assert machines[0]["name"] == {"vi": "Máy press-1", "en": "press-1"}
    assert machines[0] | {"name": {}} == {
        "site": "van-long",
        "id": "press-1",
        "name": {},
        "line": "stamping",
        "line_name": {},
        "calendar": "",
        "period_s": 1.0,
        "minor_stop_at_most_s": 300.0,
        "gateway": "main",
        "named": True,
        "retired": None,
        "lines": [{"line": "stamping", "line_name": {}, "from": None, "to": None}],
    }
    live = await _get(client, "/live", site="van-long")
    assert [(row["machine"], row["state"], row["gateway_online"]) for row in live] == [
        ("press-1", "unknown", False),
        ("press-2", "unknown", False),
    ]


async def test_an_hour_by_hand(client):
    """30 of 45 watched minutes ran: A 2/3. 40 s ideal time a minute: P 2/3. All good: Q 1. A quarter unseen: 0.75."""
    trend = await _get(client, "/trend", site="van-long", machine="press-1", bucket="hour", **WINDOW)
    assert (trend["bucket"], trend["formula"], trend["timezone"]) == ("hour", "nakajima", "Asia/Ho_Chi_Minh")
    first, second = trend["rows"]
    assert first["start"] == "2026-03-02T08:00:00+07:00"
    assert first["scheduled_ms"] == HOUR_MS
    assert first["sums"]["pieces_total"] == 300
    kpis = first["kpis"]
    assert kpis["availability"] == pytest.approx(2 / 3)
    assert kpis["performance"] == pytest.approx(2 / 3)
    assert kpis["quality"] == 1
    assert kpis["oee"] == pytest.approx(4 / 9)
    assert kpis["coverage"] == pytest.approx(0.75)
    assert kpis["oee_low"] == pytest.approx(20 / 60)
    assert kpis["oee_high"] == pytest.approx(35 / 60)
    assert set(kpis) == set(KPI_KEYS)
    assert (second["start"], second["scheduled_ms"]) == ("2026-03-02T09:00:00+07:00", HOUR_MS)
    assert second["kpis"]["oee"] is None
    assert second["kpis"]["coverage"] == 0
    assert "oee" in second["why_null"]
    assert not any(second["sums"].values())


async def test_a_silent_machine_has_rows_with_no_coverage(client):
    trend = await _get(client, "/trend", site="van-long", bucket="all", **WINDOW)
    assert [(row["machine"], row["scheduled_ms"], row["kpis"]["coverage"]) for row in trend["rows"]] == [
        ("press-1", 2 * HOUR_MS, 0.375),
        ("press-2", 2 * HOUR_MS, 0.0),
    ]
    together = await _get(client, "/trend", site="van-long", bucket="all", by="", **WINDOW)
    (row,) = together["rows"]
    assert (row["machine"], row["scheduled_ms"]) == ("", 4 * HOUR_MS)
    assert row["kpis"]["coverage"] == pytest.approx(0.1875)


async def test_shifts_and_days_count_their_own_schedule(client):
    window = {"from": "2026-03-02", "to": "2026-03-03"}
    shifts = await _get(client, "/trend", site="van-long", machine="press-1", bucket="shift", **window)
    assert [(row["shift"], row["scheduled_ms"]) for row in shifts["rows"]] == [
        ("A", 8 * HOUR_MS - 900_000),
        ("B", 8 * HOUR_MS),
    ]
    assert {row["start"] for row in shifts["rows"]} == {"2026-03-02T00:00:00+07:00"}
    days = await _get(client, "/trend", site="van-long", machine="press-1", bucket="day", by="machine", **window)
    assert [row["scheduled_ms"] for row in days["rows"]] == [16 * HOUR_MS - 900_000]
    assert days["rows"][0]["kpis"]["utilization"] == pytest.approx((16 - 0.25) / 24)
    by_shift = await _get(client, "/trend", site="van-long", bucket="day", by="shift", **window)
    assert [(row["shift"], row["scheduled_ms"]) for row in by_shift["rows"]] == [
        ("A", 2 * (8 * HOUR_MS - 900_000)),
        ("B", 16 * HOUR_MS),
    ]


async def test_breaks_are_no_part_of_oee(client):
    window = {"from": "2026-03-02T10:00:00+07:00", "to": "2026-03-02T11:00:00+07:00"}
    (row,) = (await _get(client, "/trend", site="van-long", machine="press-1", **window))["rows"]
    assert (row["scheduled_ms"], row["sums"]["running_ms"], row["kpis"]["coverage"]) == (2_700_000, 0, 0)
    apart = await _get(client, "/trend", site="van-long", machine="press-1", by="machine,calendar", **window)
    found = {row["calendar"]: row for row in apart["rows"]}
    assert found["break"]["sums"]["pieces_total"] == 5
    assert found["break"]["kpis"] == {}
    assert found["scheduled"]["scheduled_ms"] == 2_700_000


async def test_by_product_the_schedule_cannot_be_told(client):
    trend = await _get(client, "/trend", site="van-long", bucket="all", by="machine,product", **WINDOW)
    (row,) = trend["rows"]
    assert (row["machine"], row["product"], row["scheduled_ms"]) == ("press-1", "1", None)
    assert row["kpis"]["oee"] == pytest.approx(4 / 9)
    for key in ("coverage", "oee_low", "oee_high"):
        assert row["kpis"][key] is None
        assert row["why_null"][key]


async def test_losses_stops_and_coverage(client):
    losses = await _get(client, "/losses", site="van-long", **WINDOW)
    assert [(row["machine"], row["state"], row["reason"], row["ms"]) for row in losses["rows"]] == [
        ("press-2", "unknown", "", 2 * HOUR_MS),
        ("press-1", "unknown", "", 75 * 60_000),
        ("press-1", "breakdown", "kẹt khuôn", 900_000),
    ]
    by_state = await _get(client, "/losses", site="van-long", by="state", **WINDOW)
    assert [(row["state"], row["ms"]) for row in by_state["rows"]] == [
        ("unknown", 195 * 60_000),
        ("breakdown", 900_000),
    ]
    stops = await _get(client, "/stops", site="van-long", **WINDOW)
    assert stops["rows"] == [
        {
            "machine": "press-1",
            "id": "s1",
            "start": "2026-03-02T08:30:00+07:00",
            "end": "2026-03-02T08:45:00+07:00",
            "state": "breakdown",
            "reason": "kẹt khuôn",
            "by": "plc",
            "product": "1",
            "to_product": "",
            "revision": 1,
        }
    ]
    coverage = await _get(client, "/coverage", site="van-long", machine="press-1", **WINDOW)
    assert coverage["rows"] == [
        {
            "machine": "press-1",
            "scheduled_ms": 2 * HOUR_MS,
            "known_ms": 45 * 60_000,
            "unknown_ms": 75 * 60_000,
            "coverage": 0.375,
        }
    ]


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({}, ["s3", "s2", "s1"]),
        ({"order": "longest"}, ["s1", "s3", "s2"]),
        ({"shortest_s": "240"}, ["s3", "s1"]),
        ({"unexplained": "true"}, ["s3"]),
        ({"state": "minor_stop"}, ["s2"]),
        ({"state": ["breakdown", "unplanned_stop"], "order": "longest"}, ["s1", "s3"]),
        ({"reason": "kẹt khuôn"}, ["s1"]),
        ({"reason": ""}, ["s3", "s2"]),
        ({"product": "2"}, ["s2"]),
        ({"shift": "A"}, ["s3", "s2", "s1"]),
        ({"shift": "N"}, []),
    ],
)
async def test_stops_are_filtered_and_ordered(center, client, wanted, ids):
    more = [
        Stop("press-1", "s2", T + 50 * MINUTE_NS, T + 51 * MINUTE_NS, State.MINOR_STOP, "", "count", "2", "", 0),
        Stop("press-1", "s3", T + 55 * MINUTE_NS, T + 60 * MINUTE_NS, State.UNPLANNED_STOP, "", "count", "1", "", 0),
    ]
    deliver(center, "van-long", "facts", [envelope(5, stops=more)])
    answer = await _get(client, "/stops", site="van-long", **WINDOW, **wanted)
    assert [row["id"] for row in answer["rows"]] == ids
    assert (answer["total"], answer["truncated"], answer["next"]) == (len(ids), False, None)
    by_page, url = (
        [],
        f"http://test/api/v1/stops?{urlencode({'site': 'van-long', 'limit': 1} | WINDOW | wanted, doseq=True)}",
    )
    while url:
        page = (await client.get(url)).json()
        by_page += [row["id"] for row in page["rows"]]
        assert page["total"] == len(ids)
        url = page["next"] and f"http://test{page['next']}"
    assert by_page == ids


async def test_a_stop_that_began_before_the_window_is_of_the_shift_in_which_it_began(center, client):
    begin = T - 110 * MINUTE_NS
    deliver(center, "van-long", "facts", [envelope(6, stops=[
        Stop("press-1", "s0", begin, T - 20 * MINUTE_NS, State.UNPLANNED_STOP, "", "count", "1", "", 0)
    ])])  # fmt: skip
    window = {"from": "2026-03-02T07:30:00+07:00", "to": "2026-03-02T07:45:00+07:00"}
    for wanted, ids in (({"shift": "A"}, ["s0"]), ({"shift": "N"}, []), ({"unexplained": "true"}, ["s0"])):
        answer = await _get(client, "/stops", site="van-long", **window, **wanted)
        assert [row["id"] for row in answer["rows"]] == ids, wanted


async def test_the_waterfall_of_a_morning_by_hand(client):
    """An hour in shift A (half ran at 2/3 of its speed, a quarter broke down, a quarter nobody saw), then a quarter's break."""
    window = {"from": "2026-03-02T08:00:00+07:00", "to": "2026-03-02T10:15:00+07:00"}
    answer = await _get(client, "/waterfall", site="van-long", machine="press-1", **window)
    minutes = {row["step"]: row["us"] / 60e6 for row in answer["rows"] if row["us"]}
    assert minutes == {
        "all_time": 135, "break": 15, "scheduled": 120, "planned_busy": 120, "unknown": 75, "busy": 45, "breakdown": 15,
        "operating": 30, "slow_cycles": 10, "net_operating": 20, "fully_productive": 20,
    }  # fmt: skip
    assert {row["step"]: row["big_loss"] for row in answer["rows"] if row["us"] and row["big_loss"]} == {
        "breakdown": "breakdown",
        "slow_cycles": "reduced_speed",
    }
    assert (answer["bucket"], answer["formula"], answer["rows"][0]["machine"]) == ("all", "nakajima", "press-1")


@pytest.mark.parametrize("by", ["machine", "machine,shift", "", "shift", "machine,product"])
@pytest.mark.parametrize("bucket", ["all", "hour", "shift", "day"])
async def test_every_total_is_the_one_before_it_less_its_losses(client, by, bucket):
    """And what is lost of scheduled time is what the losses and the trend say, to the microsecond."""
    asked = {"site": "van-long", "by": by, "bucket": bucket, "from": "2026-03-02T07:30:00+07:00", "to": WINDOW["to"]}
    rows = (await _get(client, "/waterfall", **asked))["rows"]
    assert rows
    cells = {}
    for row in rows:
        cells.setdefault((row["start"], row.get("machine"), row.get("shift"), row.get("product")), []).append(row)
    for steps in cells.values():
        left_us = steps[0]["us"]
        for step in steps[1:]:
            left_us -= step["us"] if step["group"] else 0
            assert step["group"] or step["us"] == left_us, step
    if "product" not in by:
        trend = (await _get(client, "/trend", **asked))["rows"]
        scheduled_ms = sum(row["us"] for row in rows if row["step"] == "scheduled") / 1000
        assert scheduled_ms == sum(row["scheduled_ms"] for row in trend)


async def test_without_an_end_the_window_ends_with_the_last_minute_that_is_over(client):
    found = await _get(client, "/coverage", site="van-long")
    assert (found["from"], found["to"]) == ("2026-03-01T10:00:00+07:00", "2026-03-02T10:00:00+07:00")
    press_1 = found["rows"][0]
    assert press_1["scheduled_ms"] == 4 * HOUR_MS  # known since midnight, and its shift began at six


async def test_delivery_and_quarantine(client):
    rows = (await _get(client, "/delivery", site="van-long"))["rows"]
    facts = next(row for row in rows if row["kind"] == "facts")
    assert (facts["stream"], facts["mark"], facts["stored"], facts["holes"]) == (STREAM, 1, 2, [[2, 2]])
    found = await _get(client, "/quarantine")
    assert found["count"] == 1
    assert (found["rows"][0]["topic"], found["rows"][0]["bytes"]) == ("nhip/v1/van-long/main/facts", 5)
    assert (await _get(client, "/quarantine", site="other"))["count"] == 0
    assert (await _get(client, "/health"))["status"] == "ok"


@pytest.mark.parametrize(
    ("path", "parameters", "status", "words"),
    [
        ("/trend", {}, 422, "site"),
        ("/trend", {"site": "nowhere"}, 404, "GET /api/v1/sites"),
        ("/trend", {"site": "van-long", "machine": "press-9"}, 404, "press-1, press-2"),
        ("/trend", {"site": "van-long", "bucket": "decade"}, 422, "minute, hour"),
        ("/trend", {"site": "van-long", "by": "colour"}, 422, "machine, shift"),
        ("/trend", {"site": "van-long", "formula": "mine"}, 422, "nakajima, iso22400"),
        ("/trend", {"site": "van-long", "from": "yesterday"}, 422, "2026-03-02T06:00:00%2B07:00"),
        ("/trend", {"site": "van-long", "from": "2026-03-02T06:00:00"}, 422, "no offset"),
        ("/trend", {"site": "van-long", "from": "2026-03-02", "to": "2026-03-01"}, 422, "from is not before to"),
        ("/trend", {"site": "van-long", "from": "1971-01-01", "bucket": "minute"}, 422, "longer bucket"),
        ("/stops", {"site": "van-long", "limit": "0"}, 422, "limit"),
        ("/sites/nowhere", {}, 404, "unknown"),
    ],
)
async def test_what_cannot_be_answered_is_said_in_plain_words(client, path, parameters, status, words):
    answer = await client.get(path, params=parameters)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


async def test_a_plus_sign_lost_in_the_url_is_understood(client):
    answer = await client.get("/coverage?site=van-long&from=2026-03-02T08:00:00+07:00&to=2026-03-02T10:00:00+07:00")
    assert answer.json()["from"] == "2026-03-02T08:00:00+07:00"


async def test_a_store_that_is_away_is_said(center):
    class Away:
        def facts(self, query):
            raise StoreUnavailable("the disk is gone")

    transport = httpx.ASGITransport(create_app(replace(center, store=Away())))
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        answer = await client.get("/coverage", params={"site": "van-long"})
    assert (answer.status_code, answer.json()) == (503, {"error": "store_away", "detail": "the disk is gone"})


async def test_the_description_is_complete(client):
    description = await _get(client, "/openapi.json")
    assert len(description["paths"]) == 18
    for path, operations in description["paths"].items():
        operation = operations["get"]
        assert operation["description"], path
        assert operation["responses"]["200"]["content"]["application/json"]["schema"], path
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description") or parameter["in"] == "path", (path, parameter["name"])


async def test_large_answers_are_compressed(client):
    answer = await client.get("/trend", params={"site": "van-long", **WINDOW})
    assert answer.headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"store": "{kind: abacus}"}, "unknown_store"),
        ({"store": "{kind: contract}"}, "unknown_store"),
        ({"accounts": "on"}, "no_administrator"),
        ({"https": "{certificate: /no/such, key: /no/such}"}, "certificate_unusable"),
        ({"password_file": "/no/such/file"}, "cannot_read"),
    ],
)
async def test_a_center_that_cannot_start_says_why(tmp_path, settings, code):
    lines = {
        "accounts": "off",
        "broker": "mqtt://127.0.0.1:1",
        "listen": "127.0.0.1:0",
        "store": f"{{kind: duckdb, file: {tmp_path}/a}}",
        "database": f"sqlite:///{tmp_path}/a.sqlite",
    }
    text = "".join(f"{key}: {value}\n" for key, value in (lines | settings).items())
    with pytest.raises(Misconfigured) as caught:
        await run(parse_center(text), asyncio.Event())
    assert caught.value.complaints[0].code == code


async def test_an_address_that_this_machine_does_not_have_yet_is_waited_for(tmp_path):
    lines = ("accounts: on", "proxy: 127.0.0.1", "broker: mqtt://127.0.0.1:1", "listen: 203.0.113.1:80")
    files = (f"store: {{kind: duckdb, file: {tmp_path}/a}}", f"database: sqlite:///{tmp_path}/a.sqlite")
    stop = asyncio.Event()
    running = asyncio.create_task(run(parse_center("\n".join((*lines, *files))), stop))
    done, _ = await asyncio.wait({running}, timeout=2)
    assert not done
    stop.set()
    await asyncio.wait_for(running, 60)


async def test_the_page_of_documents_needs_no_internet(client):
    page = await client.get("/docs")
    assert page.status_code == 200
    found = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(found) >= 3
    for address in found:
        assert address.startswith("/api/v1/docs-files/"), address
        assert (await client.get(f"http://test{address}")).status_code == 200
    assert "://" not in page.text


@pytest.mark.parametrize("path", ["/api/v1/nowhere", "/api/v1/machines/a%0Ab?site=x", "/elsewhere"])
async def test_an_address_that_is_none_is_answered_as_the_description_says(client, path):
    answer = await client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"] == "unknown"
    assert "openapi.json" in answer.json()["detail"]
