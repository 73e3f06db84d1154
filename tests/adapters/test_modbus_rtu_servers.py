"""The Modbus RTU adapter against slaves of several makes, over pseudo-terminals: the same promises with each, and a record of
every byte that was sent to them.
"""

import asyncio
import os
import pty
import struct
import subprocess
import sys
import threading
import time
import tty
from contextlib import contextmanager

import pytest
from rounds import LOST_AND_BACK, driven, listen, open_device, open_devices, said
from test_modbus_servers import CODES, FAILS_AT, HOLDING, INPUT, OTHER, PEERS, TYPED_TAGS, TYPED_VALUES, UNIT, values

from adapters.modbus.bus.frames_rtu import crc
from adapters.modbus.model import ModbusRtuDevice
from adapters.modbus.service import reader
from adapters.modbus.service.diagnose import diagnose_line
from oee.model.states import Quality

MAKES = ("pymodbus", "modbus-tk", "uModbus")
REFUSED = {FAILS_AT + 10 * code: code for code in CODES if code != 2}


class Line:
    """A line of two pseudo-terminals: near is ours, far is a slave's; sent: what passed to it. It stays when a slave ends."""

    def __init__(self):
        self.sent = bytearray()
        (self._near, self._ours), (self._far, self._theirs) = pty.openpty(), pty.openpty()
        for end in (self._ours, self._theirs):
            tty.setraw(end)
        self.near, self.far = os.ttyname(self._ours), os.ttyname(self._theirs)
        for source, target, kept in ((self._near, self._far, self.sent), (self._far, self._near, bytearray())):
            threading.Thread(target=_pass_on, args=(source, target, kept), daemon=True).start()

    def close(self):
        for end in (self._ours, self._theirs):
            os.close(end)


def _pass_on(source, target, kept):
    try:
        while data := os.read(source, 4096):
            kept += data
            os.write(target, data)
    except OSError:
        pass


class Slave:
    """The child process of one make."""

    def __init__(self, make, line, folder):
        self.line, self.process = line, None
        cells = {(UNIT, "holding"): HOLDING | dict.fromkeys(REFUSED, 0), (UNIT, "input"): INPUT, (UNIT, "fails"): REFUSED,
                 **{(unit, table): dict.fromkeys(range(64), 1) for unit in (UNIT, OTHER) for table in ("coil", "discrete")},
                 **{(OTHER, table): {0: 7} for table in ("holding", "input")}}  # fmt: skip
        lines = [f"{unit} {table} {at} {value}" for (unit, table), held in cells.items() for at, value in held.items()]
        (folder / "cells").write_text("\n".join(lines) + "\n")
        self._command = [sys.executable, PEERS / "modbus_makes.py", make, line.far, folder / "cells"]

    def start(self):
        self.process = subprocess.Popen(
            self._command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.process.stdout.readline().strip() == "up", "the slave ended"

    def end(self):
        self.process.kill()
        self.process.wait()


@contextmanager
def slave_of(make, folder):
    line = Line()
    found = Slave(make, line, folder)
    found.start()
    try:
        yield found
    finally:
        found.end()
        line.close()


@pytest.fixture(scope="module", params=MAKES)
def slave(request, tmp_path_factory):
    with slave_of(request.param, tmp_path_factory.mktemp("slave")) as found:
        yield found
        questions = [bytes(found.line.sent[at : at + 8]) for at in range(0, len(found.line.sent), 8)]
    assert {crc(question) for question in questions} <= {0}
    assert {question[1] for question in questions} <= {1, 2, 3, 4}, "nothing but reads in everything above"


def device(slave, tags, unit=UNIT, **changes):
    given = {"kind": "modbus_rtu", "port": slave.line.near, "baud": 19200, "parity": "none", "unit": unit, "every": "50ms",
             "timeout": "20s", "listen": "0s", "tags": tags}  # fmt: skip
    return ModbusRtuDevice.model_validate(given | changes)


async def read(asked):
    adapter = open_device(asked, time.time_ns)
    await adapter.connect()
    try:
        return await adapter.read()
    finally:
        await adapter.close()


async def test_every_type_in_every_order_and_every_table(slave):
    tags = TYPED_TAGS | {"i": {"input": 3}, "c": {"coil": 63}, "d": {"discrete": 0}}
    reading = await read(device(slave, tags))
    expected = TYPED_VALUES | {"i": 1003, "c": True, "d": True}
    assert values(reading) == {
        name: pytest.approx(value) if isinstance(value, float) else value for name, value in expected.items()
    }
    assert {row.quality for row in reading.rows} == {Quality.GOOD}


async def test_a_whole_frame_of_registers(slave):
    tags = {f"r{at}": {"holding": at} for at in (0, 16, 32, 48, 64, 80, 96, 112, 124)}
    began = len(slave.line.sent)
    reading = await read(device(slave, tags))
    assert values(reading) == {f"r{at}": HOLDING[at] for at in (0, 16, 32, 48, 64, 80, 96, 112, 124)}
    assert bytes(slave.line.sent[began + 1 : began + 6]) == struct.pack(">BHH", 3, 0, 125)
    assert len(slave.line.sent) - began == 8


async def test_units_of_one_process(slave):
    ours = {"a": device(slave, {"n": {"holding": 0}}), "b": device(slave, {"n": {"holding": 0}}, OTHER)}
    adapters = open_devices(ours, time.time_ns)
    for adapter in adapters.values():
        await adapter.connect()
    found = []
    for _ in range(3):
        found.append({name: values(await adapter.read()) for name, adapter in adapters.items()})
        await asyncio.sleep(0.05)
    assert found == [{"a": {"n": 0}, "b": {"n": 7}}] + 2 * [{"a": {}, "b": {}}], "changes only"
    for adapter in adapters.values():
        await adapter.close()


async def test_exceptions_are_told_rightly(slave, monkeypatch):
    monkeypatch.setattr(reader, "BUSY_TRIES", 1)
    found = {}
    for code in CODES:
        asked = device(slave, {"n": {"holding": 3000 if code == 2 else FAILS_AT + 10 * code}})
        found[code] = (await diagnose_line({"d": asked}, {"d": ["n"]}))["d"]["n"].code
    assert found == CODES


async def test_it_is_killed_and_comes_back(slave, tmp_path, caplog):
    listen(caplog)
    async with driven({"plc": device(slave, {"n": {"holding": 9}}, timeout="5s")}, tmp_path) as round_:
        await round_.more("plc")
        slave.end()
        await round_.until(lambda: round_.health["plc"].condition == "lost")
        assert round_.health["plc"].fault.code == "slave_silent", "it had answered on this line before"
        await asyncio.to_thread(slave.start)
        await round_.more("plc")
    assert said(caplog, "plc") == LOST_AND_BACK
    assert round_.values("plc", "n")[-1] == 9
