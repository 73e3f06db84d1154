"""The Modbus TCP adapter over real sockets: pymodbus's server, and one that misbehaves."""

import asyncio
import time

import pytest
from faulty_modbus import faulty_modbus
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from rounds import open_device, open_devices
from servers import until

from adapters.contract import NotConnected
from adapters.modbus.bus.faults import InvalidFrame
from adapters.modbus.bus.frames_tcp import head
from adapters.modbus.model import ModbusTcpDevice
from adapters.modbus.plan import requests_of
from oee.model.states import Quality

TAGS = {"a": {"holding": 0}, "b": {"holding": 1, "type": "uint32"}}


def device(port, tags=TAGS, **changes):
    given = {"kind": "modbus_tcp", "host": "127.0.0.1", "port": port, "timeout": "20s", "every": "50ms", "tags": tags}
    return ModbusTcpDevice.model_validate(given | changes)


def values(reading):
    return {row.tag: row.value for row in reading.rows}


async def fails(awaitable):
    """The error that it raises, and how long that took [s]."""
    began = time.monotonic()
    with pytest.raises(NotConnected) as caught:
        await awaitable
    return caught.value, time.monotonic() - began


async def test_against_pymodbus():
    blocks = [
        SimData(0, values=[1, 2, 0x4148, 0, 0x4142, 0x4300], datatype=DataType.REGISTERS),
        SimData(10, values=[7] * 10, datatype=DataType.REGISTERS),
    ]
    server = ModbusTcpServer(SimDevice(id=0, simdata=blocks), address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    port = server.transport.sockets[0].getsockname()[1]
    tags = {
        "count": {"holding": 0, "type": "uint32"},
        "temperature": {"input": 2, "type": "float32"},
        "name": {"holding": 4, "type": "string", "length": 3},
        "flag": {"holding": 0, "bit": 0},
        "after_the_hole": {"holding": 10},
        "nowhere": {"holding": 500},
    }
    adapter = open_device(device(port, tags), time.time_ns)
    try:
        await adapter.connect()
        reading = await adapter.read()
        assert values(reading) == {
            "count": 65538,
            "temperature": 12.5,
            "name": "ABC",
            "flag": True,
            "after_the_hole": 7,
            "nowhere": None,
        }
        bad = [row for row in reading.rows if row.quality is not Quality.GOOD]
        assert [(row.tag, row.quality) for row in bad] == [("nowhere", Quality.BAD)]
        assert set(reading.confirmed) == set(tags)
        assert {row.t_ns for row in reading.rows} == {reading.t_ns}
        await asyncio.sleep(0.05)
        again = await adapter.read()
        assert again.rows == []
        assert set(again.confirmed) == set(tags)
    finally:
        await adapter.close()
        await server.shutdown()


async def test_changes_only_and_only_reading_functions():
    async with faulty_modbus() as plc:
        adapter = open_device(device(plc.port, TAGS | {"c": {"coil": 3}, "d": {"discrete": 4}}), time.time_ns)
        await adapter.connect()
        assert values(await adapter.read()) == {"a": 0, "b": (1 << 16) + 2, "c": False, "d": False}
        plc.registers[0] = 9
        plc.bits.add(3)
        await asyncio.sleep(0.05)
        assert values(await adapter.read()) == {"a": 9, "c": True}
        assert {function for _, function, _, _ in plc.asked} == {1, 2, 3}
        await adapter.close()
        await adapter.close()


@pytest.mark.parametrize(
    ("begin", "protocol"),
    [
        ("15030100020246", "TLS"),  # a TLS server's alert
        (b"HTTP/1.1".hex(), "HTTP"),
        (b"<html><".hex(), "HTTP"),
        (b"SSH-2.0-".hex(), "SSH"),
        (b"ERRF\x18\0\0\0".hex(), "OPC UA"),
        (b"220 ftp ".hex(), "FTP, SMTP"),
    ],
)
def test_other_protocols_are_known_by_how_they_begin(begin, protocol):
    with pytest.raises(InvalidFrame) as caught:
        head(bytes.fromhex(begin)[:7])
    assert (caught.value.code, caught.value.values) == ("other_protocol", {"protocol": protocol})


def test_what_is_no_protocol_that_is_known():
    with pytest.raises(InvalidFrame) as caught:
        head(bytes.fromhex("00010001000601"))
    assert caught.value.code == "not_modbus"


@pytest.mark.parametrize(
    ("mode", "reason", "quick"),
    [
        ("silent", "unit 1 did not answer within 0.2 s", False),
        ("close", "the peer closed the connection", True),
        ("unit", "unit 1 was asked, unit 2 answered", True),
        ("function", "function 3 asked, 0 answered", True),
        ("junk", "is HTTP, not Modbus TCP", True),
    ],
)
async def test_a_peer_that_never_answered_rightly_is_left_alone(mode, reason, quick):
    async with faulty_modbus(mode=mode) as plc:
        adapter = open_device(device(plc.port, timeout="20s" if quick else "200ms"), time.time_ns)
        await adapter.connect()
        error, took_s = await fails(adapter.read())
        assert reason in str(error)
        assert error.gentle is (mode != "function")  # a wrong function is an answer
        assert took_s < 15
        await adapter.close()


@pytest.mark.parametrize("mode", ["silent", "close"])
async def test_a_lost_device_is_not_gentle_and_says_everything_again(mode):
    async with faulty_modbus() as plc:
        adapter = open_device(device(plc.port, timeout="1s"), time.time_ns)
        await adapter.connect()
        await adapter.read()
        plc.mode = mode
        await asyncio.sleep(0.05)
        error, _ = await fails(adapter.read())
        assert not error.gentle
        await adapter.close()
        plc.mode = "ok"
        await adapter.connect()
        assert values(await adapter.read()) == {"a": 0, "b": 65538}
        await adapter.close()


async def test_a_late_answer_never_becomes_a_value():
    """Each answer comes 0.3 s after its question, the timeout is 0.2 s, and the registers change meanwhile."""
    async with faulty_modbus(mode="late", late_s=0.3) as plc:
        tags = {"a": {"holding": 0}, "far": {"holding": 900}}
        adapter = open_device(device(plc.port, tags, timeout="200ms"), time.time_ns)
        await adapter.connect()
        await fails(adapter.read())
        plc.mode = "ok"
        plc.registers |= {0: 77, 900: 78}
        for _ in range(8):
            await asyncio.sleep(0.05)
            try:
                reading = await adapter.read()
            except NotConnected:
                await adapter.close()
                await adapter.connect()
                continue
            assert set(values(reading).items()) <= {("a", 77), ("far", 78)}
        await adapter.close()


async def test_one_byte_at_a_time():
    async with faulty_modbus(mode="bytes") as plc:
        adapter = open_device(device(plc.port), time.time_ns)
        await adapter.connect()
        assert values(await adapter.read()) == {"a": 0, "b": 65538}
        await adapter.close()


async def test_a_short_answer_never_becomes_a_value():
    async with faulty_modbus(mode="short") as plc:
        adapter = open_device(device(plc.port), time.time_ns)
        await adapter.connect()
        reading = await adapter.read()
        good = {row.tag: row.value for row in reading.rows if row.quality is Quality.GOOD}
        assert good == {"a": 0}  # one register cannot be short
        assert [row.tag for row in reading.rows if row.quality is Quality.BAD] == ["b"]
        await adapter.close()


async def test_a_hole_between_tags_costs_one_refusal():
    async with faulty_modbus(refused={(3, 5)}) as plc:
        adapter = open_device(device(plc.port, {"a": {"holding": 0}, "b": {"holding": 9}}), time.time_ns)
        await adapter.connect()
        assert values(await adapter.read()) == {"a": 0, "b": 9}
        assert [question[2:] for question in plc.asked] == [(0, 10), (0, 1), (9, 1)]
        await asyncio.sleep(0.05)
        await adapter.read()
        assert [question[2:] for question in plc.asked[3:]] == [(0, 1), (9, 1)]
        await adapter.close()


async def test_a_busy_device_confirms_nothing_and_is_not_lost():
    async with faulty_modbus() as plc:
        adapter = open_device(device(plc.port), time.time_ns)
        await adapter.connect()
        await adapter.read()
        plc.code = 6
        await asyncio.sleep(0.05)
        reading = await adapter.read()
        assert (reading.rows, reading.confirmed) == ([], ())
        plc.code = 0
        await asyncio.sleep(0.05)
        assert values(await adapter.read()) == {"a": 0, "b": 65538}
        await adapter.close()


async def test_a_range_that_is_ignored_costs_only_its_own_tags():
    async with faulty_modbus(ignored={(3, 900)}) as plc:
        tags = {"a": {"holding": 0}, "mute": {"holding": 900}, "b": {"input": 1}}
        adapter = open_device(device(plc.port, tags, timeout="1s"), time.time_ns)
        await adapter.connect()
        for _ in range(5):
            reading = await adapter.read()
            assert set(reading.confirmed) == {"a", "b"}
            await asyncio.sleep(0.05)
        asked = [question for question in plc.asked if question[2] == 900]
        assert len(asked) == 3
        assert plc.connections == 1
        await adapter.close()


async def test_units_behind_one_gateway_share_its_socket_and_a_dead_one_is_lost_alone():
    async with faulty_modbus(dead_units={2}) as plc:
        units = {f"u{unit}": device(plc.port, unit=unit, timeout="200ms" if unit == 2 else "20s") for unit in (1, 2, 3)}
        adapters = open_devices(units, time.time_ns)
        await asyncio.gather(*(adapter.connect() for adapter in adapters.values()))
        for _ in range(3):
            good, dead, other = await asyncio.gather(
                *(adapter.read() for adapter in adapters.values()), return_exceptions=True
            )
            assert set(good.confirmed) == set(other.confirmed) == {"a", "b"}
            assert isinstance(dead, NotConnected)
            await adapters["u2"].close()
            await adapters["u2"].connect()
            await asyncio.sleep(0.05)
        assert plc.connections == 1
        for adapter in adapters.values():
            await adapter.close()
        await until(lambda: plc.open_now == 0)


async def test_a_gateway_that_says_that_the_unit_is_dead():
    async with faulty_modbus(code=11) as plc:
        adapter = open_device(device(plc.port), time.time_ns)
        await adapter.connect()
        error, _ = await fails(adapter.read())
        assert "gateway target did not answer" in str(error)
        assert not error.gentle
        await adapter.close()


async def test_requests_keep_their_distance():
    async with faulty_modbus() as plc:
        tags = {f"t{at}": {"holding": at} for at in (0, 100, 200, 300)}
        adapter = open_device(device(plc.port, tags, max_requests_per_s=20), time.time_ns)
        await adapter.connect()
        began = time.monotonic()
        await adapter.read()
        assert 0.14 < time.monotonic() - began < 15
        assert len(requests_of(device(plc.port, tags))) == 4
        await adapter.close()


async def test_nobody_there():
    async with faulty_modbus() as plc:
        port = plc.port
    adapter = open_device(device(port), time.time_ns)
    error, _ = await fails(adapter.connect())
    assert not error.gentle
    assert f"127.0.0.1:{port}" in str(error)
    await adapter.close()


async def test_a_cancelled_question_leaves_the_stream_whole():
    async with faulty_modbus(mode="late", late_s=0.1) as plc:
        adapter = open_device(device(plc.port), time.time_ns)
        await adapter.connect()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await adapter.read()
        plc.registers[0] = 5
        assert values(await adapter.read()) == {"a": 5, "b": 65538}
        await adapter.close()
