"""OPC UA servers as child processes, which can be killed, stopped and told what to hold; and reading them."""

import asyncio
import atexit
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from asyncua.crypto import cert_gen
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from servers import PATIENCE_S, free_port, until

from adapters.contract import NotConnected
from adapters.opcua.model import OpcUaDevice

SERVER = Path(__file__).with_name("opcua_server.py")
NODE_SERVER = Path(__file__).with_name("nodeopcua_server.js")
STANDARDS_SERVER = Path(__file__).with_name("nodeopcua_standards.js")
NODE_SCRIPT = Path(__file__).parents[2] / "scripts" / "nodeopcua"
NAMES = ("count", "running", "temperature", "recipe")


@functools.cache
def _servers():
    """The socket of the process that becomes a server (see opcua_server.py); it ends with this one."""
    folder = tempfile.TemporaryDirectory(prefix="nhip-opcua-")
    atexit.register(folder.cleanup)
    path = f"{folder.name}/servers"
    process = subprocess.Popen([sys.executable, SERVER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(process.stdin.close)
    assert process.stdout.readline() == b"up\n"
    return path


class Server:
    """The process. end() kills it whatever its state."""

    def __init__(self, port):
        self.port, self._pid = port, 0

    async def start(self, *, namespaces=0, clock_s=0.0, certificates="", refusing=""):
        self._read, self._write = await asyncio.open_unix_connection(_servers())
        self._write.write(json.dumps([self.port, namespaces, clock_s, certificates, refusing]).encode() + b"\n")
        self._pid = int(await self._read.readline())
        assert (await self._read.readline()).startswith(b"up")

    async def set(self, line):
        self._write.write(f"{line}\n".encode())
        assert await self._read.readline() == b"done\n"

    def stop(self):
        os.kill(self._pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self._pid, signal.SIGCONT)

    async def end(self):
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._write.close()
            await until(lambda: not Path(f"/proc/{self._pid}").exists())
            self._pid = 0


class NodeServer:
    """node-opcua, which takes seconds to start and is therefore shared by tests, whatever their event loop.

    folder: for its certificates, kept over restarts; script, options: nodeopcua_server.js and what it says.
    """

    def __init__(self, port, folder, script=NODE_SERVER, **options):
        self.port, self.folder, self.options, self.process = port, folder, options, None
        self.script = script

    def start(self):
        self.process = subprocess.Popen(
            ["node", self.script, str(self.port), self.folder, json.dumps(self.options)],
            env=os.environ | {"NODE_PATH": str(node_modules())}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._until("up")

    def _until(self, word):
        """It says other things too."""
        while (line := self.process.stdout.readline().strip()) != word:
            assert line or self.process.poll() is None, "node-opcua ended"

    def do(self, line):
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        self._until("done")

    def set(self, line):
        self.do(f"set {line}")

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def node_modules():
    """Where scripts/nodeopcua has put them."""
    cache = Path(os.environ.get("NHIP_CACHE") or Path.home() / ".cache" / "nhip")
    (version,) = re.findall(r"^version=(\S+)$", NODE_SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)
    return cache / f"node-opcua-{version}" / "node_modules"


def has_node_opcua():
    return bool(shutil.which("node")) and (node_modules().parent / ".done").exists()


@asynccontextmanager
async def running(**how):
    server = Server(free_port())
    await server.start(**how)
    try:
        yield server
    finally:
        await server.end()


@contextmanager
def node_running(folder, **options):
    server = NodeServer(free_port(), folder, **options)
    try:
        server.start()
        yield server
    finally:
        server.end()


def device(port, more_tags=None, **changes):
    nodes = {name: {"node": f"nsu=urn:nhip:test;s={name}"} for name in NAMES} | (more_tags or {})
    given = {"kind": "opcua", "url": f"opc.tcp://127.0.0.1:{port}/", "every": "50ms", "timeout": "5s", "tags": nodes}
    return OpcUaDevice.model_validate(given | changes)


def make_server_certificate(folder):
    """For `Server.start`."""
    key = cert_gen.generate_private_key()
    names = [x509.UniformResourceIdentifier("urn:nhip:test:server"), x509.DNSName("localhost")]
    made = cert_gen.generate_self_signed_app_certificate(
        key, "server", {}, names, [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH], 30
    )
    (folder / "server.pem").write_bytes(cert_gen.dump_private_key_as_pem(key))
    (folder / "server.der").write_bytes(made.public_bytes(Encoding.DER))


async def gathered(adapter, names, within_s=PATIENCE_S):
    """Rows by tag, read until each of `names` has one."""
    rows, until_s = {}, time.monotonic() + within_s
    while not set(names) <= set(rows):
        assert time.monotonic() < until_s, f"only {sorted(rows)} of {sorted(names)} came"
        await asyncio.sleep(0.03)
        reading = await adapter.read()
        for row in reading.rows:
            assert row.tag not in rows or row.t_ns > rows[row.tag][-1].t_ns
            assert row.t_ns <= time.time_ns()
            rows.setdefault(row.tag, []).append(row)
    return rows


async def until_value(adapter, name, value, within_s=PATIENCE_S):
    """The row that brings it."""
    until_s = time.monotonic() + within_s
    while True:
        for row in (await gathered(adapter, [name], until_s - time.monotonic()))[name]:
            if row.value == value:
                return row


async def confirmed(adapter, within_s=PATIENCE_S):
    """The time up to which values are confirmed, once that is later than this call: nothing is dated before it [ns]."""
    now_ns, until_s = time.time_ns(), time.monotonic() + within_s
    while (t_ns := (await adapter.read()).t_ns) <= now_ns:
        assert time.monotonic() < until_s, "nothing heard of the server"
        await asyncio.sleep(0.03)
    return t_ns


async def until_off(adapter, least_s, within_s=PATIENCE_S):
    """Until the device's clock is reported to be behind by more than this [s]."""
    until_s = time.monotonic() + within_s
    while ((await adapter.read()).clock_off_ns or 0) / 1e9 <= least_s:
        assert time.monotonic() < until_s, "the clock is not reported"
        await asyncio.sleep(0.03)


async def until_lost(adapter):
    began = time.monotonic()
    with pytest.raises(NotConnected) as caught:
        while time.monotonic() - began < PATIENCE_S:
            await asyncio.sleep(0.05)
            await adapter.read()
    return caught.value
