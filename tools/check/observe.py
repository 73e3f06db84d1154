"""Reads the devices of a site for a while, through the same adapters as the agent, and asks again where something is bad."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from adapters.connection_faults import connection_fault
from adapters.contract import Adapter, DeviceMisconfigured, Fault, NotConnected, Reading
from adapters.kinds import by_line, kind, open_all
from config.devices.kinds import Device
from tools.check.verdict import DeviceObservation

CONNECT_S = 20.0
READ_S = 30.0
READS = 3
"""A subscription delivers its first values with its first or second publication, not at the first read."""
AGAIN_S = 2.0
"""Pause before reconnecting, as the agent makes it: a PLC may need it to free its socket [s]."""


async def observe(
    devices: Mapping[str, Device],
    files: Path,
    for_s: float,
    now_ns: Callable[[], int],
    on_progress: Callable[[float], None],
    observations: Mapping[str, DeviceObservation],
) -> None:
    """Reads all devices at once, each at its own period, for `for_s` and at least one read, into `observations`, which hold
    what came so far if it is cancelled. Every adapter is closed.

    files: folder for certificates that the site file does not place.
    """
    adapters = open_all(devices, now_ns, files)

    async def report_progress() -> None:
        began_s = asyncio.get_running_loop().time()
        while True:
            on_progress(asyncio.get_running_loop().time() - began_s)
            await asyncio.sleep(0.2)

    progress_task = asyncio.create_task(report_progress())
    try:
        await asyncio.gather(
            *(_device(item, observations[name], devices[name], for_s, now_ns) for name, item in adapters.items())
        )
    finally:
        progress_task.cancel()


async def _device(
    adapter: Adapter, observation: DeviceObservation, device: Device, for_s: float, now_ns: Callable[[], int]
) -> None:
    clock = asyncio.get_running_loop().time
    tags = frozenset(device.tags)
    end_s = clock() + for_s
    observation.from_ns = now_ns()
    while True:
        observation.until_ns = now_ns()
        try:
            await _connected(adapter, observation, tags, end_s)
        except DeviceMisconfigured as error:
            observation.fault = connection_fault(error)
            break
        except NotConnected as error:
            observation.fault, observation.lost = connection_fault(error), observation.lost + 1
            if error.gentle or clock() + AGAIN_S > end_s:
                break
        except TimeoutError:
            observation.fault = Fault("unit_silent")
            break
        else:
            break
        finally:
            observation.until_ns = now_ns()
            await adapter.close()
        await asyncio.sleep(AGAIN_S)
    observation.until_ns = now_ns()
    if observation.read_s:
        observation.latency_s = sorted(observation.read_s)[len(observation.read_s) // 2]


async def _connected(adapter: Adapter, observation: DeviceObservation, tags: frozenset[str], end_s: float) -> None:
    """Connects, and reads each period until the end, or a little longer if not every tag was seen by then."""
    clock = asyncio.get_running_loop().time
    began_s = clock()
    async with asyncio.timeout(CONNECT_S):
        await adapter.connect()
    observation.connect_s = clock() - began_s
    due_s = clock()
    while True:
        began_s = clock()
        async with asyncio.timeout(max(READ_S, 3 * adapter.period_s)):
            _take(observation, await adapter.read())
        observation.read_s.append(clock() - began_s)
        observation.fault = None
        due_s = max(due_s + adapter.period_s, clock())
        if due_s > end_s and (tags <= observation.rows.keys() or len(observation.read_s) >= READS):
            return
        await asyncio.sleep(due_s - clock())


def _take(observation: DeviceObservation, reading: Reading) -> None:
    for row in reading.rows:
        observation.rows.setdefault(row.tag, []).append(row)
    observation.granted_s = reading.granted_s
    observation.confirmed_ns |= dict.fromkeys(reading.confirmed, reading.t_ns)


async def diagnose(devices: Mapping[str, Device], bad: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Fault]]:
    """For each device, and each of its tags in `bad`, why it is bad. Devices on one line are diagnosed one after the other."""
    bad_ones = {name: device for name, device in devices.items() if bad.get(name)}
    groups = await asyncio.gather(
        *(ask(group, bad) for face, group in by_line(bad_ones) if (ask := face.diagnose) is not None)
    )
    return {name: notes for group in groups for name, notes in group.items()}


async def round_trips_s(devices: Mapping[str, Device]) -> dict[str, float | None]:
    """How long one read of all tags takes of each device that is not polled [s]; None where it cannot be read."""

    async def measure(name: str, device: Device) -> tuple[str, float | None]:
        round_trip_s = kind(device.kind).round_trip_s
        return name, await round_trip_s(device) if round_trip_s is not None else None

    return dict(await asyncio.gather(*(measure(*item) for item in devices.items() if not item[1].is_polled)))
