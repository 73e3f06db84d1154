"""The Modbus TCP adapter against servers of several makes: the same promises with each, over real sockets, and a record of
everything that was sent to them.
"""

import asyncio
import os
import shutil
import struct
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from recording import modbus_functions, recording
from rounds import LOST_AND_BACK, driven, listen, open_device, open_devices, said
from servers import built, free_port, until

from adapters.contract import NotConnected
from adapters.modbus.model import ModbusTcpDevice
from adapters.modbus.service import reader
from adapters.modbus.service.diagnose import diagnose_line
from adapters.modbus.service.reader import RateLimit
from adapters.modbus.service.scan import ScanPlan, scan
from oee.model.states import Quality

PEERS = Path(__file__).with_name("modbus_peers")
UNIT, OTHER, ABSENT = 17, 3, 99
HELD, BITS = 500, 2000
CODES = {
    1: "illegal_function", 2: "illegal_address", 3: "illegal_value", 4: "device_failure", 5: "device_busy", 6: "device_busy",
    8: "device_failure", 10: "gateway_no_path", 11: "gateway_no_answer",
}  # fmt: skip
FAILS_AT = 1000
"""A read of this address plus ten times a code is refused with it."""
ORDERS = {"ABCD": (1, 1), "CDAB": (-1, 1), "BADC": (1, -1), "DCBA": (-1, -1)}
"""Steps through the words, and through the bytes of each."""
NUMBERS = {
    "uint16": (">H", 54321), "int16": (">h", -12345), "uint32": (">I", 3_000_000_123), "int32": (">i", -2_000_000_123),
    "uint64": (">Q", 12_345_678_901_234_567), "int64": (">q", -12_345_678_901_234_567), "float16": (">e", -2.5),
    "float32": (">f", 1234.5), "float64": (">d", -98765.4321), "bcd16": (">H", 0x1234), "bcd32": (">I", 0x12345678),
}  # fmt: skip
SHOWN = {"bcd16": 1234, "bcd32": 12345678}


def typed():
    """(registers by address, tags, values): every type in every order, one after the other from address 100."""
    registers, tags, values, at = {}, {}, {}, 100
    for kind, (code, value) in NUMBERS.items():
        for order, (words, within) in ORDERS.items():
            data = struct.pack(code, value)
            parts = [data[place : place + 2][::within] for place in range(0, len(data), 2)][::words]
            name = f"{kind}_{order}"
            registers |= {at + number: int.from_bytes(part) for number, part in enumerate(parts)}
            tags[name] = {"holding": at, "type": kind, "order": order}
            values[name] = SHOWN.get(kind, value)
            at += len(parts)
    text = b"Chai 1.5L"
    padded = text + bytes(len(text) % 2)
    registers |= {at + place // 2: int.from_bytes(padded[place : place + 2]) for place in range(0, len(padded), 2)}
    tags["text"] = {"holding": at, "type": "string", "length": len(text)}
    tags["bit"] = {"holding": 1, "bit": 0}
    return registers, tags, values | {"text": text.decode(), "bit": True}


TYPED, TYPED_TAGS, TYPED_VALUES = typed()
HOLDING = {at: at for at in range(HELD)} | TYPED
INPUT = {at: 1000 + at for at in range(HELD)}
COILS = {at: int(at % 3 == 0) for at in range(BITS)}
DISCRETE = {at: at % 2 for at in range(BITS)}


@dataclass(frozen=True)
class Make:
    """A server's make. command: of a port and a file, None where it is not here, for this reason; absent: what is said of a
    unit that it does not have, None where it answers for every unit; codes: exceptions that it can be made to give.
    """

    command: list[str] | None
    reason: str = ""
    absent: str | None = "peer_silent"
    codes: tuple[int, ...] = tuple(CODES)


def makes():
    java = built("modbus-peers", PEERS / "java", "src/main/java/Peer.java", "pom.xml")
    run_java = ["java", "-cp", f"{java}/classes{os.pathsep}{java}/dependency/*", "Peer"]
    there, why = java.exists() and shutil.which("java"), "scripts/peer-modbus builds it"
    python = [sys.executable, str(PEERS / "modbus_makes.py")]
    return {
        "libmodbus": Make([], absent=None),
        "pymodbus": Make([*python, "pymodbus"], absent="device_failure"),
        "modbus-tk": Make([*python, "modbus-tk"]),
        "uModbus": Make([*python, "uModbus"], absent="illegal_address"),
        "pyModbusTCP": Make([*python, "pyModbusTCP"], absent=None),
        "j2mod": Make([*run_java, "j2mod"] if there else None, why, absent="illegal_address", codes=(2,)),
        "digitalpetri": Make([*run_java, "digitalpetri"] if there else None, why),
    }


MAKES = makes()
IN_JAVA = ("j2mod", "digitalpetri")


@dataclass
class Peer:
    """The child process of one make; sent: what was sent to it."""

    make: Make
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None
    sent: list[bytearray] = field(default_factory=list)

    def fill(self):
        cells = {
            (UNIT, "holding"): HOLDING,
            (UNIT, "input"): INPUT,
            (UNIT, "coil"): COILS,
            (UNIT, "discrete"): DISCRETE,
        }
        fails = {FAILS_AT + 10 * code: code for code in CODES if code in self.make.codes and code != 2}
        cells |= {(UNIT, "fails"): fails, (UNIT, "holding"): HOLDING | dict.fromkeys(fails, 0)}
        if self.make.absent is not None:
            cells |= {(OTHER, table): {0: 7} for table in ("holding", "input")}
            cells |= {(OTHER, table): dict.fromkeys(range(16), 0) for table in ("coil", "discrete")}
        lines = [f"{unit} {table} {at} {value}" for (unit, table), held in cells.items() for at, value in held.items()]
        (self.folder / "cells").write_text("\n".join(lines) + "\n")
        if not self.make.command:
            program = self.folder / "libmodbus"
            source = PEERS / "libmodbus.c"
            subprocess.run(["cc", source, "-o", program, "-I/usr/include/modbus", "-lmodbus", "-lpthread"], check=True)
            self.command = [str(program)]
        else:
            self.command = self.make.command

    def start(self):
        self.process = subprocess.Popen(
            [*self.command, str(self.port), str(self.folder / "cells")], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self.process.stdout.readline().strip() == "up", "the server ended"

    def set(self, address, value):
        self.process.stdin.write(f"{UNIT} holding {address} {value}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == "done"

    def end(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.peers] if name in IN_JAVA else []) for name in MAKES]
)
def peer(request, tmp_path_factory):
    make = MAKES[request.param]
    if make.command is None:
        pytest.skip(f"no {request.param} here ({make.reason})")
    server = Peer(make, tmp_path_factory.mktemp("peer"))
    try:
        server.fill()
        server.start()
        yield server
    finally:
        server.end()
    assert set(modbus_functions(server.sent)) <= {1, 2, 3, 4}, "nothing but reads in everything above"


@asynccontextmanager
async def recorded(peer):
    """A port whose traffic is kept."""
    async with recording(peer.port) as between:
        yield between
        peer.sent += between.sent


def device(port, tags, **changes):
    given = {
        "kind": "modbus_tcp",
        "host": "127.0.0.1",
        "port": port,
        "unit": UNIT,
        "every": "50ms",
        "timeout": "20s",
        "tags": tags,
    }
    return ModbusTcpDevice.model_validate(given | changes)


async def read(asked):
    """One reading of a device."""
    adapter = open_device(asked, time.time_ns)
    await adapter.connect()
    try:
        return await adapter.read()
    finally:
        await adapter.close()


def values(reading):
    return {row.tag: row.value for row in reading.rows}


def questions(sent):
    """(function, first address, count) of each."""
    return [struct.unpack_from(">xxxxxxxBHH", data, at) for data in sent for at in range(0, len(data), 12)]


async def test_every_type_in_every_order(peer):
    async with recorded(peer) as between:
        reading = await read(device(between.port, TYPED_TAGS))
    found = values(reading)
    assert found == {
        name: pytest.approx(value) if isinstance(value, float) else value for name, value in TYPED_VALUES.items()
    }
    assert {row.quality for row in reading.rows} == {Quality.GOOD}
    assert set(reading.confirmed) == set(TYPED_TAGS)
    assert reading.faults == {}


async def test_the_most_that_one_request_may_hold(peer):
    """125 registers and 2000 bits: a tag at both ends, and some between."""
    places = {"holding": (HOLDING, 125), "input": (INPUT, 125), "coil": (COILS, BITS), "discrete": (DISCRETE, BITS)}
    tags = {
        f"{table}{at}": {table: at} for table, (_, count) in places.items() for at in {*range(0, count, 12), count - 1}
    }
    async with recorded(peer) as between:
        reading = await read(device(between.port, tags))
        asked = questions(between.sent)
    assert values(reading) == {name: places[table][0][at] for name, tag in tags.items() for table, at in tag.items()}
    assert sorted(asked) == [(1, 0, 2000), (2, 0, 2000), (3, 0, 125), (4, 0, 125)]


async def test_a_change_is_seen(peer):
    async with recorded(peer) as between:
        adapter = open_device(device(between.port, {"n": {"holding": 7}, "still": {"holding": 8}}), time.time_ns)
        await adapter.connect()
        assert values(await adapter.read()) == {"n": 7, "still": 8}
        peer.set(7, 65535)
        await asyncio.sleep(0.05)
        assert values(await adapter.read()) == {"n": 65535}
        peer.set(7, 7)
        await adapter.close()


async def test_an_address_that_is_not_there_costs_nothing_but_its_tag(peer):
    """The block over the end of what exists is cut until only what is missing is bad, and that is said of it."""
    tags = {f"r{at}": {"holding": at} for at in range(HELD - 5, HELD)} | {
        "beyond": {"holding": 3000},
        "near": {"holding": HELD + 2},
    }
    async with recorded(peer) as between:
        reading = await read(device(between.port, tags))
    missing = {"beyond"} if peer.make.absent is None else {"beyond", "near"}  # their memory has no holes
    assert {tag for tag, value in values(reading).items() if value is None} == missing
    assert {tag: fault.code for tag, fault in reading.faults.items()} == dict.fromkeys(missing, "illegal_address")
    fault = reading.faults["beyond"]
    assert (fault.values["unit"], fault.values["function"], fault.values["first"]) == ("17", "3", "3000")


@pytest.mark.parametrize("code", CODES)
async def test_each_exception_is_told_rightly(peer, monkeypatch, code):
    if code not in peer.make.codes:
        pytest.skip("it gives no such exception")
    monkeypatch.setattr(reader, "BUSY_PAUSE_S", 0.01)
    address = 3000 if code == 2 else FAILS_AT + 10 * code
    async with recorded(peer) as between:
        asked = device(between.port, {"n": {"holding": address}})
        found = (await diagnose_line({"d": asked}, {"d": ["n"]}))["d"]["n"]
    assert (found.code, found.values["code"], found.values["unit"]) == (CODES[code], str(code), "17")
    assert found.extent == ("unit" if code in {10, 11} else "range")


async def test_a_range_that_is_refused_leaves_the_others(peer):
    """With each code in one device: those that last are bad, what passes is left out, and the good one is read."""
    lasting = [code for code in peer.make.codes if code in {1, 2, 3, 4, 8}]
    tags = {
        f"c{code}": {"holding": 3000 if code == 2 else FAILS_AT + 10 * code}
        for code in peer.make.codes
        if code not in {10, 11}
    }
    async with recorded(peer) as between:
        reading = await read(device(between.port, tags | {"good": {"holding": 5}}, max_gap=0))
    assert values(reading) == {"good": 5} | {f"c{code}": None for code in lasting}
    assert {tag: fault.code for tag, fault in reading.faults.items()} == {f"c{code}": CODES[code] for code in lasting}


async def test_units_behind_one_socket(peer):
    """Each its own values; one that is not there is told as such, and costs the others nothing."""
    if peer.make.absent is None:
        pytest.skip("it answers for every unit from one memory")
    async with recorded(peer) as between:
        ours = {
            "a": device(between.port, {"n": {"holding": 0}}),
            "b": device(between.port, {"n": {"holding": 0}}, unit=OTHER),
        }
        adapters = open_devices(ours, time.time_ns)
        for adapter in adapters.values():
            await adapter.connect()
        assert {name: values(await adapter.read()) for name, adapter in adapters.items()} == {
            "a": {"n": 0},
            "b": {"n": 7},
        }
        assert len(between.sent) == 1
        for adapter in adapters.values():
            await adapter.close()


async def test_a_unit_that_is_not_there(peer):
    async with recorded(peer) as between:
        asked = device(between.port, {"n": {"holding": 0}}, unit=ABSENT, timeout="500ms")
        found = (await diagnose_line({"d": asked}, {"d": ["n"]}))["d"]["n"]
    assert found.code == (peer.make.absent or "reads_alone")


async def test_a_scan_finds_the_units_that_there_are(peer):
    """Whatever the server says for those that there are not: silence, or a refusal."""
    if peer.make.absent is None:
        pytest.skip("it answers for every unit from one memory")
    absent = (40, 41) if peer.make.absent == "peer_silent" else (40, 41, 42, 43, 44)
    async with recorded(peer) as between:
        place = device(between.port, {"any": {"holding": 0}})
        limit = RateLimit(1000.0, 1.0 if peer.make.absent == "peer_silent" else 20.0)
        plan = ScanPlan((OTHER, UNIT, *absent), ("holding",), 0, 20)
        found = await scan(place, limit, plan, lambda *_: None)
    assert {unit: tables["holding"].runs for unit, tables in found.units.items()} == {
        OTHER: ((0, 0),),
        UNIT: ((0, 20),),
    }


async def test_it_is_killed_and_comes_back(peer, tmp_path, caplog):
    listen(caplog)
    asked = {"plc": device(peer.port, {"n": {"holding": 9}}, timeout="1s")}
    async with driven(asked, tmp_path) as round_:
        await round_.more("plc")
        peer.end()
        await round_.until(lambda: round_.health["plc"].condition == "lost")
        assert round_.health["plc"].fault.code in {"closed_by_peer", "port_closed"}
        await asyncio.to_thread(peer.start)
        await round_.more("plc")
        await until(lambda: round_.health["plc"].condition == "up")
    assert said(caplog, "plc") == LOST_AND_BACK
    assert round_.values("plc", "n")[-1] == 9


async def test_a_server_that_is_away_is_said_to_be(peer):
    adapter = open_device(device(free_port(), {"n": {"holding": 0}}), time.time_ns)
    with pytest.raises(NotConnected) as caught:
        await adapter.connect()
    assert caught.value.fault is not None
    assert (caught.value.fault.code, caught.value.fault.extent) == ("port_closed", "device")
