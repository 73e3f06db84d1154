"""Devices driven as the agent drives them, and what came of it: readings, times, log lines."""

import asyncio
import logging
import time
from contextlib import asynccontextmanager

from servers import until

from adapters.kinds import kind, open_all
from agent.devices.supervisor import Supervisor


class Round:
    """readings: by device, (monotonic time [s], reading); health: of the supervisor."""

    def __init__(self, devices, folder, retry_s):
        self.readings = {name: [] for name in devices}
        adapters = open_all(devices, time.time_ns, folder)
        self.supervisor = Supervisor(adapters, self._read, dict.fromkeys(devices, retry_s))
        self.health = self.supervisor.health

    def _read(self, name, reading):
        self.readings[name].append((time.monotonic(), reading))

    def values(self, name, tag):
        """Of each row in order: the value, None where it is bad."""
        return [row.value for _, reading in self.readings[name] for row in reading.rows if row.tag == tag]

    def confirmed(self, name, since_s=0.0):
        """How many readings since then confirmed something."""
        return sum(bool(reading.confirmed) for at_s, reading in self.readings[name] if at_s >= since_s)

    async def until(self, condition):
        await until(condition, what=lambda: {name: item.error for name, item in self.health.items()})

    async def more(self, name, count=3):
        """Waits for further good readings; how long the first of them took [s]."""
        began_s = time.monotonic()
        await self.until(lambda: self.confirmed(name, began_s) >= count)
        return next(at_s for at_s, reading in self.readings[name] if at_s >= began_s and reading.confirmed) - began_s


@asynccontextmanager
async def driven(devices, folder, retry_s=0.1):
    found = Round(devices, folder, retry_s)
    task = asyncio.create_task(found.supervisor.run())
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def said(caplog, name):
    """What was logged about a device, without reasons."""
    lines = [record.getMessage() for record in caplog.records if record.name == "nhip.devices"]
    return [line.split(":")[0] for line in lines if f"device={name} " in f"{line} "]


def listen(caplog):
    caplog.set_level(logging.INFO, logger="nhip.devices")


LOST_AND_BACK = ["device lost", "device back"]


def open_devices(devices, now_ns):
    """The adapters of devices of one kind."""
    (name,) = {device.kind for device in devices.values()}
    return kind(name).open_devices(devices, now_ns)


def open_device(device, now_ns):
    return open_devices({"": device}, now_ns)[""]
