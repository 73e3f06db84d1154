"""The Modbus RTU adapter over pseudo-terminals: real servers, and units that misbehave. (A pty has no parity: 8N1.)"""

import asyncio
import shutil
import time

import pytest
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice
from rounds import open_device, open_devices
from rtu_lines import converter, libmodbus_unit, other_master, serial_line, units
from servers import until

from adapters.contract import DeviceMisconfigured, NotConnected
from adapters.modbus.bus.frames_rtu import request_frame, with_crc
from adapters.modbus.model import ModbusRtuDevice, ModbusTcpDevice
from oee.model.states import Quality

HELD = {"a": {"holding": 0}, "b": {"holding": 1}}
SHORT, SHORT_S = {"timeout": "300ms"}, 0.3
"""Where a timeout is what the test is about."""


def device(port, unit=1, tags=HELD, **changes):
    given = {
        "kind": "modbus_rtu", "port": str(port), "unit": unit, "baud": 19200, "parity": "none", "timeout": "20s",
        "every": "50ms", "listen": "50ms", "tags": tags,
    }  # fmt: skip
    return ModbusRtuDevice.model_validate(given | changes)


def values(reading):
    return {row.tag: row.value for row in reading.rows}


@pytest.fixture
def line(tmp_path):
    with serial_line(tmp_path) as ends:
        yield ends


async def reads(adapter, rounds, seen, pause_s=0.05):
    """As the supervisor would, but without its most_silences; every reading's values go to `seen`."""
    for _ in range(rounds):
        try:
            reading = await adapter.read()
            seen.append((time.monotonic(), values(reading), reading.confirmed))
        except NotConnected as error:
            seen.append((time.monotonic(), error, ()))
            await adapter.close()
            await adapter.connect()
        await asyncio.sleep(pause_s)


async def until_read(adapter, wanted, seen):
    """Reads until these values have come, each at some time; a busy machine may answer late now and then."""
    missing = dict(wanted)
    while missing:
        await reads(adapter, 1, seen)
        found = seen[-1][1]
        if isinstance(found, dict):
            missing = {tag: value for tag, value in missing.items() if found.get(tag) != value}


async def test_against_pymodbus(line):
    near, far = line
    blocks = [SimData(0, values=[1, 2, 0x4148, 0], datatype=DataType.REGISTERS)]
    server = ModbusSerialServer(
        [SimDevice(id=1, simdata=blocks), SimDevice(id=7, simdata=blocks)],
        framer=FramerType.RTU,
        port=far,
        baudrate=19200,
    )
    await server.serve_forever(background=True)
    tags = {"count": {"holding": 0, "type": "uint32"}, "warm": {"input": 2, "type": "float32"}, "none": {"ref": 400501}}
    both = open_devices({"one": device(near, 1, tags), "seven": device(near, 7, tags)}, time.time_ns)
    try:
        for adapter in both.values():
            await adapter.connect()
            reading = await adapter.read()
            assert values(reading) == {"count": 65538, "warm": 12.5, "none": None}
            assert [row.tag for row in reading.rows if row.quality is not Quality.GOOD] == ["none"]
            assert set(reading.confirmed) == set(tags)
    finally:
        for adapter in both.values():
            await adapter.close()
        await server.shutdown()


async def test_against_libmodbus(line, tmp_path):
    near, far = line
    with libmodbus_unit(far, tmp_path):
        tags = {
            "held": {"holding": 5}, "read": {"input": 5}, "coil": {"coil": 3}, "switch": {"ref": 10004},
            "far": {"holding": 5000},
        }  # fmt: skip
        adapter = open_device(device(near, tags=tags), time.time_ns)
        await adapter.connect()
        reading = await adapter.read()
        assert values(reading) == {"held": 5, "read": 10, "coil": True, "switch": True, "far": None}
        await adapter.close()
        longest = open_device(
            device(near, tags={"x": {"holding": 0}, "y": {"holding": 124}}, max_gap=124), time.time_ns
        )
        await longest.connect()
        assert values(await longest.read()) == {"x": 0, "y": 124}
        await longest.close()


async def test_only_reading_functions_and_only_changes(line):
    near, far = line
    async with units(far) as plc:
        adapter = open_device(device(near, tags=HELD | {"i": {"input": 0}}), time.time_ns)
        await adapter.connect()
        assert values(await adapter.read()) == {"a": 100, "b": 101, "i": 100}
        await asyncio.sleep(0.05)
        assert values(await adapter.read()) == {}
        assert plc.functions <= {1, 2, 3, 4}
        await adapter.close()
        await adapter.close()


async def test_a_late_answer_never_becomes_a_value_of_another_register(line):
    """The trap: one answer later than the timeout, and a careless master stays one answer behind for ever."""
    near, far = line
    tags = {f"r{at}": {"holding": at} for at in (0, 100, 200, 300)}
    async with units(far) as plc:
        adapter = open_device(device(near, tags=tags, max_gap=0, **SHORT), time.time_ns)
        await adapter.connect()
        seen = []
        await until_read(adapter, {tag: 100 + int(tag[1:]) for tag in tags}, seen)
        for _ in range(3):
            began_s, before = time.monotonic(), len(plc.asked)
            plc.late.add(1)
            task = asyncio.create_task(reads(adapter, 1, seen))
            await until(lambda: plc.kept)
            kept_s = time.monotonic()
            await asyncio.sleep(1.1 * SHORT_S)  # it has given up by now, and asks nothing for as long again
            if len(plc.asked) == before + 1 and time.monotonic() - kept_s < 1.8 * SHORT_S:
                plc.say_late()  # unless this machine was so busy that it would be later than two timeouts
            plc.kept.clear()
            await task
            asked = len(plc.asked)
            while len(plc.asked) == asked or not seen[-1][2]:
                await reads(adapter, 1, seen)
            assert plc.asked[before + 1][0] - began_s >= 2 * SHORT_S - 0.01
        for _, found, _ in seen:
            if isinstance(found, dict):
                assert all(value == 100 + int(tag[1:]) for tag, value in found.items()), seen
        assert seen[-1][2]
        await adapter.close()


async def test_after_a_timeout_the_line_stays_silent_for_another(line):
    near, far = line
    async with units(far, dead={1}) as plc:
        both = open_devices({"dead": device(near, 1, **SHORT), "alive": device(near, 2)}, time.time_ns)
        for adapter in both.values():
            await adapter.connect()
        began_s = time.monotonic()
        with pytest.raises(NotConnected, match=r"unit 1: did not answer within 0\.3 s") as caught:
            await both["dead"].read()
        assert not caught.value.gentle
        assert values(await both["alive"].read()) == {"a": 200, "b": 201}
        assert [unit for _, unit, *_ in plc.asked] == [1, 2]
        assert plc.asked[-1][0] - began_s >= 2 * SHORT_S
        for adapter in both.values():
            await adapter.close()


@pytest.mark.parametrize(
    ("garble", "reason"),
    [
        (lambda frame: frame[:-1] + bytes([frame[-1] ^ 1]), "wrong checksum"),
        (lambda frame: frame[:4], "did not answer within"),
        (lambda frame: with_crc(bytes([9]) + frame[1:-2]), "unit 1 was asked"),
        (lambda frame: with_crc(bytes([1, 4]) + frame[2:-2]), "function 3 and 4 bytes were asked"),
        (lambda frame: with_crc(bytes([1, 3, 2, 0, 1])), "function 3 and 4 bytes were asked"),
        (lambda frame: frame + frame, "more came than was asked for"),
    ],
)
async def test_what_is_not_exactly_the_answer_is_none(line, garble, reason):
    near, far = line
    async with units(far, garble={1: garble}) as plc:
        adapter = open_device(device(near, timeout="1s"), time.time_ns)  # after what is no answer it waits as long
        await adapter.connect()
        with pytest.raises(NotConnected, match=reason):
            await adapter.read()
        await adapter.close()
        plc.garble.clear()
        await adapter.connect()
        assert values(await adapter.read()) == {"a": 100, "b": 101}
        await adapter.close()


async def test_the_silence_after_a_timeout_outlasts_a_reconnection(line):
    near, far = line
    async with units(far, dead={1}) as plc:
        adapter = open_device(device(near, tags={"a": {"holding": 0}}, **SHORT), time.time_ns)
        for _ in range(2):
            await adapter.connect()
            with pytest.raises(NotConnected):
                await adapter.read()
            await adapter.close()
        (first_s, *_), (second_s, *_) = plc.asked
        assert second_s - first_s >= 2 * SHORT_S - 0.01


async def test_noise_between_frames_is_not_minded(line):
    near, far = line
    async with units(far, trailing=b"\0\0"):
        adapter = open_device(device(near, timeout="60s"), time.time_ns)
        await adapter.connect()
        began_s = time.monotonic()
        for _ in range(5):
            await asyncio.sleep(0.05)
            assert set((await adapter.read()).confirmed) == {"a", "b"}
        assert time.monotonic() - began_s < 60, "no silence as after what is no answer"
        await adapter.close()


async def test_an_adapter_that_hears_itself(line):
    near, far = line
    async with units(far, echo=True):
        adapter = open_device(device(near, tags={"a": {"holding": 500}}), time.time_ns)
        await adapter.connect()
        with pytest.raises(NotConnected, match="write `echo: true`"):
            await adapter.read()
        await adapter.close()
        adapter = open_device(device(near, echo=True), time.time_ns)
        await adapter.connect()
        assert values(await adapter.read()) == {"a": 100, "b": 101}
        await adapter.close()


async def test_a_line_with_another_master_is_left_alone(line):
    near, far = line
    with other_master(far, unit=5):
        adapter = open_device(device(near, listen="10s"), time.time_ns)
        began_s = time.monotonic()
        with pytest.raises(
            DeviceMisconfigured, match=r"another Modbus master is on this line \(heard unit 5"
        ) as caught:
            await adapter.connect()
        assert caught.value.elsewhere
        assert time.monotonic() - began_s < 9.9
    async with units(far) as plc:
        adapter = open_device(device(near), time.time_ns)
        await adapter.connect()
        assert plc.asked == [], "nothing is asked while listening"
        assert values(await adapter.read()) == {"a": 100, "b": 101}
        await adapter.close()


async def test_a_master_that_comes_later_is_heard_too(line):
    near, far = line
    async with units(far) as plc:
        adapter = open_device(device(near), time.time_ns)
        await adapter.connect()
        await adapter.read()
        plc.say(request_frame(3, "holding", 0, 1))
        await until(lambda: len(adapter._bus._channel._buffer) == 8)
        await asyncio.sleep(0.05)  # so that something is due again
        with pytest.raises(DeviceMisconfigured, match="heard unit 3, function 3"):
            await adapter.read()
        with pytest.raises(NotConnected, match="another Modbus master"):
            await adapter.read()
        await adapter.close()


async def test_bytes_that_make_no_sense_are_somebody_too(line):
    near, far = line
    async with units(far) as plc:
        adapter = open_device(device(near, listen="10s"), time.time_ns)
        task = asyncio.create_task(adapter.connect())
        await until(lambda: adapter._bus._channel)
        plc.say(bytes(range(40)))
        with pytest.raises(DeviceMisconfigured, match="something else talks on this line"):
            await task
        await adapter.close()


async def test_units_take_turns_and_a_dead_one_does_not_cost_its_neighbours_their_period(line):
    near, far = line
    async with units(far, dead={3, 4}) as plc:
        dead = {"u3": SHORT, "u4": SHORT}
        adapters = open_devices(
            {name: device(near, int(name[1]), **dead.get(name, {})) for name in ("u1", "u2", "u3", "u4")}, time.time_ns
        )
        for adapter in adapters.values():
            await adapter.connect()
        seen = {name: [] for name in adapters}
        for name in dead:  # they die: a few timeouts at once
            await reads(adapters[name], 2, seen[name], 0.01)
        plc.asked.clear()
        began_s = time.monotonic()
        tasks = [asyncio.create_task(reads(adapters[name], 10_000, seen[name])) for name in adapters]
        await until(lambda: min(len(plc.questions(1)), len(plc.questions(2))) > 36)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        lasted_s = time.monotonic() - began_s
        one, two = plc.questions(1), plc.questions(2)
        assert abs(len(one) - len(two)) <= 3
        asked = len(plc.questions(3)) + len(plc.questions(4))
        assert asked <= 2 + lasted_s / (20 * 2 * SHORT_S), "a twentieth of the line's time at most"
        assert "asked again in" in str(seen["u3"][-1][1])
        plc.dead.clear()
        for adapter in adapters.values():
            await adapter.close()


async def test_a_single_unit_is_asked_whenever_its_turn_comes(line):
    near, far = line
    async with units(far, dead={1}) as plc:
        adapter = open_device(device(near, **SHORT), time.time_ns)
        await adapter.connect()
        seen = []
        await reads(adapter, 5, seen, 0.0)
        await until(lambda: len(plc.asked) == 5)
        plc.dead.clear()
        await until_read(adapter, {"a": 100, "b": 101}, seen)
        await adapter.close()


async def test_a_port_that_is_pulled_out_and_put_in_again(tmp_path):
    with serial_line(tmp_path) as (near, far):
        async with units(far):
            adapter = open_device(device(near), time.time_ns)
            await adapter.connect()
            await adapter.read()
            await asyncio.sleep(0.05)  # so that something is due again
    await until(lambda: adapter._bus._channel.ended)  # in the middle of a request it would be silent for two timeouts
    with pytest.raises(NotConnected):
        await adapter.read()
    await adapter.close()
    with pytest.raises(NotConnected, match="is the adapter plugged in"):
        await adapter.connect()
    with serial_line(tmp_path) as (near, far):
        async with units(far):
            await adapter.connect()
            assert values(await adapter.read()) == {"a": 100, "b": 101}
            await adapter.close()


async def test_one_line_belongs_to_one_program(line):
    near, far = line
    async with units(far):
        first, second = (open_device(device(near), time.time_ns) for _ in range(2))
        await first.connect()
        with pytest.raises(NotConnected, match="another program uses this port"):
            await second.connect()
        await second.close()
        await first.close()
        await second.connect()
        await second.close()


async def test_what_a_port_cannot_do_is_misconfigured(line):
    adapter = open_device(device(line[0], rs485={}), time.time_ns)
    with pytest.raises(DeviceMisconfigured, match="cannot switch RS-485 itself"):
        await adapter.connect()
    await adapter.close()


async def test_serial_frames_through_a_converter(line):
    near, far = line
    with converter(near) as port:
        given = {
            "kind": "modbus_tcp", "framing": "rtu", "host": "127.0.0.1", "port": port, "every": "50ms",
            "listen": "1s", "tags": HELD, **SHORT,
        }  # fmt: skip
        async with units(far) as plc:
            adapter = open_device(ModbusTcpDevice.model_validate(given), time.time_ns)
            await adapter.connect()
            seen = []
            await until_read(adapter, {"a": 100, "b": 101}, seen)
            plc.late.add(1)
            first = adapter._bus._channel
            task = asyncio.create_task(reads(adapter, 1, seen))
            await until(lambda: plc.kept)
            plc.registers[1, 0] = 7
            await until(lambda: adapter._bus._channel not in (None, first))
            plc.say_late()  # while it listens on a new connection
            await task
            seen.clear()
            await until_read(adapter, {"a": 7, "b": 101}, seen)  # its old connection may still swallow an answer
            assert next(found for _, found, _ in seen if isinstance(found, dict)) == {"a": 7, "b": 101}
            await adapter.close()
            plc.dead.add(1)
            await adapter.connect()
            with pytest.raises(NotConnected) as caught:
                await adapter.read()
            assert caught.value.gentle
            await adapter.close()


def test_the_tools_that_these_tests_need_are_here():
    assert all(shutil.which(name) for name in ("socat", "mbpoll", "cc"))
