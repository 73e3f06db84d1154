"""Plants with one fault each, for `test_check_advice.py`: a plant opens real servers and yields the site's settings."""

import asyncio
import os
import pty
import socket
import ssl
import struct
import subprocess
import sys
import termios
import threading
import tty
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from servers import built, eventually, free_port
from tools_plant import converter, in_background, libmodbus_unit, make_server_certificate, modbus, running, serial_line

sys.path.append(str(Path(__file__).parents[1]))

from certificates import Authority
from rtu_lines import Units, other_master, units

NODES = {"count": {"node": "nsu=urn:nhip:test;s=count"}}
SHORT, LONG = "250ms", "20s"
"""Timeouts where something stays silent, and where nothing does."""


def site_of(devices, **more):
    shifts = [{"name": "A", "days": "daily", "from": "00:00", "to": "24:00"}]
    return {"site": "x", "timezone": "Asia/Ho_Chi_Minh", "devices": devices, "shifts": shifts, **more}


def tcp_device(port, **settings):
    tags = {"near": {"holding": 5}, "far": {"holding": 300}}
    given = {"kind": "modbus_tcp", "host": "127.0.0.1", "port": port, "unit": 3, "every": "50ms", "timeout": LONG,
             "listen": "0s", "tags": tags}  # fmt: skip
    return given | settings


def device(faults=None, /, **settings):
    """A Modbus device with faults of `FaultyModbus`; settings: of the site file."""

    @contextmanager
    def plant(_folder):
        with modbus(**(faults or {})) as server:
            framing = "rtu" if server.rtu else "tcp"
            yield site_of({"plc": tcp_device(server.port, framing=framing, **settings)})

    return plant


def closed(**settings):
    @contextmanager
    def plant(_folder):
        yield site_of({"plc": tcp_device(free_port(), **settings)})

    return plant


def two_units(**settings):
    """One of two units behind one socket does not answer."""

    @contextmanager
    def plant(_folder):
        with modbus(dead_units={3}) as server:
            dead, alive = tcp_device(server.port, timeout=SHORT, **settings), tcp_device(server.port, unit=1)
            yield site_of({"other": alive, "plc": dead})

    return plant


def all_clients_taken():
    """It closes what comes beside its one client."""

    @contextmanager
    def plant(_folder):
        with modbus(most_clients=1) as server, socket.create_connection(("127.0.0.1", server.port)):
            eventually(lambda: server.open_now == 1, what="its client")
            yield site_of({"plc": tcp_device(server.port)})

    return plant


def service(opened, **settings):
    """Another service than Modbus at the port; opened: gives the port."""

    @contextmanager
    def plant(folder):
        with opened(folder) as port:
            yield site_of({"plc": tcp_device(port, timeout=SHORT, **settings)})

    return plant


@contextmanager
def http(_folder):
    """A web page."""

    async def page(_scope, _receive, _send):
        raise AssertionError("nobody asks for it")

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(page, port=port, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started, what="uvicorn")
        yield port
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def tls(folder):
    """OpenSSL's own server."""
    certificate, key = Authority(folder).issue("server")
    port = free_port()
    command = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-key", key, "-quiet"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            context = ssl.create_default_context(cafile=folder / "ca.pem")
            eventually(lambda: _shakes_hands(port, context), what="openssl")
            yield port
        finally:
            process.kill()


def _shakes_hands(port, context):
    try:
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1"),
        ):
            return True
    except OSError:
        return False


@contextmanager
def ssh(_folder):
    """The line with which an SSH server begins."""

    async def greet(_reader, writer):
        writer.write(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")

    @asynccontextmanager
    async def listening():
        async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]

    with in_background(listening()) as port:
        yield port


@contextmanager
def mute(_folder):
    """Accepts and says nothing."""

    @asynccontextmanager
    async def listening():
        async with await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]

    with in_background(listening()) as port:
        yield port


@contextmanager
def transparent_converter(folder):
    """A slave of another make behind a converter that passes bytes on: what is no RTU frame it ignores."""
    with serial_line(folder) as (near, far), libmodbus_unit(far, folder), converter(near) as port:
        yield port


def counter(order, tag, *, at=100):
    """A 32-bit counter that moves, held in this order of bytes; tag: how the site file reads it, as a machine's total."""

    @contextmanager
    def plant(_folder):
        with modbus() as server:
            held, made = server.values, iter(range(1, 100_000))

            def counting(function, start, count):
                whole = struct.pack(">I", 5 + next(made))
                words = struct.unpack(">2H", bytes(whole["ABCD".index(byte)] for byte in order))
                server.registers |= {at: words[0], at + 1: words[1], at + 2: 0, at - 1: 0}
                return held(function, start, count)

            server.values = counting
            machine = {"state": {"from_counts": {"ideals": 2.5, "at_least": "30s"}}, "product": "operator",
                       "pieces": {"total": "plc.n", "reject": "operator"}}  # fmt: skip
            yield site_of({"plc": tcp_device(server.port, tags={"n": tag})}, machines={"m-1": machine})

    return plant


def held(registers, tag):
    """Registers that stand still, read as one tag."""
    return device({"registers": registers}, tags={"n": tag})


def serial_device(port, **settings):
    given = {"kind": "modbus_rtu", "port": port, "baud": 19200, "parity": "none", "unit": 3, "every": "50ms", "timeout": SHORT,
             "listen": "0s", "tags": {"near": {"holding": 5}, "far": {"holding": 300}}}  # fmt: skip
    return given | settings


def slaves(faults=None, /, units_asked=(3,), **settings):
    """Slaves on a serial line, with faults of `Units`. The one asked first is told of."""

    @contextmanager
    def plant(folder):
        with serial_line(folder) as (near, far), in_background(units(far, **(faults or {}))):
            named = {f"plc{number}" if number else "plc": unit for number, unit in enumerate(units_asked)}
            given, dead = faults or {}, (faults or {}).get("dead", ())
            # after what is no answer we are silent for a timeout
            timeouts = {unit: SHORT if unit in dead else "2s" if given.get("garble") else LONG for unit in units_asked}
            found = {
                name: serial_device(near, unit=unit, **({"timeout": timeouts[unit]} | settings))
                for name, unit in named.items()
            }
            yield site_of(dict(reversed(found.items())))

    return plant


class Uart(Units):
    """Slaves that hear what is sent at their own speed only. A pseudo-terminal keeps the speed that is set at its other end."""

    speed = termios.B19200

    def readable(self):
        if termios.tcgetattr(self.fd)[4] == self.speed:
            super().readable()
        else:
            os.read(self.fd, 4096)


def at_19200(**settings):
    @asynccontextmanager
    async def opened():
        master, slave = pty.openpty()
        tty.setraw(slave)
        found = Uart(os.ttyname(slave), fd=master)
        loop = asyncio.get_running_loop()
        loop.add_reader(master, found.readable)
        try:
            yield found
        finally:
            loop.remove_reader(master)
            os.close(master)
            os.close(slave)

    @contextmanager
    def plant(_folder):
        with in_background(opened()) as found:
            yield site_of({"plc": serial_device(found.path, **settings)})

    return plant


def another_master():
    @contextmanager
    def plant(folder):
        with serial_line(folder) as (near, far), other_master(far, 9):
            yield site_of({"plc": serial_device(near, listen="10s")})

    return plant


def noise():
    """Somebody who talks without end in no Modbus at this speed."""

    @asynccontextmanager
    async def talking(far):
        async with units(far) as found:

            async def talk():
                while True:
                    found.say(bytes(range(32)))
                    await asyncio.sleep(0.05)

            task = asyncio.create_task(talk())
            try:
                yield
            finally:
                task.cancel()

    @contextmanager
    def plant(folder):
        with serial_line(folder) as (near, far), in_background(talking(far)):
            yield site_of({"plc": serial_device(near, listen="10s")})

    return plant


def port_in_use():
    @contextmanager
    def plant(folder):
        import serial

        with serial_line(folder) as (near, _far), serial.Serial(near, exclusive=True):
            yield site_of({"plc": serial_device(near)})

    return plant


def no_port(**settings):
    @contextmanager
    def plant(folder):
        yield site_of({"plc": serial_device(str(folder / "nowhere"), **settings)})

    return plant


def opcua(tags=None, /, how=None, more=None, **settings):
    """asyncua's server; how: it is started; more: of the site file."""

    @contextmanager
    def plant(folder):
        with ExitStack() as opened:
            options = dict(how or {})
            if options.pop("secured", False):
                make_server_certificate(folder)
                (folder / "trusted").mkdir()
                options["certificates"] = str(folder)
            replaced, no_key = options.pop("replaced", False), options.pop("no_key", False)
            if replaced:
                (folder / "site.certificates").mkdir()
                (folder / "site.certificates" / "plc.server.der").write_bytes((folder / "server.der").read_bytes())
                make_server_certificate(folder)
            if no_key:
                (folder / "site.certificates").mkdir()
                (folder / "site.certificates" / "urn-nhip-agent.der").write_bytes((folder / "server.der").read_bytes())
            server = opened.enter_context(in_background(running(**options)))
            if "password" in settings:
                (folder / "password").write_text(settings["password"])
            login = {"password_file": str(folder / "password")} if "password" in settings else {}
            given = {name: value for name, value in settings.items() if name != "password"}
            yield site_of({"plc": opcua_device(server.port, tags, **login, **given)}, **(more or {}))

    return plant


def opcua_device(port, tags=None, **settings):
    given = {
        "kind": "opcua",
        "url": f"opc.tcp://127.0.0.1:{port}/",
        "every": "50ms",
        "timeout": LONG,
        "tags": tags or NODES,
    }
    return given | settings


def opcua_at(opened, **settings):
    """An OPC UA device at the port of something else."""

    @contextmanager
    def plant(folder):
        with opened(folder) as port:
            yield site_of({"plc": opcua_device(port, **settings)})

    return plant


def states(when):
    """A machine whose state compares a tag."""
    machine = {"state": [{"when": when, "is": "running"}, {"is": "unplanned_stop"}], "product": "operator"}
    return {"machines": {"m-1": machine}}


@contextmanager
def nowhere(_folder):
    """Nobody listens there."""
    yield free_port()


def modbus_tcp_server(**settings):
    """pymodbus's."""

    @asynccontextmanager
    async def serving():
        block = SimData(0, values=list(range(400)), datatype=DataType.REGISTERS)
        server = ModbusTcpServer(SimDevice(3, simdata=[block]), address=("127.0.0.1", 0))
        await server.serve_forever(background=True)
        try:
            yield server.transport.sockets[0].getsockname()[1]
        finally:
            await server.shutdown()

    @contextmanager
    def plant(_folder):
        with in_background(serving()) as port:
            yield site_of({"plc": tcp_device(port, **settings)})

    return plant


_GO = Path(__file__).parents[1] / "adapters" / "opcua_peers" / "gopcua"
GOPCUA = built("gopcua", _GO, "main.go", "go.mod")


def gopcua_by_name():
    """gopcua lists its endpoints for the address as it writes it only; here it is asked by name."""

    @contextmanager
    def plant(folder):
        port = free_port()
        with subprocess.Popen([GOPCUA, str(port), folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                while not (line := process.stdout.readline()).startswith(b"up"):
                    assert line, "gopcua ended"
                given = {"url": f"opc.tcp://localhost:{port}/", "security": "Basic256Sha256/SignAndEncrypt"}
                yield site_of({"plc": opcua_device(port, **given)})
            finally:
                process.kill()

    return plant
