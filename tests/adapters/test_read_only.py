"""Read-only, proven on the wire: every function code and every service that is ever sent is recorded and looked at.

What is driven is what runs at a factory: the supervisor with its reconnects, and the technician's commands.
"""

import asyncio
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from asyncua import Client, ua
from hypothesis import given
from hypothesis import strategies as st
from opcua_plant import NAMES, device, running
from recording import LOOKING, READING, modbus_functions, opcua_services, recording
from rtu_lines import serial_line, units
from servers import until

sys.path += [str(Path(__file__).parent.parent / name) for name in ("tools", "agent")]

from andon_agent import SECURE, answers, served
from edge_plc import plc as small_plc
from faulty_modbus import faulty_modbus
from tools_plant import run

from adapters.kinds import open_all
from adapters.modbus.bus import frames_rtu as _modbus_rtu_frames
from adapters.modbus.bus import frames_tcp as _modbus_frames
from adapters.modbus.model import ModbusRtuDevice, ModbusTcpDevice
from agent.devices.supervisor import Supervisor

MODBUS = {"a": {"holding": 0}, "b": {"input": 7}, "c": {"coil": 3}, "d": {"discrete": 9}, "hole": {"holding": 5}}


@given(
    st.sampled_from(sorted(_modbus_frames.FUNCTIONS)), st.integers(0, 255), st.integers(0, 65535), st.integers(1, 125)
)
def test_no_question_that_can_be_written_down_asks_for_more_than_reading(table, unit, start, count):
    assert _modbus_frames.request_frame(1, unit, table, start, count)[7] in READING
    assert _modbus_rtu_frames.request_frame(unit, table, start, count)[1] in READING


def test_no_library_that_could_write_to_a_modbus_device_is_loaded():
    code = "import sys, adapters.modbus_tcp, adapters.modbus_rtu; print('pymodbus' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False"]


@asynccontextmanager
async def driven(devices, folder):
    """The agent's supervisor over these devices; by name, how often each has been read."""
    reads = dict.fromkeys(devices, 0)

    def read(name, reading):
        reads[name] += bool(reading.confirmed)

    supervisor = Supervisor(open_all(devices, time.time_ns, folder), read, dict.fromkeys(devices, 0.05))
    task = asyncio.create_task(supervisor.run())
    try:
        yield reads
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_more(reads, name, more=3):
    wanted = reads[name] + more
    await until(lambda: reads[name] >= wanted, what=f"{name} is not read any more")


async def test_modbus_tcp(tmp_path):
    async with faulty_modbus(refused={(3, 3)}) as plc, recording(plc.port) as recorder:
        given = {"kind": "modbus_tcp", "host": "127.0.0.1", "port": recorder.port, "every": "50ms",
                 "timeout": "200ms", "tags": MODBUS}  # fmt: skip
        async with driven({"plc": ModbusTcpDevice.model_validate(given)}, tmp_path) as reads:
            await until_more(reads, "plc")
            recorder.drop()
            await until_more(reads, "plc")
            plc.mode = "short"
            await asyncio.sleep(0.2)
            plc.mode = "silent"
            await asyncio.sleep(0.6)
            plc.mode = "ok"
            await until_more(reads, "plc")
            plc.code = 11
            await asyncio.sleep(0.2)
        address = f"127.0.0.1:{recorder.port}"
        plc.code = 0
        for command in (
            ("scan", "modbus", address, "--units", "1-2", "--rate", "100", "--range", "0-20"),
            ("bytes", address, "--holding", "0", "--shows", "12.5"),
        ):
            result = await asyncio.to_thread(run, *command)
            assert result.exit_code in {0, 1}, result.output
        assert len(recorder.sent) >= 5
        assert set(modbus_functions(recorder.sent)) == READING


async def test_modbus_rtu(tmp_path):
    with serial_line(tmp_path) as (near, far):
        async with units(far, dead={2}) as plc:
            given = {"kind": "modbus_rtu", "port": near, "baud": 19200, "parity": "none", "timeout": "100ms",
                     "every": "50ms", "listen": "50ms", "tags": {"a": {"holding": 0}, "b": {"input": 7}}}  # fmt: skip
            devices = {f"u{unit}": ModbusRtuDevice.model_validate(given | {"unit": unit}) for unit in (1, 2)}
            async with driven(devices, tmp_path) as reads:
                await until_more(reads, "u1")
                plc.dead.add(1)
                await asyncio.sleep(0.5)
                plc.dead.clear()
                await until_more(reads, "u1")
                await until_more(reads, "u2")
            assert plc.functions == {3, 4}


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_opcua(tmp_path, mode):
    async with running() as server, recording(server.port) as recorder:
        tags = {"missing": {"node": "nsu=urn:nhip:test;s=missing"}}
        async with driven({"plc": device(recorder.port, tags, mode=mode)}, tmp_path) as reads:
            await until_more(reads, "plc")
            recorder.drop()
            await until_more(reads, "plc")
        if mode == "poll":
            result = await asyncio.to_thread(run, "browse", f"opc.tcp://127.0.0.1:{recorder.port}/")
            assert all(name in result.output for name in NAMES)
        services = opcua_services(recorder.sent)
        assert set(services) <= LOOKING, set(services) - LOOKING
        assert services.count("CreateSession") >= 2
        assert ("Browse" if mode == "poll" else "CreateMonitoredItems") in services


async def test_whatever_is_entered_at_the_machine(tmp_path):
    """Every kind of entry on the page, what it refuses too, while a Modbus and an OPC UA device are read."""
    async with (
        small_plc() as plc,
        recording(plc.port) as modbus,
        running() as server,
        recording(server.port) as opcua,
    ):
        tags = {"run": {"coil": 0}, "count": {"holding": 0, "type": "uint16"}}
        devices = {
            "plc": {"kind": "modbus_tcp", "host": "127.0.0.1", "port": modbus.port, "every": "100ms", "tags": tags},
            "packer": {"kind": "opcua", "url": f"opc.tcp://127.0.0.1:{opcua.port}/", "every": "100ms",
                       "tags": {"count": {"node": "nsu=urn:nhip:test;s=count"}}},
        }  # fmt: skip
        async with served(tmp_path, history=False, devices=devices) as (page, _, _):
            await answers(page)
            await page.listen(lambda seen: seen.get("live", {}).get("since_ms"))
            stop_ms = (await page.listen(lambda seen: "live" in seen))["live"]["since_ms"]
            call = page.entry("call", value="maintenance")
            kinds = [
                page.entry("reason", stop_ms=stop_ms, parts=[{"reason": "jam"}]),
                page.entry("state", stop_ms=stop_ms - 60_000, state="planned_stop"), page.entry("rejects", add=5),
                page.entry("rework", total=0), page.entry("product", value="1"), page.entry("order", value="7"),
                page.entry("planned_stop", minutes=1), call, page.entry("step", call=call["id"], value="solved"),
                page.entry("note", value="x"), page.entry("take_back", entry="tablet-4"), page.entry("write", value=1),
                page.entry("product", value="plc.run"),
            ]  # fmt: skip
            replies = (await page.send(*kinds)).json()["entries"]
            assert [reply["state"] for reply in replies] == ["saved"] * 11 + ["refused"] * 2, replies
            for method in ("PUT", "DELETE", "POST"):
                answer = await page.client.request(method, "/tech.json?device=plc", json={"run": 1}, headers=SECURE)
                assert answer.status_code == 405
            assert (await page.client.get("/tech.json?device=packer")).json()["tags"]
            asked = plc.requests
            await until(lambda: plc.requests > asked + 5)
        assert set(modbus_functions(modbus.sent)) <= READING
        services = set(opcua_services(opcua.sent))
        assert {"CreateMonitoredItems"} <= services <= LOOKING


async def test_the_recorder_would_have_seen_it(tmp_path):
    """A master that writes, and a client that writes and calls: otherwise the tests above prove nothing."""
    async with faulty_modbus() as plc, recording(plc.port) as recorder:
        command = [
            "mbpoll",
            "-m",
            "tcp",
            "-p",
            str(recorder.port),
            "-a",
            "1",
            "-r",
            "1",
            "-1",
            "-o",
            "0.3",
            "127.0.0.1",
            "5",
        ]
        await asyncio.to_thread(subprocess.run, command, capture_output=True)
        assert set(modbus_functions(recorder.sent)) & {5, 6, 15, 16}
    async with running() as server, recording(server.port) as recorder:
        async with Client(f"opc.tcp://127.0.0.1:{recorder.port}/") as client:
            index = await client.get_namespace_index("urn:nhip:test")
            with pytest.raises(ua.UaError):
                await client.get_node(ua.NodeId("count", index)).write_value(1)
            with pytest.raises(ua.UaError):
                await client.nodes.server.call_method(ua.NodeId.from_string("i=11492"), 1)
        assert {"Write", "Call"} <= set(opcua_services(recorder.sent))
