"""When to connect, read and try again, told the time; and the task that does it, against a real socket."""

import asyncio
import contextlib
import logging
import selectors
import struct
import time
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import until

from adapters.contract import DeviceMisconfigured, Reading, Row
from adapters.kinds import kind
from adapters.modbus.model import ModbusTcpDevice
from agent.devices.schedule import EAGER_S, GENTLE_S, LONGEST_RETRY_S, REFUSED_S, ConnectionState, PollSchedule
from agent.devices.supervisor import TOGETHER, DeviceHealth, Supervisor, slot_s
from oee.model.states import Quality
from words import say


def failed(schedule, now_s, *, gentle=False, jitter=0.0):
    begins = schedule.failed(now_s, gentle=gentle, jitter=jitter)
    return begins, schedule.due_s - now_s


def test_the_grid_is_absolute_and_missed_places_are_skipped():
    schedule = PollSchedule(1.0)
    schedule.connected(100.0)
    assert (schedule.link, schedule.due_s) == (ConnectionState.UP, 100.0)
    schedule.read(100.3)
    assert (schedule.due_s, schedule.skipped) == (101.0, 0)
    schedule.read(101.9)
    assert (schedule.due_s, schedule.skipped) == (102.0, 0)
    schedule.read(105.2)
    assert (schedule.due_s, schedule.skipped) == (106.0, 3)


@given(st.floats(0.01, 100), st.lists(st.floats(0, 500), max_size=30))
def test_the_next_place_is_on_the_grid_and_at_most_one_period_away(period_s, durations):
    schedule = PollSchedule(period_s)
    schedule.connected(0.0)
    for duration_s in durations:
        now_s = schedule.due_s + duration_s
        schedule.read(now_s)
        assert schedule.due_s - now_s <= period_s * (1 + 1e-6)
        assert schedule.due_s >= now_s - 1e-6 * max(1.0, now_s)
        assert abs(schedule.due_s / period_s - round(schedule.due_s / period_s)) < 1e-3


@given(st.floats(0.01, 100), st.floats(0, 1e6), st.floats(0, 30), st.integers(1, 500))
def test_after_the_first_read_it_is_read_at_the_next_place_that_many_devices_share(period_s, now_s, lasted_s, devices):
    schedule, shared_s = PollSchedule(period_s), slot_s(period_s, devices)
    schedule.connected(now_s, shared_s)
    assert schedule.due_s == now_s, "what is connected is read at once"
    schedule.read(now_s + lasted_s)
    assert -1e-6 <= schedule.due_s - (now_s + lasted_s) <= shared_s + 1e-6
    assert abs(schedule.due_s / shared_s - round(schedule.due_s / shared_s)) < 1e-3
    first_s = schedule.due_s
    schedule.read(first_s)
    assert schedule.due_s == pytest.approx(first_s + period_s)
    assert schedule.skipped == 0


class CountingSelector(selectors.DefaultSelector):
    """A selector that does not wait: time passes by itself, and each wait is counted."""

    now_s, waits = 0.0, 0

    def select(self, timeout=None):
        found = super().select(0)
        if not found and timeout is not None and timeout > 0:
            self.waits += 1
            self.now_s += timeout
        return found


class Answering:
    """A device that answers after four milliseconds."""

    period_s = 1.0

    async def connect(self):
        await asyncio.sleep(0.004)

    async def read(self):
        await asyncio.sleep(0.004)
        return Reading(0, (), ())

    async def close(self):
        pass


@pytest.mark.parametrize(("devices", "most"), [(1, 2), (TOGETHER, 2), (TOGETHER + 1, 4), (10 * TOGETHER, 20)])
def test_devices_that_are_read_together_wake_the_process_once(devices, most):
    """Wake-ups a second in which each of the devices is read once: one to ask and one for the answers, for each slot."""
    selector = CountingSelector()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now_s
    supervisor = Supervisor({f"d{number}": Answering() for number in range(devices)}, lambda _device, _reading: None)

    async def twenty_seconds():
        task = asyncio.create_task(supervisor.run())
        await asyncio.sleep(5 - 1e-3)
        waits, polls = selector.waits, {name: item.polls for name, item in supervisor.health.items()}
        await asyncio.sleep(20)
        waits = selector.waits - waits
        assert {item.polls - polls[name] for name, item in supervisor.health.items()} == {20}
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return waits

    with contextlib.closing(loop):
        assert loop.run_until_complete(twenty_seconds()) <= most * 20 + 2


def test_a_lost_device_is_tried_every_two_seconds_for_a_minute_and_then_rarely():
    schedule, now_s, waits = PollSchedule(1.0), 0.0, []
    schedule.connected(now_s)
    schedule.read(now_s)
    for _ in range(40):
        begins, wait_s = failed(schedule, now_s)
        assert begins is (now_s == 0.0)
        waits.append(wait_s)
        now_s += wait_s
    assert waits[:30] == [2.0] * 30
    assert sum(waits[:30]) == EAGER_S
    assert waits[30:35] == [4.0, 8.0, 16.0, 30.0, 30.0]
    assert max(waits) == LONGEST_RETRY_S


def test_jitter_only_shortens():
    schedule = PollSchedule(1.0)
    schedule.failed(0.0, gentle=False, jitter=0.0)
    for _ in range(5):
        failed(schedule, EAGER_S)
    assert failed(schedule, EAGER_S, jitter=0.999)[1] == pytest.approx(22.5, abs=0.02)


def test_gentle():
    assert failed(PollSchedule(1.0), 0.0, gentle=True) == (True, GENTLE_S)


def test_a_plc_that_was_read_within_the_last_minute_is_not_left_alone():
    schedule = PollSchedule(1.0)
    schedule.connected(0.0)
    schedule.read(0.0)
    assert failed(schedule, 4.0, gentle=True) == (True, 2.0)
    assert failed(schedule, EAGER_S - 0.1, gentle=True) == (False, 2.0)
    assert failed(schedule, EAGER_S, gentle=True) == (False, GENTLE_S)


def test_a_refusal_that_somebody_at_the_device_can_mend_is_tried_once_a_minute():
    schedule = PollSchedule(1.0)
    schedule.refused(10.0)
    assert (schedule.link, schedule.due_s) == (ConnectionState.AWAY, 10.0 + REFUSED_S)
    schedule.refused(70.0)
    schedule.connected(130.0)
    assert schedule.read(130.0) is True


def test_a_connection_without_an_answer_does_not_end_the_outage():
    schedule = PollSchedule(1.0, retry_every_s=5.0)
    assert failed(schedule, 0.0) == (True, 5.0)
    schedule.connected(5.0)
    assert failed(schedule, 6.0) == (False, 5.0)
    schedule.connected(11.0)
    assert schedule.read(11.1) is True
    assert schedule.read(12.1) is False
    assert failed(schedule, 13.0) == (True, 5.0)


def test_stopped_for_good():
    schedule = PollSchedule(1.0)
    schedule.stop()
    assert (schedule.link, schedule.due_s) == (ConnectionState.STOPPED, float("inf"))


def test_late_polls():
    health = DeviceHealth()
    assert health.late_p99_s() is None
    health.lateness_s.extend(number / 1000 for number in range(500))
    assert health.late_p99_s() == 0.495


class Plc:
    """A Modbus server in ten lines: register n holds n, or silence."""

    def __init__(self):
        self.silent, self.port, self.connections = False, 0, 0
        self.server = None
        self.writers = []

    async def up(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def down(self):
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()

    async def serve(self, reader, writer):
        self.connections += 1
        self.writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                frame = await reader.readexactly(12)
                start, count = struct.unpack(">HH", frame[8:])
                if not self.silent:
                    body = struct.pack(f">{count}H", *range(start, start + count))
                    writer.write(frame[:4] + struct.pack(">HBBB", len(body) + 3, frame[6], 3, len(body)) + body)
        writer.close()


@asynccontextmanager
async def running(supervisor):
    task = asyncio.create_task(supervisor.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def device(port, timeout="20s"):
    given = {
        "kind": "modbus_tcp", "host": "127.0.0.1", "port": port, "every": "20ms", "timeout": timeout,
        "tags": {"a": {"holding": 4}},
    }  # fmt: skip
    return ModbusTcpDevice.model_validate(given)


async def test_a_device_that_goes_and_comes_back_while_another_runs_on(caplog):
    caplog.set_level(logging.INFO, logger="nhip.devices")
    going, staying, seen = Plc(), Plc(), []
    await going.up()
    await staying.up()
    adapters = kind("modbus_tcp").open_devices(
        {"going": device(going.port), "staying": device(staying.port)}, time.time_ns
    )
    retries = dict.fromkeys(adapters, 0.05)
    supervisor = Supervisor(adapters, lambda name, reading: seen.append((name, reading)), retries, "vi")
    health = supervisor.health
    async with running(supervisor):
        await until(lambda: health["going"].polls > 5 and health["staying"].polls > 5)
        await going.down()
        await until(lambda: health["going"].failures >= 3)
        assert health["going"].condition == "lost"
        assert str(going.port) in health["going"].error
        before = health["staying"].polls
        await until(lambda: health["staying"].polls > before + 10)
        assert health["staying"].failures == 0
        await going.up()
        await until(lambda: health["going"].condition == "up")
    rows = [row.value for name, reading in seen if name == "going" for row in reading.rows]
    assert rows == [4, 4], "one row after each connection, none for polls that brought nothing new"
    lines = [record.getMessage().split(" fault")[0] for record in caplog.records]
    assert lines == ["device lost: device=going", "device back: device=going"]
    _, code, what, _ = caplog.records[0].args
    assert what == say(f"fault.{code}", "vi"), "in the language of the agent"
    assert health["staying"].late_p99_s() is not None
    await going.down()
    await staying.down()


async def test_a_silent_peer_is_left_alone():
    plc = Plc()
    plc.silent = True
    await plc.up()
    supervisor = Supervisor(
        kind("modbus_tcp").open_devices({"plc": device(plc.port, "100ms")}, time.time_ns),
        lambda *_: None,
        {"plc": 0.01},
    )
    async with running(supervisor):
        await until(lambda: supervisor.health["plc"].failures == 1)
        await asyncio.sleep(0.2)
        assert plc.connections == 1
    await plc.down()


class Faulty:
    """An adapter that breaks its contract."""

    period_s = 0.01

    def __init__(self, *results):
        self.results, self.connects, self.closes = list(results), 0, 0

    async def connect(self):
        self.connects += 1

    async def read(self):
        result = self.results.pop(0) if self.results else Reading(1, [], ("t",))
        if isinstance(result, Exception):
            raise result
        return result

    async def close(self):
        self.closes += 1
        raise RuntimeError("close() must not do this")


async def test_faults_of_an_adapter_and_of_the_receiver_are_counted_and_survived():
    adapter = Faulty(ZeroDivisionError("boom"), Reading(1, [Row("t", 1, 5, Quality.GOOD)], ("t",)))
    received = []

    def receive(name, reading):
        received.append(reading)
        if len(received) == 1:
            raise KeyError("pipeline")

    supervisor = Supervisor({"odd": adapter}, receive, {"odd": 0.01})
    async with running(supervisor):
        await until(lambda: supervisor.health["odd"].polls > 3)
    health = supervisor.health["odd"]
    assert health.failures == 2
    assert health.unexpected >= 4
    assert adapter.connects == 3


async def test_misconfigured_waits_for_ever_and_is_reported():
    adapter = Faulty(DeviceMisconfigured("the certificate is refused"))
    supervisor = Supervisor({"odd": adapter, "fine": Faulty()}, lambda *_: None)
    health = supervisor.health
    async with running(supervisor) as task:
        await until(lambda: health["odd"].condition == "misconfigured")
        before = health["fine"].polls
        await until(lambda: health["fine"].polls > before + 5)
        assert (adapter.connects, health["odd"].error) == (1, "the certificate is refused")
        assert not task.done()


async def test_a_refusal_at_the_device_is_said_once_and_tried_again(monkeypatch, caplog):
    monkeypatch.setattr("agent.devices.schedule.REFUSED_S", 0.02)
    refusals = [DeviceMisconfigured("not trusted yet", elsewhere=True) for _ in range(3)]
    adapter = Faulty(*refusals)
    supervisor = Supervisor({"odd": adapter}, lambda *_: None)
    async with running(supervisor):
        await until(lambda: supervisor.health["odd"].condition == "up")
    assert adapter.connects == 4
    assert [record.levelname for record in caplog.records if "misconfigured" in record.message] == ["ERROR"]


async def test_a_wrong_clock_is_said_once_and_shown(caplog):
    readings = [Reading(1, [], ("t",), off_s * 10**9) for off_s in (0, 5, 900_000_000, 900_000_001, 2, 70)]
    adapter = Faulty(*readings)
    supervisor = Supervisor({"plc": adapter}, lambda *_: None, lang="vi")
    async with running(supervisor):
        await until(lambda: supervisor.health["plc"].polls > 7)
    said = [record.getMessage() for record in caplog.records]
    assert [line.split(" cure")[0] for line in said] == [
        "device clock off: device=plc by_s=900000000", "device clock off: device=plc by_s=70",
    ]  # fmt: skip
    assert "chỉnh lại đồng hồ" in said[0], "in the language of the agent"
    assert supervisor.health["plc"].clock_off_s == 70.0
