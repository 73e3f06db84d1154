"""A serial line for tests: two pseudo-terminals joined by socat, and units on its far end that misbehave on demand."""

import asyncio
import os
import struct
import subprocess
import time
import tty
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from servers import eventually

from adapters.modbus.bus.frames_rtu import crc, with_crc


@contextmanager
def serial_line(folder):
    """Paths of the two ends."""
    near, far = str(folder / "near"), str(folder / "far")
    process = subprocess.Popen(["socat", f"pty,raw,echo=0,link={near}", f"pty,raw,echo=0,link={far}"])
    try:
        eventually(lambda: os.path.exists(near) and os.path.exists(far), what="socat's line")  # noqa: PTH110
        yield near, far
    finally:
        process.kill()
        process.wait()


@contextmanager
def converter(near):
    """A converter on the network for that end of a line; its port."""
    command = ["socat", "-d", "-d", "-t0", "tcp-listen:0,bind=127.0.0.1,reuseaddr,fork", f"{near},raw,echo=0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        try:
            while b"listening" not in (said := process.stderr.readline()):
                assert said, "socat ended"
            yield int(said.rsplit(b":", 1)[1])
        finally:
            process.kill()


@contextmanager
def libmodbus_unit(far, folder):
    """A unit of another make, compiled here; far: a serial port, or a TCP port of this machine."""
    program = str(folder / "server")
    source = str(Path(__file__).with_name("libmodbus_server.c"))
    subprocess.run(["cc", source, "-o", program, "-I/usr/include/modbus", "-lmodbus"], check=True)
    with subprocess.Popen([program, str(far)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"up\n"
            yield
        finally:
            process.kill()


@contextmanager
def other_master(far, unit):
    """mbpoll, asking a unit that is not there, so that only questions are heard."""
    command = ["mbpoll", "-m", "rtu", "-a", str(unit), "-b", "19200", "-P", "none", "-o", "0.1", "-l", "100", far]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


@dataclass
class Units:
    """Holding register n of unit u holds 100 u + n, changed by `registers[(u, n)]`.

    dead: units that never answer; late: units whose next answer waits in `kept` for `say_late`; garble: unit to what
    becomes of its answers; trailing: sent after each answer; echo: whether the line hears itself. asked: (time, unit,
    start, count).
    """

    path: str
    dead: set = field(default_factory=set)
    late: set = field(default_factory=set)
    kept: list = field(default_factory=list)
    garble: dict = field(default_factory=dict)
    registers: dict = field(default_factory=dict)
    trailing: bytes = b""
    echo: bool = False
    asked: list = field(default_factory=list)
    functions: set = field(default_factory=set)
    fd: int = -1
    _buffer: bytes = b""

    def say(self, data):
        os.write(self.fd, data)

    def readable(self):
        data = os.read(self.fd, 4096)
        if self.echo:
            self.say(data)
        self._buffer += data
        while len(self._buffer) >= 8:
            question, self._buffer = self._buffer[:8], self._buffer[8:]
            assert crc(question) == 0, question.hex(" ")
            self.answer(question)

    def answer(self, question):
        unit, function, start, count = struct.unpack(">BBHH", question[:6])
        self.asked.append((time.monotonic(), unit, start, count))
        self.functions.add(function)
        if unit in self.dead:
            return
        values = [self.registers.get((unit, at), 100 * unit + at) for at in range(start, start + count)]
        answer = with_crc(struct.pack(">BBB", unit, function, 2 * count) + struct.pack(f">{count}H", *values))
        answer = self.garble.get(unit, lambda frame: frame)(answer) + self.trailing
        if unit in self.late:
            self.late.discard(unit)
            self.kept.append(answer)
        else:
            self.say(answer)

    def say_late(self):
        """The answers kept back, now."""
        while self.kept:
            self.say(self.kept.pop(0))

    def questions(self, unit):
        return [entry for entry in self.asked if entry[1] == unit]


@asynccontextmanager
async def units(path, **settings):
    """Units that listen on the far end."""
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(fd)
    found = Units(path, fd=fd, **settings)
    loop = asyncio.get_running_loop()
    loop.add_reader(fd, found.readable)
    try:
        yield found
    finally:
        loop.remove_reader(fd)
        os.close(fd)
