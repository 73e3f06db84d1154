"""Every part of the agent's end is bounded, whatever a library, a device or a disk does meanwhile."""

import asyncio
import contextlib
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from servers import PATIENCE_S, until
from test_corrections import LATE, Gateway, fresh
from test_run import agent, ended

from adapters.contract import NotConnected, Reading
from agent.devices import supervisor
from agent.devices.supervisor import Supervisor
from agent.outbox.journal import past
from oee.model.facts import HOUR_NS

ROOT = Path(__file__).parents[2]
OPCUA = """
site: test
gateway: main
timezone: Asia/Ho_Chi_Minh
name: {{vi: Xưởng thử, en: Test shop}}
devices:
  plc:
    kind: opcua
    url: "opc.tcp://127.0.0.1:{port}"
    every: 500ms
    timeout: 1s
    retry_every: 200ms
    tags:
      run: {{node: "ns=2;s=run"}}
machines:
  m-1:
    state: [{{when: "plc.run", is: running}}, {{is: unplanned_stop}}]
    product: "1"
products: {{"1": {{ideal: 2s}}}}
shifts: [{{name: A, days: daily, from: "06:00", to: "14:00"}}]
"""


class Swallowing:
    """What a library does that cancels a task of its own, awaits it, and takes every cancellation for that task's."""

    period_s = 0.01

    def __init__(self):
        self.closing = asyncio.Event()

    async def connect(self):
        raise NotConnected("flapping")

    async def read(self):
        return Reading(0, (), ())

    async def close(self):
        own = asyncio.create_task(asyncio.sleep(0.2))
        self.closing.set()
        with contextlib.suppress(asyncio.CancelledError):
            await own


async def test_a_cancellation_that_a_library_swallows_ends_the_devices_all_the_same():
    adapter = Swallowing()
    running = asyncio.create_task(Supervisor({"plc": adapter}, lambda *_: None, {"plc": 0.01}).run())
    await asyncio.wait_for(adapter.closing.wait(), PATIENCE_S)
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=PATIENCE_S)
    assert done


class Stuck(Swallowing):
    released = False

    async def close(self):
        self.closing.set()
        while not self.released:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.1)


async def test_a_device_that_never_closes_is_left_behind(monkeypatch, caplog):
    for name, value in (("CLOSE_S", 0.2), ("END_S", 1.0)):
        monkeypatch.setattr(supervisor, name, value)
    adapter = Stuck()
    running = asyncio.create_task(Supervisor({"plc": adapter}, lambda *_: None).run())
    await asyncio.wait_for(adapter.closing.wait(), PATIENCE_S)
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=PATIENCE_S)
    assert done
    assert "devices do not end: device plc" in caplog.text
    adapter.released = True


class Flapping:
    """A server that accepts and hangs, closes or resets, by turns."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.connects, self._ended = 0, threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        dice = random.Random(1)
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self.connects += 1
                threading.Thread(target=self._serve, args=(connection, dice.random()), daemon=True).start()

    def _serve(self, connection, chance):
        with contextlib.suppress(OSError), connection:
            connection.recv(4096)
            if chance < 0.5:  # an ACK message as OPC UA wants it, and then silence
                connection.sendall(b"ACKF" + struct.pack("<6I", 28, 0, 65535, 65535, 0, 0))
            if chance < 0.7:
                self._ended.wait(3 * chance)
            if chance > 0.8:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self):
        self._ended.set()
        self._socket.close()


async def test_an_agent_ends_while_its_opcua_server_flaps(tmp_path):
    server, dice = Flapping(), random.Random(2)
    site = tmp_path / "site.yaml"
    site.write_text(OPCUA.format(port=server.port), encoding="utf-8")
    for _ in range(3):
        connects = server.connects
        async with agent(tmp_path, site) as process:
            await until(lambda before=connects: server.connects > before)
            await asyncio.sleep(dice.uniform(0, 1))  # anywhere between two tries
            began_s = time.monotonic()
            await ended(process, signal.SIGINT)
            assert process.returncode == 0, (tmp_path / "agent.log").read_text()[-3000:]
            assert time.monotonic() - began_s < 25
    server.close()


async def test_a_correction_that_computes_is_left_to_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setattr(past, "BLOCK_NS", HOUR_NS)  # some of them are in these hours
    path = tmp_path / "outbox.db"
    gateway = Gateway(path)
    await gateway.go(9300)
    gateway.say(LATE[0])
    gateway.corrections.interrupt()
    await gateway.corrections.run_pending()
    assert gateway.outcome(LATE[0]) == {}
    gateway.corrections.corrector.interrupted = False
    gateway.corrections.corrector._progress = lambda *_: gateway.corrections.interrupt()  # once it has begun
    await gateway.corrections.run_pending()
    assert gateway.outcome(LATE[0]) == {}
    await gateway.close()
    again = Gateway(path)
    await again.corrections.run_pending()
    assert again.outcome(LATE[0]) == {LATE[0].id: ""}
    await again.go(9300)
    assert await again.committer.commit(final=True)
    assert again.told() == fresh(9300, LATE[:1])
    await again.close()


SERVICE = """
import asyncio, contextlib, logging, sys, time
from cli.signals import run_until_signal
logging.basicConfig()

async def swallows():
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

async def service(stop):
    if sys.argv[1] == "left":
        asyncio.create_task(swallows(), name="of a library")
    print("ready", flush=True)
    await stop.wait()
    if sys.argv[1] == "hangs":
        await asyncio.to_thread(time.sleep, 3600)

run_until_signal(service, within_s=float(sys.argv[2]))
"""


@pytest.mark.parametrize(
    ("what", "within_s", "status", "said"),
    [("left", 60, 0, "tasks do not end: of a library"), ("hangs", 1, 1, "ended by force")],
)
def test_a_process_ends_whatever_hangs(what, within_s, status, said):
    command = [sys.executable, "-c", SERVICE, what, str(within_s)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGINT)
    _, words = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == status, words
    assert said in words
    assert ("time.sleep" in words or "to_thread" in words or "in run" in words) or what == "left", words
