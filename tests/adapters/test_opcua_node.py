"""The OPC UA adapter against a server that nobody here wrote: node-opcua, as scripts/nodeopcua installs it."""

import asyncio
import time

import pytest
from opcua_plant import (
    NAMES,
    confirmed,
    device,
    gathered,
    has_node_opcua,
    node_running,
    until_lost,
    until_off,
    until_value,
)

from adapters.opcua.adapter import open_device
from oee.model.states import Quality

pytestmark = pytest.mark.skipif(not has_node_opcua(), reason="no node-opcua here (scripts/nodeopcua installs it)")


def more(count):
    return {f"n{number}": {"node": f"nsu=urn:nhip:test;s=n{number}"} for number in range(count)}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with node_running(tmp_path_factory.mktemp("node-opcua")) as found:
        yield found


@pytest.fixture
def server(shared):
    for line in ("count 0", "running false", "temperature 20.5", "recipe A"):
        shared.set(line)
    return shared


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_values_status_codes_and_source_times(server, mode):
    tags = {"missing": {"node": "nsu=urn:nhip:test;s=missing"}}
    adapter = open_device(device(server.port, tags, mode=mode), time.time_ns)
    await adapter.connect()
    first = await gathered(adapter, (*NAMES, *tags))
    assert {name: (rows[0].value, rows[0].quality) for name, rows in first.items()} == {
        "count": (0, Quality.GOOD),
        "running": (False, Quality.GOOD),
        "temperature": (20.5, Quality.GOOD),
        "recipe": ("A", Quality.GOOD),
        "missing": (None, Quality.BAD),
    }
    before_ns = time.time_ns()
    server.set("count 5")
    (row,) = (await gathered(adapter, ["count"]))["count"]
    assert row.value == 5
    assert before_ns - 1_000_000_000 < row.source_ns <= time.time_ns()
    assert before_ns - 200_000_000 < row.t_ns <= time.time_ns()
    server.set("temperature 21 UncertainLastUsableValue")
    assert (await gathered(adapter, ["temperature"]))["temperature"][0][2:4] == (21.0, Quality.UNCERTAIN)
    server.set("temperature 22 BadSensorFailure")
    assert (await gathered(adapter, ["temperature"]))["temperature"][0].quality is Quality.BAD
    await adapter.close()


@pytest.mark.parametrize("security", ["Basic256Sha256/SignAndEncrypt", "Aes256Sha256RsaPss/Sign"])
async def test_with_security(server, tmp_path, security):
    asked = device(server.port, security=security, timeout="20s").with_files("node", tmp_path)
    for _ in range(2):  # the second time the server's certificate is pinned
        adapter = open_device(asked, time.time_ns)
        await adapter.connect()
        server.set("count 7")
        await until_value(adapter, "count", 7)
        await adapter.close()


async def test_a_device_whose_clock_is_years_off_is_reported_and_not_believed(server):
    """thingsboard-gateway#879: a PLC's clock goes back to 2000-01-01 after a power loss."""
    asked = device(server.port, {"clock": {"node": "nsu=urn:nhip:test;s=clock"}})
    adapter = open_device(asked.model_copy(update={"heartbeat": "nsu=urn:nhip:test;s=clock"}), time.time_ns)
    await adapter.connect()
    await gathered(adapter, NAMES)
    confirmed_ns = await confirmed(adapter)
    before_ns = time.time_ns()
    server.set("clock 2000-01-01T00:00:00Z")
    server.set("count 5 Good -850000000")
    (row,) = (await gathered(adapter, ["count"]))["count"]
    assert confirmed_ns <= row.t_ns <= time.time_ns(), "dated by the gateway"
    source_ns = row.source_ns + 850_000_000 * 10**9
    assert before_ns - 10**9 < source_ns <= time.time_ns(), "kept as it was told"
    await until_off(adapter, 26 * 365 * 86400)
    await adapter.close()


async def test_a_server_that_holds_few_items_in_one_subscription_gets_several(shared):
    """thingsboard-gateway and asyncua#1516: split subscriptions, and respect what a server can take at once."""
    limits = {
        "maxMonitoredItemsPerSubscription": 5,
        "operationLimits": {"maxMonitoredItemsPerCall": 3, "maxNodesPerRead": 4},
    }
    with node_running(shared.folder, more=14, limits=limits) as server:
        adapter = open_device(device(server.port, more(14)), time.time_ns)
        await adapter.connect()
        rows = await gathered(adapter, (*NAMES, *more(14)))
        assert [rows[f"n{number}"][0].value for number in range(14)] == list(range(14))
        assert all(row.quality is Quality.GOOD for of_tag in rows.values() for row in of_tag)
        assert len(adapter._subscriptions._inboxes) == 5, "18 tags and a heartbeat in each, 5 to a subscription"
        server.set("n0 100")
        server.set("n13 113")
        later = await gathered(adapter, ("n0", "n13"))
        assert (later["n0"][0].value, later["n13"][0].value) == (100, 113)
        await adapter.close()


async def test_what_a_full_server_does_not_watch_is_asked_for(shared):
    with node_running(shared.folder, more=14, limits={"maxMonitoredItems": 8}) as server:
        adapter = open_device(device(server.port, more(14)), time.time_ns)
        await adapter.connect()
        rows = await gathered(adapter, (*NAMES, *more(14)))
        assert all(row.quality is Quality.GOOD for of_tag in rows.values() for row in of_tag)
        beyond = adapter._polled_tags
        assert 8 <= len(beyond) <= 12
        server.set("n13 113")
        assert "n13" in beyond
        assert (await gathered(adapter, ["n13"]))["n13"][0].value == 113
        await asyncio.sleep(0.06)
        assert beyond <= set((await adapter.read()).confirmed) | set((await adapter.read()).confirmed)
        await adapter.close()


async def test_a_queue_keeps_what_came_between_two_publications_and_a_deadband_leaves_out_what_is_small(server):
    nodes = {
        "count": {"node": "nsu=urn:nhip:test;s=count", "every": "10ms", "queue": 50},
        "temperature": {"node": "nsu=urn:nhip:test;s=temperature", "deadband": 1.0},
    }
    adapter = open_device(device(server.port, every="1s", tags=nodes), time.time_ns)
    await adapter.connect()
    await gathered(adapter, nodes)
    for number in range(1, 11):  # node-opcua samples every 50 ms at most
        server.set(f"count {number}")
        server.set(f"temperature {20.5 + number / 100}")
        await asyncio.sleep(0.07)
    server.set("temperature 30")
    rows = await gathered(adapter, nodes)
    assert [row.value for row in rows["temperature"]] == [30.0]
    values = [row.value for row in rows["count"]]
    assert values == sorted(values)
    assert len(values) >= 4, "two publications without a queue would bring two"
    await adapter.close()


async def test_a_server_that_is_killed_and_comes_back(server):
    adapter = open_device(device(server.port), time.time_ns)
    await adapter.connect()
    await gathered(adapter, NAMES)
    server.end()
    await until_lost(adapter)
    await adapter.close()
    server.start()
    await adapter.connect()
    server.set("count 3")
    await until_value(adapter, "count", 3)
    await adapter.close()
