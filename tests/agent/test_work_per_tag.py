"""What a polled tag costs an agent, counted and not timed: calls, wake-ups and tasks for a reading of a hundred tags.

A real socket, a real adapter, the supervisor, freshness and the recorder; the PLC answers from another thread, which is
not counted.
"""

import asyncio
import socket
import struct
import threading
import time
from contextlib import contextmanager

from servers import PATIENCE_S
from work_counted import calls_counted

from adapters.kinds import kind
from adapters.modbus.model import ModbusTcpDevice
from agent.devices.freshness import Freshness
from agent.devices.recorder import Recorder, RecordingRule
from agent.devices.supervisor import Supervisor

TAGS = 100
READINGS = 40
HEAD = struct.Struct(">HHHBBHH")


@contextmanager
def counting_plc():
    """A PLC of which every register changes with every request; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_serve, args=(listening,), daemon=True).start()
        yield listening.getsockname()[1]


def _serve(listening):
    peer, _ = listening.accept()
    with peer:
        number = 0
        while len(asked := peer.recv(HEAD.size, socket.MSG_WAITALL)) == HEAD.size:
            number += 1
            transaction, _, _, unit, function, _, count = HEAD.unpack(asked)
            values = struct.pack(f">{count}H", *((number + place) % 65_536 for place in range(count)))
            peer.sendall(struct.pack(">HHHBBB", transaction, 0, len(values) + 3, unit, function, len(values)) + values)


async def test_a_reading_of_a_hundred_changed_tags():
    names = [f"t{place}" for place in range(TAGS)]
    freshness = Freshness({"plc": dict.fromkeys(names, 60.0)})
    recorder = Recorder({f"plc.{name}": RecordingRule() for name in names})
    loop, tasks, readings, ended = asyncio.get_running_loop(), [], 0, asyncio.Event()
    counting = None

    def took(device, reading):
        nonlocal readings, counting
        recorder.feed(freshness.fed(device, reading))
        recorder.confirmed(device, reading)
        readings += 1
        if readings == 5:
            counting = calls_counted()
            took.found = counting.__enter__()
            tasks.clear()
        elif readings == 5 + READINGS:
            counting.__exit__(None, None, None)
            took.tasks = len(tasks)
            ended.set()

    def make_task(loop, coroutine, **more):
        tasks.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **more)

    with counting_plc() as port:
        tags = {name: {"holding": place} for place, name in enumerate(names)}
        given = {"kind": "modbus_tcp", "host": "127.0.0.1", "port": port, "every": "100ms", "tags": tags}
        device = ModbusTcpDevice.model_validate(given)
        adapters = kind("modbus_tcp").open_devices({"plc": device}, time.monotonic_ns)
        driving = asyncio.create_task(Supervisor(adapters, took).run())
        loop.set_task_factory(make_task)
        try:
            await asyncio.wait_for(ended.wait(), PATIENCE_S)
        finally:
            loop.set_task_factory(None)
            driving.cancel()
            await asyncio.gather(driving, return_exceptions=True)
    assert recorder.recorded >= READINGS * TAGS
    calls, wakes = took.found.total() / (READINGS * TAGS), took.found["_run_once"] / READINGS
    assert took.tasks == 0, "no task is made for a request"
    assert calls < 17, "calls for a tag that was read and recorded"
    assert wakes < 5, "wake-ups for a reading"
