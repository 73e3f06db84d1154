"""Habits of real devices that are no reason to lose them: over sockets, with TCP and serial frames."""

import asyncio
import time

import pytest
from faulty_modbus import faulty_modbus
from rounds import open_device
from servers import until

from adapters.contract import NotConnected
from adapters.modbus.model import ModbusTcpDevice
from adapters.modbus.poll import MOST_SILENCES

FRAMINGS = pytest.mark.parametrize("rtu", [False, True], ids=["tcp", "rtu"])


def device(plc, tags, **changes):
    given = {
        "kind": "modbus_tcp", "host": "127.0.0.1", "port": plc.port, "framing": "rtu" if plc.rtu else "tcp",
        "timeout": "200ms", "every": "1ms", "listen": "0s", "tags": tags,
    }  # fmt: skip
    return ModbusTcpDevice.model_validate(given | changes)


async def opened(plc, tags, **changes):
    adapter = open_device(device(plc, tags, **changes), time.time_ns)
    await adapter.connect()
    return adapter


async def again(adapter):
    await adapter.close()
    await adapter.connect()


async def turn(plc, adapter):
    """The next reading for which something was asked."""
    asked = len(plc.asked)
    while True:
        reading = await adapter.read()
        if len(plc.asked) > asked:
            return reading
        await asyncio.sleep(0)


def values(reading):
    return {row.tag: row.value for row in reading.rows}


def holding(*addresses):
    return {f"r{at}": {"holding": at} for at in addresses}


@pytest.mark.parametrize(
    ("rtu", "settings"),
    [
        (False, {"ignored": {(3, 300), (3, 500)}}),
        (True, {"ignored": {(3, 300), (3, 500)}}),
        (True, {"refused": {(3, 300), (3, 500)}, "mode": "padded"}),
        (False, {"refused": {(3, 300), (3, 500)}, "refusal": 11}),
    ],
    ids=["tcp", "rtu", "rtu-padded", "gateway"],
)
async def test_ranges_that_a_device_ignores_are_set_aside_and_the_others_are_read(rtu, settings):
    async with faulty_modbus(rtu=rtu, **settings) as plc:
        adapter = await opened(plc, holding(5, 300, 500))
        for _ in range(MOST_SILENCES):
            assert "r5" in (await turn(plc, adapter)).confirmed
        tried = len(plc.asked)
        for _ in range(3):
            assert (await turn(plc, adapter)).confirmed == ("r5",)
        await again(adapter)
        assert values(await turn(plc, adapter)) == {"r5": 5}
        assert {question[2] for question in plc.asked[tried:]} == {5}
        await adapter.close()


async def test_a_padded_exception_is_an_exception():
    async with faulty_modbus(refused={(3, 300)}, mode="padded") as plc:
        adapter = await opened(plc, holding(5, 300), timeout="20s")
        assert values(await turn(plc, adapter)) == {"r5": 5, "r300": None}
        await adapter.close()


@FRAMINGS
async def test_the_good_range_is_found_though_it_is_the_last(rtu):
    async with faulty_modbus(rtu=rtu, ignored={(3, 300), (3, 500)}) as plc:
        adapter = await opened(plc, holding(300, 500, 900))
        with pytest.raises(NotConnected):
            await turn(plc, adapter)
        await again(adapter)
        assert values(await turn(plc, adapter)) == {"r900": 900}
        await adapter.close()


async def test_an_ignored_range_alone_in_its_round_does_not_lose_the_device():
    async with faulty_modbus(ignored={(3, 300)}) as plc:
        adapter = await opened(plc, {"slow": {"holding": 5, "every": "10s"}, "r300": {"holding": 300}})
        for _ in range(4):
            await turn(plc, adapter)
        assert plc.connections == 1
        await adapter.close()


@FRAMINGS
@pytest.mark.parametrize(
    "settings", [{"ignored": {(3, 8)}}, {"refused": {(3, 8)}, "refusal": 1}], ids=["silent", "code-1"]
)
async def test_a_block_over_a_hole_is_split_once(rtu, settings):
    async with faulty_modbus(rtu=rtu, **settings) as plc:
        adapter = await opened(plc, holding(5, 12))
        found = {}
        for _ in range(2):
            found |= values(await turn(plc, adapter))
        assert found == {"r5": 5, "r12": 12}
        tried = len(plc.asked)
        await again(adapter)
        assert values(await turn(plc, adapter)) == {"r5": 5, "r12": 12}
        assert [question[2:] for question in plc.asked[tried:]] == [(5, 1), (12, 1)]
        await adapter.close()


@FRAMINGS
async def test_one_lost_response_splits_nothing(rtu):
    async with faulty_modbus(rtu=rtu) as plc:
        adapter = await opened(plc, holding(5, 12, 100))
        await turn(plc, adapter)
        plc.ignored = {(3, 8)}
        assert (await turn(plc, adapter)).confirmed == ("r100",)
        plc.ignored = set()
        assert set((await turn(plc, adapter)).confirmed) == {"r5", "r12", "r100"}
        assert plc.asked[-1][2:] == (5, 8)
        await adapter.close()


async def test_a_device_that_has_gone_is_still_lost():
    async with faulty_modbus() as plc:
        adapter = await opened(plc, holding(5, 12, 100, 200, 300))
        await turn(plc, adapter)
        plc.mode = "silent"
        tried = len(plc.asked)
        with pytest.raises(NotConnected):
            await turn(plc, adapter)
        assert len(plc.asked) - tried == 2
        await adapter.close()


@FRAMINGS
async def test_a_connection_that_was_closed_while_idle_is_opened_again(rtu):
    async with faulty_modbus(rtu=rtu) as plc:
        adapter = await opened(plc, holding(5), timeout="20s")
        await turn(plc, adapter)
        for value in (7, 8):
            plc.registers[5] = value
            await plc.hang_up()
            if rtu:  # not in the middle of a request: after that the line must be silent for two timeouts
                await until(lambda: adapter._bus._channel.ended)
            assert values(await turn(plc, adapter)) == {"r5": value}
        assert plc.connections == 3
        await adapter.close()


async def test_a_connection_that_is_closed_as_the_request_arrives_is_opened_again_once():
    async with faulty_modbus() as plc:
        adapter = await opened(plc, holding(5), timeout="20s")
        await turn(plc, adapter)
        plc.registers[5], plc.mode = 7, "close_once"
        assert values(await turn(plc, adapter)) == {"r5": 7}
        plc.mode = "close"
        with pytest.raises(NotConnected, match="closed the connection"):
            await turn(plc, adapter)
        assert plc.connections == 3
        await adapter.close()


@pytest.mark.parametrize("mode", ["transaction", "own"])
async def test_transactions_of_the_servers_own_are_learned(mode):
    async with faulty_modbus(mode=mode) as plc:
        adapter = await opened(plc, holding(5, 100), timeout="20s")
        for value in (7, 8):
            plc.registers |= {5: value, 100: value}
            assert values(await turn(plc, adapter)) == {"r5": value, "r100": value}
            await again(adapter)
        await adapter.close()


@pytest.mark.parametrize("mode", ["transaction", "own"])
async def test_after_a_missing_response_they_are_believed_on_a_new_socket_only(mode):
    async with faulty_modbus(mode=mode) as plc:
        adapter = await opened(plc, holding(5))
        await turn(plc, adapter)
        plc.mode = "silent"
        with pytest.raises(NotConnected):
            await turn(plc, adapter)
        plc.mode = mode
        await again(adapter)
        assert values(await turn(plc, adapter)) == {"r5": 5}
        assert plc.connections == 2
        await adapter.close()


async def test_a_server_that_echoed_is_held_to_it():
    async with faulty_modbus() as plc:
        adapter = await opened(plc, holding(5))
        await turn(plc, adapter)
        plc.mode = "transaction"
        with pytest.raises(NotConnected, match=r"transaction \d+ was asked, 32767 answered"):
            await turn(plc, adapter)
        await adapter.close()


@pytest.mark.parametrize("unit", [0, 255])
async def test_a_device_that_is_its_own_server_may_echo_any_unit(unit):
    async with faulty_modbus(mode="unit_1") as plc:
        adapter = await opened(plc, holding(5), unit=unit, timeout="20s")
        assert values(await turn(plc, adapter)) == {"r5": 5}
        await adapter.close()
