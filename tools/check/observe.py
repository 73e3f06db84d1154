"""Reads the devices of a site for a while, through the same adapters as the agent."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from adapters.connection_faults import connection_fault
from adapters.contract import Adapter, DeviceMisconfigured, NotConnected, Reading
from adapters.faults import Fault
from adapters.kinds import kind
from agent.devices.open import open_all
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
) -> dict[str, DeviceObservation]:
    """All devices at once, each at its own period, for `for_s` and at least one read. Every adapter is closed.

    files: folder for certificates that the site file does not place.
    """
    adapters = open_all(devices, now_ns, files)
    seen = {name: DeviceObservation(name) for name in devices}

    async def bar() -> None:
        began_s = asyncio.get_running_loop().time()
        while True:
            on_progress(asyncio.get_running_loop().time() - began_s)
            await asyncio.sleep(0.2)

    watching = asyncio.create_task(bar())
    try:
        await asyncio.gather(
            *(_device(item, seen[name], devices[name], for_s, now_ns) for name, item in adapters.items())
        )
    finally:
        watching.cancel()
    return seen


async def _device(
    adapter: Adapter, seen: DeviceObservation, device: Device, for_s: float, now_ns: Callable[[], int]
) -> None:
    clock = asyncio.get_running_loop().time
    explain, tags = kind(device.kind).explain, frozenset(device.tags)
    end_s = clock() + for_s
    seen.from_ns = now_ns()
    while True:
        try:
            await _connected(adapter, seen, tags, end_s)
        except DeviceMisconfigured as error:
            seen.fault = connection_fault(error, explain)
            break
        except NotConnected as error:
            seen.fault, seen.lost = connection_fault(error, explain), seen.lost + 1
            if error.gentle or clock() + AGAIN_S > end_s:
                break
        except TimeoutError:
            seen.fault = Fault("unit_silent")
            break
        else:
            break
        finally:
            await adapter.close()
        await asyncio.sleep(AGAIN_S)
    seen.until_ns = now_ns()
    if seen.read_s:
        seen.latency_s = sorted(seen.read_s)[len(seen.read_s) // 2]


async def _connected(adapter: Adapter, seen: DeviceObservation, tags: frozenset[str], end_s: float) -> None:
    """Connects, and reads each period until the end, or a little longer if not every tag was seen by then."""
    clock = asyncio.get_running_loop().time
    began_s = clock()
    async with asyncio.timeout(CONNECT_S):
        await adapter.connect()
    seen.connect_s = clock() - began_s
    due_s = clock()
    while True:
        began_s = clock()
        async with asyncio.timeout(max(READ_S, 3 * adapter.period_s)):
            _take(seen, await adapter.read())
        seen.read_s.append(clock() - began_s)
        seen.fault = None
        due_s = max(due_s + adapter.period_s, clock())
        if due_s > end_s and (tags <= seen.rows.keys() or len(seen.read_s) >= READS):
            return
        await asyncio.sleep(due_s - clock())


def _take(seen: DeviceObservation, reading: Reading) -> None:
    for row in reading.rows:
        seen.rows.setdefault(row.tag, []).append(row)
    seen.confirmed_ns |= dict.fromkeys(reading.confirmed, reading.t_ns)
