"""Drives the adapters: one task for each device, so that none waits for another.

`agent.devices.schedule` decides when to do what; here it is done, counted, and logged once when a device is lost and once
when it is back, and when tags of a device that answers cannot be read.
"""

import asyncio
import logging
import math
import random
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from adapters.connection_faults import connection_fault
from adapters.contract import Adapter, DeviceMisconfigured, Fault, NotConnected, Reading
from agent.devices.lost_tags import group_faults
from agent.devices.schedule import ConnectionState, PollSchedule
from words import fault_text, say

CONNECT_S = 20.0
READ_AT_LEAST_S = 30.0
CLOSE_S = 5.0
"""How long an adapter may take before it counts as hung [s]: far beyond its own timeouts."""
END_S = 8.0
"""How long all devices together may take to end [s]; what still runs then is left behind."""
LATENESS_KEPT = 1000
CLOCK_OFF_S = 60.0
"""A device whose clock is off by at least this is reported [s]; its values are dated by the gateway's clock anyway."""
SPREAD_S = 1.0
"""The first connections, and so the reads, are spread over this time, or over a period if that is shorter [s]."""
TOGETHER = 16
"""How many devices share a slot, at the start of which they are read: one wake-up of the process serves them all, and what
they answer still waits for a few milliseconds at most."""

log = logging.getLogger("nhip.devices")

OnReading = Callable[[str, Reading], None]


@dataclass
class DeviceHealth:
    """Counters of one device. condition: connecting, up, lost, or misconfigured; error: the last one, fault: what it means;
    tag_faults: why tags cannot be read though the device answers, by tag;
    last_read_ns: steady time of the last reading; clock_off_s: gateway time minus the device's own clock [s], None where it
    has no readable clock; lateness_s: by how much the latest reads began late [s].
    """

    condition: str = "connecting"
    error: str = ""
    fault: Fault | None = None
    tag_faults: Mapping[str, Fault] = field(default_factory=dict)
    polls: int = 0
    skipped: int = 0
    failures: int = 0
    unexpected: int = 0
    connects: int = 0
    rows: int = 0
    last_read_ns: int | None = None
    clock_off_s: float | None = None
    lateness_s: deque[float] = field(default_factory=lambda: deque(maxlen=LATENESS_KEPT))

    def late_p99_s(self) -> float | None:
        """By how much the latest 1 % of the last thousand reads began late, at least [s]; None before the first."""
        if not self.lateness_s:
            return None
        ordered = sorted(self.lateness_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


class Supervisor:
    """The tasks of all devices. `run()` returns only when it is cancelled, and closes every adapter then, within `END_S`.

    adapters: by device name; retry_every_s: by device name, 2 s where it is missing; on_reading: called with
    the device's name and each reading, must be quick and must not raise; an exception there counts as a failure
    of the device, since the reading is lost. lang: of what the log says of a fault, and of its cure.
    """

    def __init__(
        self,
        adapters: Mapping[str, Adapter],
        on_reading: OnReading,
        retry_every_s: Mapping[str, float] | None = None,
        lang: str = "en",
    ) -> None:
        self._lang = lang
        self._adapters, self._on_reading = dict(adapters), on_reading
        self._retry_every_s = dict(retry_every_s or {})
        self.health = {name: DeviceHealth() for name in self._adapters}
        self._ending = False

    async def run(self) -> None:
        """Drives every device until cancelled."""
        tasks = []
        for place, (name, adapter) in enumerate(self._adapters.items()):
            begin_s = min(adapter.period_s, SPREAD_S) * place / len(self._adapters)
            tasks.append(asyncio.create_task(self._drive(name, adapter, begin_s), name=f"device {name}"))
        try:
            for task in await _first_failed(tasks):
                await task
        finally:
            self._ending = True
            await _end(tasks)

    async def _drive(self, name: str, adapter: Adapter, begin_s: float) -> None:
        clock = asyncio.get_running_loop().time
        schedule = PollSchedule(adapter.period_s, self._retry_every_s.get(name, 2.0), due_s=clock() + begin_s)
        health = self.health[name]
        try:
            # a library may take a cancellation for one of its own and swallow it: `_ending` stays
            while schedule.link is not ConnectionState.STOPPED and not self._ending:
                await asyncio.sleep(max(0.0, schedule.due_s - clock()))
                try:
                    await self._step(name, adapter, schedule)
                except DeviceMisconfigured as error:
                    await self._refused(name, adapter, schedule, error)
                except NotConnected as error:
                    fault = connection_fault(error)
                    await self._lost(name, adapter, schedule, str(error), fault, gentle=error.gentle)
                except TimeoutError as error:
                    reason = "the adapter did not return in time"
                    await self._lost(name, adapter, schedule, reason, connection_fault(error), gentle=False)
                except Exception as error:  # the loop must survive an adapter's fault; counted
                    health.unexpected += 1
                    if health.unexpected == 1:
                        log.exception("unexpected error: device=%s", name)
                    reason, fault = f"unexpected {error!r}", Fault("unexpected_error", extent="device")
                    await self._lost(name, adapter, schedule, reason, fault, gentle=False)
        finally:
            await _close(adapter, health)
        if not self._ending:
            await asyncio.Event().wait()  # misconfigured: the task idles until the supervisor is cancelled

    async def _step(self, name: str, adapter: Adapter, schedule: PollSchedule) -> None:
        health, clock = self.health[name], asyncio.get_running_loop().time
        if schedule.link is ConnectionState.AWAY:
            async with asyncio.timeout(CONNECT_S):
                await adapter.connect()
            health.connects += 1
            schedule.connected(clock(), slot_s(adapter.period_s, len(self._adapters)))
            return
        health.lateness_s.append(max(0.0, clock() - schedule.due_s))
        async with asyncio.timeout(max(READ_AT_LEAST_S, 3 * adapter.period_s)):
            reading = await adapter.read()
        self._on_reading(name, reading)
        was_out = schedule.read(clock())
        health.polls += 1
        health.rows += len(reading.rows)
        health.skipped, health.last_read_ns = schedule.skipped, reading.t_ns
        health.condition, health.error, health.fault = "up", "", None
        if was_out:
            log.info("device back: device=%s", name)
        if reading.faults != health.tag_faults:
            before, health.tag_faults = health.tag_faults, reading.faults
            await _tell_tags(name, before, reading.faults, self._lang)
        if reading.clock_off_ns is not None:
            await _check_clock(name, health, reading.clock_off_ns / 1e9, self._lang)

    async def _lost(
        self, name: str, adapter: Adapter, schedule: PollSchedule, reason: str, fault: Fault, *, gentle: bool
    ) -> None:
        health = self.health[name]
        health.failures += 1
        health.condition, health.error, health.fault = "lost", reason, fault
        await _close(adapter, health)
        now_s = asyncio.get_running_loop().time()
        if schedule.failed(now_s, gentle=gentle, jitter=random.random()):  # noqa: S311  # spreads retries, no secret
            what = await _in_words(fault, self._lang)
            log.warning("device lost: device=%s fault=%s what=%r reason=%s", name, fault.code, what, reason)

    async def _refused(self, name: str, adapter: Adapter, schedule: PollSchedule, error: DeviceMisconfigured) -> None:
        """Stops, or waits until somebody changes something at the device."""
        health, fault = self.health[name], connection_fault(error)
        is_new = (health.condition, health.error) != ("misconfigured", str(error))
        health.condition, health.error, health.fault = "misconfigured", str(error), fault
        if error.elsewhere:
            health.failures += 1
            await _close(adapter, health)
            schedule.refused(asyncio.get_running_loop().time())
        else:
            schedule.stop()
        if is_new:
            what = await _in_words(fault, self._lang)
            log.error("device misconfigured: device=%s fault=%s what=%r error=%s", name, fault.code, what, error)


async def _in_words(fault: Fault, lang: str) -> str:
    """What `nhip check` says first. The first sentence reads a file of them, which no other device has to wait for."""
    return await asyncio.to_thread(fault_text, fault.code, fault.values, lang)


async def _tell_tags(name: str, before: Mapping[str, Fault], faults: Mapping[str, Fault], lang: str) -> None:
    """Logs tags that have become unreadable, those of one fault in one line, and that all are back."""
    known = {tag: fault.code for tag, fault in before.items()}
    new = {tag: fault for tag, fault in faults.items() if known.get(tag) != fault.code}
    for fault, tags in group_faults(new):
        what = await _in_words(fault, lang)
        log.warning("tags not readable: device=%s tags=%s fault=%s what=%r", name, ",".join(tags), fault.code, what)
    if not faults:
        log.info("tags readable again: device=%s", name)


async def _check_clock(name: str, health: DeviceHealth, off_s: float, lang: str) -> None:
    """Logs a wrong device clock when it becomes wrong, not at each reading: a PLC without a battery is wrong for years."""
    was_off = health.clock_off_s is not None and abs(health.clock_off_s) >= CLOCK_OFF_S
    health.clock_off_s = off_s
    if abs(off_s) >= CLOCK_OFF_S and not was_off:
        cure = await asyncio.to_thread(say, "agent.device_clock.cure", lang)
        log.warning("device clock off: device=%s by_s=%.0f cure=%r", name, off_s, cure)


def slot_s(period_s: float, devices: int) -> float:
    """At multiples of which time a device is read [s], so that no more than `TOGETHER` share one."""
    return min(period_s, SPREAD_S) / math.ceil(devices / TOGETHER)


async def _first_failed(tasks: Sequence[asyncio.Task[None]]) -> set[asyncio.Task[None]]:
    """The tasks that ended, as soon as one fails; without a failure it lasts until it is cancelled, and cancels none."""
    if not tasks:
        await asyncio.Event().wait()
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    return done


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancels the tasks, repeatedly, since a cancellation may be swallowed while an adapter closes."""
    until_s = time.monotonic() + END_S
    wait_s, left = CLOSE_S + 1.0, set(tasks)
    while left and time.monotonic() < until_s:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=wait_s)
        wait_s = 1.0
    if left:
        log.error("devices do not end: %s", ", ".join(sorted(task.get_name() for task in left)))


async def _close(adapter: Adapter, health: DeviceHealth) -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            await adapter.close()
    except Exception:  # noqa: BLE001  # close() must not raise; if it does, count it and continue
        health.unexpected += 1
