"""What users of other gateways suffer, a test for each complaint about acquisition; each names the threads.

Values, qualities, times, the time until a device is back and the log lines (one when it is lost, one when it is back)
are judged over the supervisor, as in a factory. Times are generous where a busy machine could be late.
"""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from faulty_modbus import faulty_modbus
from opcua_plant import device as opcua_device
from opcua_plant import has_node_opcua, node_running, running
from rounds import LOST_AND_BACK, driven, listen, said

from adapters.modbus.model import ModbusTcpDevice
from agent.devices.freshness import Freshness
from oee.model.states import Quality

sys.path.append(str(Path(__file__).parent.parent / "agent"))

from edge_plc import plc as edge_plc
from edge_plc import site_file
from servers import free_port, until

from agent.run import Options, run

BACK_WITHIN_S = 9.0
"""Before a refused tag's ten seconds are over, and that on a busy machine."""
TAGS_LOST_AND_BACK = ["tags not readable", "tags readable again"]
SHORT = {"timeout": "600ms"}
"""For devices that fall silent."""


def device(port, tags=None, **changes):
    given = {"kind": "modbus_tcp", "host": "127.0.0.1", "port": port, "every": "100ms", "timeout": "20s",
             "tags": tags or {"a": {"holding": 0}, "far": {"holding": 900}}}  # fmt: skip
    return ModbusTcpDevice.model_validate(given | changes)


async def test_polling_goes_on_without_the_internet(tmp_path):
    """thingsboard-gateway#2132, thingsboard#15617: half an hour after the line broke, nothing was read any more."""
    async with edge_plc() as plant:
        stop = asyncio.Event()
        path = site_file(tmp_path, plant.port, free_port())  # nobody listens there
        agent = asyncio.create_task(run(path, tmp_path / "o.outbox", None, stop, Options(commit_every_s=0.2)))
        await until(lambda: plant.requests >= 20 or agent.done())
        assert not agent.done()
        stop.set()
        await agent


async def test_a_lost_device_leaves_no_value_that_looks_alive(tmp_path):
    """thingsboard-gateway#2065, #2119: the last value was sent again and again with fresh times."""
    async with faulty_modbus() as plc:
        async with driven({"plc": device(plc.port, **SHORT)}, tmp_path) as round_:
            await round_.more("plc")
            plc.mode = "silent"
            await round_.until(lambda: round_.health["plc"].condition == "lost")
            lost_s = time.monotonic()
            await asyncio.sleep(0.5)
            assert round_.confirmed("plc", lost_s) == 0
            fresh = Freshness({"plc": {"a": 5.0, "far": 5.0}})
            rows = [row for _, reading in round_.readings["plc"] for row in fresh.fed("plc", reading)]
            last_ns = round_.readings["plc"][-1][1].t_ns
            rows += fresh.tick(last_ns + 6_000_000_000)
        gap = next(row for row in reversed(rows) if row.tag == "plc.a")
        assert gap.quality is Quality.GAP
        assert last_ns <= gap.t_ns <= last_ns + 1_000_000, (
            "unknown from the last confirmation on, not from its discovery"
        )
        assert not fresh.tick(last_ns + 60_000_000_000)


async def test_fifty_tags_side_by_side_are_one_request(tmp_path):
    """thingsboard-gateway#1821, #406, #1589, #714, #15122; device-modbus-go#629: each tag was a request."""
    async with faulty_modbus() as plc:
        tags = {f"t{at}": {"holding": at} for at in range(50)}
        async with driven({"plc": device(plc.port, tags)}, tmp_path) as round_:
            await round_.more("plc")
        assert {question[2:] for question in plc.asked} == {(0, 50)}
        assert [round_.values("plc", f"t{at}")[0] for at in range(50)] == list(range(50))


async def test_every_order_of_bytes_is_a_tag_s_own(tmp_path):
    """thingsboard-gateway#614, #1453, #1143, #408, #342; telegraf#7518: one order for all, and none that fitted."""
    registers = {0: 0x4148, 1: 0, 2: 0, 3: 0x4148, 4: 0x4841, 5: 0, 6: 0, 7: 0x4841}
    tags = {order: {"holding": 2 * place, "type": "float32", "order": order}
            for place, order in enumerate(("ABCD", "CDAB", "BADC", "DCBA"))}  # fmt: skip
    async with faulty_modbus(registers=registers) as plc:
        async with driven({"plc": device(plc.port, tags)}, tmp_path) as round_:
            await round_.more("plc", 1)
        assert {order: round_.values("plc", order) for order in tags} == {order: [12.5] for order in tags}
        assert {question[2:] for question in plc.asked} == {(0, 8)}


async def test_ten_units_behind_one_gateway_share_one_socket(tmp_path):
    """thingsboard-gateway#1279, #1670; OpenPLC_v3#195: too many connections to a PLC that has few."""
    async with faulty_modbus() as plc:
        units = {f"u{unit}": device(plc.port, unit=unit) for unit in range(1, 11)}
        async with driven(units, tmp_path) as round_:
            await round_.until(lambda: all(round_.confirmed(name) >= 3 for name in units))
            assert (plc.connections, plc.open_now) == (1, 1)


async def test_one_dead_device_among_fifty_costs_the_others_nothing(tmp_path, caplog):
    """telegraf#11782; node-red-contrib-modbus#409, #446; FUXA#1947; neuron#1602: one bad device starved the rest."""
    listen(caplog)
    async with AsyncExitStack() as plants, faulty_modbus() as dying:
        live = [await plants.enter_async_context(faulty_modbus()) for _ in range(50)]
        devices = {f"d{number}": device(plc.port, every="500ms") for number, plc in enumerate(live)}
        async with driven({**devices, "dying": device(dying.port, **SHORT)}, tmp_path) as round_:
            await round_.until(lambda: all(round_.confirmed(name) >= 2 for name in (*devices, "dying")))
            dying.mode = "silent"
            await round_.until(lambda: round_.health["dying"].condition == "lost")
            connections = dying.connections
            began_s = time.monotonic()
            await round_.until(lambda: all(round_.confirmed(name, began_s) >= 4 for name in devices))
            lasted_s = time.monotonic() - began_s
            assert round_.health["dying"].condition == "lost", "the neighbours were read beside a dead one"
            skipped = sum(round_.health[name].skipped for name in devices)
            read = sum(round_.confirmed(name, began_s) for name in devices)
            assert read + skipped >= 50 * (lasted_s / 0.5 - 1) * 0.8, "the neighbours keep their period"
            assert sum(item.failures for name, item in round_.health.items() if name != "dying") == 0
            assert dying.connections - connections <= lasted_s / 0.1 + 1, "no storm of connections"
            dying.mode = "ok"
            assert await round_.more("dying") < BACK_WITHIN_S
        assert said(caplog, "dying") == LOST_AND_BACK
        assert not any(said(caplog, name) for name in devices)


async def test_a_slow_device_skips_places_and_is_not_lost(tmp_path, caplog):
    """neuron, Node-RED queues: a device that takes 300 ms an answer, asked ten times a second; nothing queues up."""
    listen(caplog)
    async with faulty_modbus(mode="late", late_s=0.3) as slow, faulty_modbus() as quick:
        devices = {"slow": device(slow.port, {"a": {"holding": 0}}), "quick": device(quick.port)}
        async with driven(devices, tmp_path) as round_:
            await round_.more("slow", 2)
            slow.registers[0] = 7
            await round_.more("slow", 3)
            assert round_.values("slow", "a") == [0, 7]
            assert round_.health["slow"].skipped >= 6, "two of three places pass while it answers"
            assert round_.health["slow"].failures == round_.health["quick"].failures == 0
            assert round_.confirmed("quick") > 2 * round_.confirmed("slow")
        assert not said(caplog, "slow")


@pytest.mark.parametrize("mode", ["late", "short", "transaction", "unit", "function", "junk", "close", "silent"])
async def test_what_is_not_the_answer_never_becomes_a_value(tmp_path, caplog, monkeypatch, mode):
    """telegraf#14317, grid-x/modbus#78: after one late answer, every value was the one before's for good."""
    listen(caplog)
    monkeypatch.setattr("adapters.modbus.poll.SILENT_RETRY_S", 0.5)  # a refused tag is asked again after 10 s
    async with faulty_modbus(late_s=0.8) as plc, faulty_modbus() as neighbour:
        tags = {"a": {"holding": 0, "type": "uint32"}, "far": {"holding": 900, "type": "uint32"}}
        async with driven(
            {"plc": device(plc.port, tags, **SHORT), "neighbour": device(neighbour.port)}, tmp_path
        ) as round_:
            await round_.more("plc")
            plc.mode = mode
            plc.registers |= {0: 0, 1: 77, 900: 0, 901: 88}
            if mode == "short":
                await round_.until(lambda: None in round_.values("plc", "a"))
            else:
                await round_.until(lambda: round_.health["plc"].condition == "lost")
            await asyncio.sleep(1.0)  # while it tries again
            plc.mode = "ok"
            took_s = await round_.more("plc", 4)
            await round_.until(lambda: round_.values("plc", "far")[-1] == 88)
        assert set(round_.values("plc", "a")) <= {1, 77, None}
        assert set(round_.values("plc", "far")) <= {(900 << 16) + 901, 88, None}
        assert took_s < BACK_WITHIN_S
        told = said(caplog, "plc")
        assert [told[0], told[-1]] == (TAGS_LOST_AND_BACK if mode == "short" else LOST_AND_BACK)
        assert mode == "short" or len(told) == 2
        assert not said(caplog, "neighbour")
        assert round_.health["neighbour"].failures == 0


async def test_one_byte_at_a_time_and_exceptions(tmp_path, caplog):
    """Torn answers are whole when they are whole; a device that says no is there, and its tags are bad."""
    listen(caplog)
    async with faulty_modbus(mode="bytes") as plc, faulty_modbus() as other:
        async with driven({"plc": device(plc.port), "other": device(other.port)}, tmp_path) as round_:
            await round_.more("plc")
            other.code = 4
            await round_.until(lambda: None in round_.values("other", "a"))
        assert round_.values("plc", "a") == [0]
        assert round_.health["other"].condition == "up"
        assert not said(caplog, "plc")
        assert said(caplog, "other")[:1] == ["tags not readable"]


@pytest.mark.skipif(not has_node_opcua(), reason="no node-opcua here (scripts/nodeopcua installs it)")
async def test_a_server_that_drops_a_subscription_or_hangs_is_noticed(tmp_path, caplog):
    """telegraf#18454, #19186, #12844; node-red-contrib-opcua#571, #749; thingsboard-gateway#2028, #2093."""
    listen(caplog)
    with node_running(tmp_path) as server:
        devices = {"plc": opcua_device(server.port, every="200ms")}
        async with driven(devices, tmp_path) as round_:
            await round_.more("plc")
            server.do("drop")
            server.set("count 5")
            await round_.until(lambda: round_.health["plc"].condition == "lost")
            await round_.until(lambda: round_.values("plc", "count")[-1] == 5)
            assert said(caplog, "plc") == LOST_AND_BACK
            server.stop()
            stopped_ns = time.time_ns()
            await round_.until(lambda: round_.health["plc"].condition == "lost")
            assert round_.readings["plc"][-1][1].t_ns <= stopped_ns + 300_000_000, "a hung server confirms nothing"
            server.go_on()
            server.set("count 6")
            assert await round_.more("plc") < BACK_WITHIN_S + 2.0, "a busy machine has to wake up too"
            await round_.until(lambda: round_.values("plc", "count")[-1] == 6)
        assert said(caplog, "plc") == LOST_AND_BACK * 2


async def test_a_bad_node_and_a_missing_server_stop_nobody(tmp_path, caplog):
    """telegraf#13296, #8632, #9154; streampipes#492, #3099: one bad node id, and nothing started."""
    listen(caplog)
    async with running() as server:
        bad = {"wrong": {"node": "nsu=urn:nhip:test;s=wrong"}, "nowhere": {"node": "nsu=urn:none;s=x"}}
        devices = {"plc": opcua_device(server.port, bad), "absent": opcua_device(free_port())}
        async with driven(devices, tmp_path) as round_:
            await round_.more("plc")
            await round_.until(lambda: round_.health["absent"].failures >= 3)
            assert (round_.values("plc", "count"), round_.values("plc", "wrong")) == ([0], [None])
        assert said(caplog, "absent") == ["device lost"]
        assert not said(caplog, "plc")
