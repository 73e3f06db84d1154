"""The OPC UA adapter against asyncua's server in a child process, which can be killed and stopped."""

import asyncio
import time

import pytest
from opcua_plant import NAMES, device, gathered, make_server_certificate, running, until_lost
from servers import until

from adapters.contract import DeviceMisconfigured, NotConnected
from adapters.kinds import open_all
from adapters.opcua.adapter import open_device
from oee.model.states import Quality


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_values_status_and_times(mode):
    async with running() as server:
        tags = {"nowhere": {"node": "nsu=urn:none;s=x"}, "missing": {"node": "nsu=urn:nhip:test;s=missing"}}
        adapter = open_device(device(server.port, tags, mode=mode), time.time_ns)
        began_ns = time.time_ns()
        await adapter.connect()
        first = await gathered(adapter, (*NAMES, *tags))
        found = {name: (rows[0].value, rows[0].quality) for name, rows in first.items()}
        assert found == {
            "count": (0, Quality.GOOD),
            "running": (False, Quality.GOOD),
            "temperature": (20.5, Quality.GOOD),
            "recipe": ("A", Quality.GOOD),
            "nowhere": (None, Quality.BAD),
            "missing": (None, Quality.BAD),
        }
        assert all(row.t_ns >= began_ns for rows in first.values() for row in rows)
        before_ns = time.time_ns()
        await server.set("count 5")
        (row,) = (await gathered(adapter, ["count"]))["count"]
        assert row.value == 5
        assert before_ns - 1_000_000_000 < row.source_ns <= time.time_ns()
        assert before_ns - 200_000_000 < row.t_ns <= time.time_ns()
        await server.set("temperature 21 0x80000000")
        assert (await gathered(adapter, ["temperature"]))["temperature"][0].quality is Quality.BAD
        await server.set("temperature 22 0x40000000")
        (row,) = (await gathered(adapter, ["temperature"]))["temperature"]
        assert (row.value, row.quality) == (22.0, Quality.UNCERTAIN)
        await asyncio.sleep(0.06)
        assert set((await adapter.read()).confirmed) == {*NAMES, *tags}
        await adapter.close()
        await adapter.close()


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_a_killed_server_and_its_return_with_other_namespace_numbers(mode):
    async with running() as server:
        adapter = open_device(device(server.port, mode=mode), time.time_ns)
        await adapter.connect()
        await gathered(adapter, NAMES)
        await server.end()
        await until_lost(adapter)
        await adapter.close()
        with pytest.raises(NotConnected) as caught:
            await adapter.connect()
        assert not caught.value.gentle
        await adapter.close()
        await server.start(namespaces=3)
        await adapter.connect()
        assert {row.value for rows in (await gathered(adapter, NAMES)).values() for row in rows} == {0, 20.5, "A"}
        await adapter.close()
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()}, what=asyncio.all_tasks)


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_a_hung_server(mode):
    async with running() as server:
        adapter = open_device(device(server.port, mode=mode, timeout="500ms"), time.time_ns)
        await adapter.connect()
        await gathered(adapter, NAMES)
        server.stop()
        stopped_ns = time.time_ns()
        last = 0
        with pytest.raises(NotConnected):
            while True:
                await asyncio.sleep(0.05)
                last = (await adapter.read()).t_ns
        assert last <= stopped_ns + 100_000_000, "a hung server confirms nothing"
        began = time.monotonic()
        await adapter.close()
        assert time.monotonic() - began < 10
        with pytest.raises(NotConnected) as caught:
            await adapter.connect()
        assert caught.value.gentle
        await adapter.close()


async def test_a_silent_subscription_is_noticed_without_the_connection_breaking():
    """The heartbeat stops because nothing is published any more, though the session lives."""
    async with running() as server:
        adapter = open_device(device(server.port), time.time_ns)
        await adapter.connect()
        await gathered(adapter, NAMES)
        confirmed = await adapter.read()
        session = adapter._client.uaclient.session
        session._publish_task.cancel()
        await asyncio.sleep(0.3)
        assert (await adapter.read()).t_ns <= confirmed.t_ns + 100_000_000
        adapter._subscriptions._inboxes[0].last_contact_s -= 60.0
        with pytest.raises(NotConnected, match="silent"):
            await adapter.read()
        await adapter.close()


async def test_the_comparison_finds_what_no_notification_brought():
    async with running() as server:
        adapter = open_device(device(server.port), time.time_ns)
        await adapter.connect()
        await gathered(adapter, NAMES)
        adapter._client.uaclient.session._publish_task.cancel()
        await asyncio.sleep(0.1)
        await server.set("count 41")
        adapter._recheck_s = 0.0
        assert [(row.tag, row.value) for row in (await adapter.read()).rows] == [("count", 41)]
        await adapter.close()


async def test_security_makes_certificates_and_pins_the_server(tmp_path):
    make_server_certificate(tmp_path)
    secured = {
        "security": "Basic256Sha256/SignAndEncrypt",
        "certificate_file": str(tmp_path / "nhip.der"),
        "private_key_file": str(tmp_path / "nhip.pem"),
        "server_certificate_file": str(tmp_path / "pinned.der"),
    }
    async with running(certificates=str(tmp_path)) as server:
        adapter = open_device(device(server.port, **secured), time.time_ns)
        await adapter.connect()
        await gathered(adapter, NAMES)
        await adapter.close()
        assert (tmp_path / "pinned.der").read_bytes() == (tmp_path / "server.der").read_bytes()
        assert (tmp_path / "nhip.pem").stat().st_mode & 0o077 == 0
        with pytest.raises(DeviceMisconfigured, match="does not offer this security"):
            await open_device(device(server.port), time.time_ns).connect()
        make_server_certificate(tmp_path)
        await server.end()
        await server.start(certificates=str(tmp_path))
        with pytest.raises(DeviceMisconfigured, match="shows another certificate"):
            await adapter.connect()
        await adapter.close()


async def test_a_gateway_that_is_trusted_later_needs_nothing_but_that(tmp_path):
    """Certificates are made where the site file says nothing; somebody at the server trusts ours; then it works."""
    make_server_certificate(tmp_path)
    trusted, files = tmp_path / "trusted", tmp_path / "site.certificates"
    trusted.mkdir()
    async with running(certificates=str(tmp_path)) as server:
        asked = device(server.port, security="Basic256Sha256/SignAndEncrypt")
        with pytest.raises(DeviceMisconfigured, match="no place for our certificate"):
            await open_device(asked, time.time_ns).connect()
        adapter = open_all({"injector": asked}, time.time_ns, files)["injector"]
        with pytest.raises(DeviceMisconfigured, match="trust it at the server") as caught:
            await adapter.connect()
        assert caught.value.elsewhere
        assert sorted(path.name for path in files.iterdir()) == [
            "injector.server.der", "urn-nhip-agent.der", "urn-nhip-agent.pem",
        ]  # fmt: skip
        (trusted / "gateway.der").write_bytes((files / "urn-nhip-agent.der").read_bytes())
        await adapter.connect()
        await gathered(adapter, NAMES)
        await adapter.close()


async def test_a_key_without_a_certificate_is_used_and_the_reverse_is_refused(tmp_path):
    """A power cut between the two files."""
    make_server_certificate(tmp_path)
    async with running(certificates=str(tmp_path)) as server:
        placed = device(server.port, security="Basic256Sha256/SignAndEncrypt").with_files("d", tmp_path / "own")
        adapter = open_device(placed, time.time_ns)
        await adapter.connect()
        await adapter.close()
        certificate, key = tmp_path / "own" / "urn-nhip-agent.der", tmp_path / "own" / "urn-nhip-agent.pem"
        before = key.read_bytes()
        certificate.unlink()
        await adapter.connect()
        await adapter.close()
        assert key.read_bytes() == before
        key.unlink()
        with pytest.raises(DeviceMisconfigured, match="is missing; put it there"):
            await adapter.connect()


async def test_what_can_never_work_is_misconfigured(tmp_path):
    async with running() as server:
        for changes in (
            {"user": "u", "password_file": str(tmp_path / "absent")},
            {
                "security": "Basic256Sha256/Sign",
                "certificate_file": str(tmp_path / "c"),
                "private_key_file": str(tmp_path / "k"),
            },
        ):
            adapter = open_device(device(server.port, **changes), time.time_ns)
            with pytest.raises(DeviceMisconfigured):
                await adapter.connect()
            await adapter.close()
