"""The living factory over real sockets."""

import asyncio
import json
import urllib.error
import urllib.request
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest
from asyncua import Client, ua
from pymodbus.client import AsyncModbusTcpClient

from simulator import demo, serve
from simulator.plc.signals import NAMESPACES

S = 1_000_000_000


def ask(addresses, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://{addresses['http']}{path}", data)) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


async def told(addresses, path, body=None):
    status, data = await asyncio.to_thread(ask, addresses, path, body)
    assert status == 200, data
    return data


async def until(addresses, holds):
    """Asks /ready again and again."""
    for _ in range(600):
        if holds(await told(addresses, "/ready")):
            return
        await asyncio.sleep(0.05)
    pytest.fail("waited half a minute in vain")


@asynccontextmanager
async def living(tmp_path, *names, **more):
    """The demo factory, or some machines of it, served until the block ends."""
    factory = demo.factory(datetime.now(UTC), history_days=1)
    chosen = tuple(spec for spec in factory.machines if not names or spec.id in names)
    factory = factory.model_copy(update={"machines": chosen})
    stop = asyncio.Event()
    ports = tmp_path / "ports.json"
    task = asyncio.create_task(serve.run(factory, stop=stop, ports_file=ports, http_port=0, **more))
    try:
        for _ in range(1_000):
            if ports.exists() or task.done():
                break
            await asyncio.sleep(0.02)
        addresses = json.loads(ports.read_text())
        await until(addresses, lambda ready: ready["live"])
        yield factory, addresses
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def modbus(addresses, device):
    host, port = addresses[device].split(":")
    client = AsyncModbusTcpClient(host, port=int(port), timeout=1, retries=0, reconnect_delay=0)
    assert await client.connect()
    return client


async def registers(addresses):
    """Every tag of every Modbus PLC, read by a real client and put together here by hand."""
    press = await modbus(addresses, "press-plc")
    cnc_1 = await modbus(addresses, "cnc-1-plc")
    cnc_2 = await modbus(addresses, "cnc-2-plc")
    sewing = await modbus(addresses, "sewing-io")
    try:
        words = (await press.read_holding_registers(90, count=13)).registers
        found = {
            "press-1": {
                "running": (await press.read_coils(0, count=1)).bits[0],
                "alarm": words[0],
                "strokes": words[10],
                "rejects": words[11],
                "recipe": words[12],
            }
        }
        words = (await cnc_1.read_holding_registers(10, count=6)).registers
        bits = (await cnc_1.read_discrete_inputs(0, count=2)).bits
        found["cnc-1"] = {
            "running": bits[0],
            "setup": bits[1],
            "parts": words[0] | words[1] << 16,
            "rejects": words[2] | words[3] << 16,
            "alarm": words[4],
            "program": words[5],
        }
        words = (await cnc_2.read_holding_registers(200, count=7)).registers
        found["cnc-2"] = {
            "total": words[0] << 16 | words[1],
            "good": words[2] << 16 | words[3],
            "alarm": words[4],
            "program": words[5],
            "running": bool(words[6] & 1),
        }
        words = (await sewing.read_input_registers(0, count=2)).registers
        found["sew-1"] = {"pulses": words[0] << 16 | words[1]}
    finally:
        for client in (press, cnc_1, cnc_2, sewing):
            client.close()
    return found


async def test_real_clients_read_what_the_model_says(tmp_path):
    async with living(tmp_path, history=tmp_path / "history") as (_, addresses):
        assert (tmp_path / "history" / "done").exists()
        for _attempt in range(20):  # a tag may change between the two questions
            state = (await told(addresses, "/state"))["machines"]
            found = await registers(addresses)
            if all(found[name] == state[name]["tags"] for name in found):
                break
        else:
            pytest.fail(f"{found} against {state}")
        for name, plc in (("pack-1", "packer"), ("inj-1", "moulder")):
            async with Client(addresses[f"{name}-opc"]) as client:
                index = await client.get_namespace_index(NAMESPACES[plc])
                node = {"pack-1": "Admin.ProdProcessedCount", "inj-1": "Job.CycleCounter"}[name]
                data = await client.get_node(f"ns={index};s={node}").read_data_value()
                shown = (await told(addresses, "/state"))["machines"][name]["tags"]
                count = shown["processed" if name == "pack-1" else "shots"]
                assert count - 1 <= data.Value.Value <= count
                assert data.SourceTimestamp <= datetime.now(UTC).replace(tzinfo=data.SourceTimestamp.tzinfo)
                with pytest.raises(ua.UaError):
                    await client.get_node(f"ns={index};s={node}").write_value(ua.Variant(1, ua.VariantType.UInt32))


async def test_nothing_can_be_written_by_modbus(tmp_path):
    async with living(tmp_path, "press-1") as (_, addresses):
        client = await modbus(addresses, "press-plc")
        before = (await client.read_holding_registers(100, count=3)).registers
        assert (await client.write_register(100, 7)).isError()
        assert (await client.write_coil(0, value=True)).isError()
        after = (await client.read_holding_registers(100, count=3)).registers
        assert after[0] - before[0] <= 1
        client.close()


async def test_a_plc_that_is_away_refuses_and_comes_back_on_its_port(tmp_path):
    async with living(tmp_path, "press-1", "pack-1") as (_, addresses):
        press = await modbus(addresses, "press-plc")
        packer = Client(addresses["pack-1-opc"], timeout=2)
        await packer.connect()
        begins = [
            (await told(addresses, "/force", {"machine": name, "event": "offline", "for_s": 5}))["begins_ns"]
            for name in ("press-1", "pack-1")
        ]
        after = max(begins) + S // 2
        await until(addresses, lambda ready: ready["now_ns"] > after)
        host, port = addresses["press-plc"].split(":")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, int(port))
        with pytest.raises(OSError):
            await Client(addresses["pack-1-opc"], timeout=2).connect()
        assert not press.connected
        state = (await told(addresses, "/state"))["machines"]
        assert [state[name]["state"] for name in ("press-1", "pack-1")] == ["offline", "offline"]
        after = max(begins) + 5.5 * S
        await until(addresses, lambda ready: ready["now_ns"] > after)
        again = await modbus(addresses, "press-plc")
        assert not (await again.read_holding_registers(100, count=3)).isError()
        again.close()
        async with Client(addresses["pack-1-opc"]) as client:
            index = await client.get_namespace_index(NAMESPACES["packer"])
            await client.get_node(f"ns={index};s=Status.StateCurrent").read_value()
        with suppress(Exception):
            await packer.disconnect()


async def test_the_door_answers_truth_and_complains_about_nonsense(tmp_path):
    async with living(tmp_path, "press-1", "inj-1") as (factory, addresses):
        now = (await told(addresses, "/ready"))["now_ns"]
        found = await told(addresses, f"/truth?from={now - 3600 * S}&to={now}")
        assert found["machines"].keys() == {spec.id for spec in factory.machines}
        for row in found["machines"].values():
            assert sum(value for states in row["ms"].values() for value in states.values()) in {3_600_000, 3_600_001}
        rows = await told(addresses, f"/transitions?machine=press-1&from={now - 24 * 3600 * S}&to={now}")
        assert len(rows["transitions"]) > 3  # of a day: an hour may be one long set-up
        quiet = await told(addresses, "/quiet", {"at_ns": [now + 60 * S, now]})
        assert quiet == {"accepted": [now + 60 * S], "late": [now]}
        for path, body, complaint in [
            (f"/truth?from={now}&to={now + 900 * S}", None, "lies in the future"),
            ("/truth?from=yesterday&to=1", None, "'yesterday' is no instant"),
            ("/truth?from=5&to=9", None, "must be in this order"),
            ("/truths", None, "is unknown; ask GET /truth"),
            ("/quiet", {"at_ns": "soon"}, "must be a list of instants"),
            ("/force", {"machine": "press-9", "event": "offline"}, "write one of press-1"),
            ("/force", {"machine": "press-1", "event": "strike"}, "write one of breakdown"),
            ("/force", {"machine": "press-1", "event": "offline", "for_s": 1}, "between 5 and 86400"),
            ("/force", {"machine": "inj-1", "event": "breakdown"}, "no signal for breakdown"),
        ]:
            status, data = await asyncio.to_thread(ask, addresses, path, body)
            assert (status, complaint in data["error"]) == (400, True), data
