"""Process values at the API: by tag, device and machine, with what held before, cut where the answer says."""

import httpx
import pytest
from api_plant import WINDOW, T, deliver, fill
from center_plant import envelope, ns, site_body
from value_rows import gathered

from center.api.app import create_app
from center.runtime.state import center_state
from center.stores.duckdb.store import open_store
from wire.values import values_bodies


@pytest.fixture
def center(tmp_path):
    store = open_store({"file": str(tmp_path / "nhip.duckdb")})
    made = center_state(store, now_ns=lambda: ns("2026-03-02T10:00:20"))
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


def _send_values(center):
    body = site_body(["press-1", "press-2"], valid_from=ns("2026-03-02T09:00:00"))
    body["values"] = {
        "plc.temp": {"unit": "°C", "machines": ["press-1"]},
        "io.red": {"machines": ["press-2"]},
    }
    columns = {
        "plc.temp": [((T + second * 10**9) // 1000, 20 + second / 10, 0) for second in range(-5, 10)],
        "io.red": [(T // 1000, None, 3), ((T + 10**9) // 1000, True, 0)],
    }
    (content,) = values_bodies(gathered(columns))
    deliver(center, "van-long", "site", [envelope(2, content=body, stream="bb" * 8)])
    deliver(center, "van-long", "values", [envelope(1, content=content, stream="cc" * 8)])


async def test_process_values_by_tag_device_and_machine(center, client):
    _send_values(center)
    every = await _get(client, "/values", site="van-long", **WINDOW)
    assert [(item["gateway"], item["tag"], item["unit"]) for item in every["series"]] == [
        ("main", "io.red", ""),
        ("main", "plc.temp", "°C"),
    ]
    red, temp = every["series"]
    assert (red["value"], red["quality"]) == ([None, 1.0], ["gap", "good"])
    assert temp["t"][0] == "2026-03-02T07:59:59+07:00", "what held when the window began"
    assert temp["value"] == [19.9, *(round(20 + second / 10, 1) for second in range(10))]
    assert not every["truncated"]
    for more in (
        {"machine": "press-1"},
        {"device": "plc"},
        {"tag": "plc.temp"},
        {"machine": "press-1", "gateway": "main"},
    ):
        assert (await _get(client, "/values", site="van-long", **WINDOW, **more))["series"] == [temp]


async def test_process_values_that_are_too_many_are_cut_where_the_answer_says(center, client):
    _send_values(center)
    first = await _get(client, "/values", site="van-long", tag="plc.temp", limit=4, **WINDOW)
    assert (first["truncated"], first["to"]) == (True, "2026-03-02T08:00:04+07:00")
    assert first["series"][0]["value"] == [19.9, 20.0, 20.1, 20.2, 20.3]
    rest = await _get(client, "/values", site="van-long", tag="plc.temp", **{"from": first["to"], "to": WINDOW["to"]})
    assert rest["series"][0]["value"][0] == 20.3
    assert rest["series"][0]["value"][1:] == [20.4, 20.5, 20.6, 20.7, 20.8, 20.9]


async def test_process_values_that_nobody_sends(center, client):
    assert (await _get(client, "/values", site="van-long", **WINDOW))["series"] == []
    assert (await _get(client, "/values", site="van-long", tag="plc.none", **WINDOW))["series"] == []
    assert "values" in await _detail(client, 404, site="van-long", device="plc", **WINDOW)
    assert "before" in await _detail(client, 422, site="van-long", **{"from": WINDOW["to"], "to": WINDOW["from"]})


async def _detail(client, status, **parameters):
    answer = await client.get("/values", params=parameters)
    assert answer.status_code == status
    return answer.json()["detail"]
