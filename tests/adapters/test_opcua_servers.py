"""The OPC UA adapter against servers of several makes: the same promises with each, over real sockets."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from opcua_plant import NODE_SERVER, SERVER, device, gathered, has_node_opcua, node_modules, until_lost, until_value
from servers import built, free_port

import adapters.opcua.adapter as adapter_module
from adapters.browsing import Walk
from adapters.connection_faults import connection_fault
from adapters.contract import DeviceMisconfigured
from adapters.opcua.adapter import open_device
from adapters.opcua.client import SessionClient
from adapters.opcua.model import OpcUaTag
from adapters.opcua.service.browse import browse
from adapters.opcua.service.diagnose import diagnose
from oee.model.states import Quality

PEERS = Path(__file__).with_name("opcua_peers")
ASYNCUA = (
    "import asyncio, sys; sys.path.append(sys.argv[1]); from opcua_server import main; "
    "asyncio.run(main(int(sys.argv[2]), 0, 0.0, ''))"
)
SECURE = "Basic256Sha256/SignAndEncrypt"
KNOWN = ("count", "running", "temperature", "recipe")


@dataclass(frozen=True)
class Make:
    """A server's make. command: of a port and a folder; None where it is not built here, for this reason; set: the line
    that sets a variable; insecure: why `SECURE` is not tried with it; arrays: whether it has one; items: more variables
    than KNOWN.
    """

    command: list[str] | None
    reason: str
    set: str = "set {name} {value}"
    insecure: str = ""
    arrays: bool = True
    items: int = 300
    environment: dict[str, str] | None = None


def makes():
    gopcua = built("gopcua", PEERS, "gopcua/main.go", "gopcua/go.mod")
    rust = built("async-opcua", PEERS, "async_opcua/src/main.rs", "async_opcua/Cargo.toml")
    milo = built("milo", PEERS, "milo/src/main/java/Peer.java", "milo/pom.xml")
    java = ["java", "-cp", f"{milo}/classes{os.pathsep}{milo}/dependency/*", "Peer"]
    node = ["node", str(NODE_SERVER), "PORT", "FOLDER", '{"more": 300}']
    return {
        "asyncua": Make([sys.executable, "-c", ASYNCUA, str(SERVER.parent), "PORT"], "", "{name} {value}",
                        "with certificates in test_opcua.py", arrays=False, items=0),
        "node-opcua": Make(node if has_node_opcua() else None, "scripts/nodeopcua installs it",
                           environment={"NODE_PATH": str(node_modules())}),
        "gopcua": Make([str(gopcua), "PORT", "FOLDER"] if gopcua.exists() else None, "scripts/gopcua builds it",
                       insecure="gopcua's server 0.8.0 decrypts no request to open a secure channel"),
        "async-opcua": Make([str(rust), "PORT", "FOLDER"] if rust.exists() else None, "scripts/peer-async-opcua builds it"),
        "milo": Make([*java, "PORT", "FOLDER"] if milo.exists() and shutil.which("java") else None, "scripts/milo builds it"),
    }  # fmt: skip


MAKES = makes()


class Peer:
    """The child process of one make."""

    def __init__(self, make, folder):
        self.make, self.folder, self.port, self.process = make, folder, free_port(), None

    def start(self):
        words = {"PORT": str(self.port), "FOLDER": str(self.folder)}
        self.process = subprocess.Popen(
            [words.get(word, word) for word in self.make.command], env=os.environ | (self.make.environment or {}),
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._until("up")

    def _until(self, word):
        while not (line := self.process.stdout.readline().strip()).startswith(word):
            assert line or self.process.poll() is None, "the server ended"

    def set(self, name, value):
        written = (
            str(value) if self.make.set.startswith("{") else str(value).lower() if isinstance(value, bool) else value
        )
        self.process.stdin.write(self.make.set.format(name=name, value=written) + "\n")
        self.process.stdin.flush()
        self._until("done")

    def send(self, number):
        self.process.send_signal(number)

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def asked(self, **changes):
        """A device with the four variables that each server has."""
        return device(self.port, **({"every": "100ms", "timeout": "10s"} | changes))


@pytest.fixture(
    scope="module",
    params=["asyncua", "node-opcua", "gopcua", "milo", pytest.param("async-opcua", marks=pytest.mark.peers)],
)
def peer(request, tmp_path_factory):
    make = MAKES[request.param]
    if make.command is None:
        pytest.skip(f"no {request.param} here ({make.reason})")
    server = Peer(make, tmp_path_factory.mktemp("peer"))
    try:
        server.start()
        yield server
    finally:
        server.end()


@pytest.fixture
def server(peer):
    for name, value in (("count", 0), ("running", False), ("temperature", 20.5), ("recipe", "A")):
        peer.set(name, value)
    return peer


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_values_and_changes(server, mode):
    adapter = open_device(server.asked(mode=mode), time.time_ns)
    await adapter.connect()
    first = await gathered(adapter, KNOWN)
    assert [(first[name][-1].value, first[name][-1].quality) for name in KNOWN] == [
        (0, Quality.GOOD), (False, Quality.GOOD), (20.5, Quality.GOOD), ("A", Quality.GOOD),
    ]  # fmt: skip
    before_ns = time.time_ns()
    for name, value in (("count", 5), ("running", True), ("temperature", 21.25), ("recipe", "B-7")):
        server.set(name, value)
    later = await gathered(adapter, KNOWN)
    assert [later[name][-1].value for name in KNOWN] == [5, True, 21.25, "B-7"]
    for rows in later.values():
        assert before_ns - 10**9 < rows[-1].t_ns <= time.time_ns()
    await adapter.close()


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
async def test_a_node_that_is_missing_costs_the_others_nothing_and_is_explained(server, mode, monkeypatch):
    """gopcua accepts a subscription of it, so only the reads besides tell."""
    monkeypatch.setattr(adapter_module, "RECHECK_S", 0.3)
    wanted = server.asked(mode=mode, tags={
        "count": {"node": "nsu=urn:nhip:test;s=count"}, "gone": {"node": "nsu=urn:nhip:test;s=gone"},
        "elsewhere": {"node": "nsu=urn:nobody;s=x"},
    })  # fmt: skip
    adapter = open_device(wanted, time.time_ns)
    await adapter.connect()
    rows = await gathered(adapter, ("count", "gone", "elsewhere"))
    assert rows["count"][-1].value == 0
    assert {rows[name][-1].quality for name in ("gone", "elsewhere")} == {Quality.BAD}
    server.set("count", 1)
    await until_value(adapter, "count", 1)
    await adapter.close()
    faults = await diagnose(wanted, ["gone", "elsewhere"])
    assert {name: fault.code for name, fault in faults.items()} == {"gone": "no_node", "elsewhere": "no_namespace"}


async def test_elements_of_an_array(server):
    if not server.make.arrays:
        pytest.skip("asyncua's arrays are in test_opcua_selection.py")
    lists = {f"l{number}": OpcUaTag(node="nsu=urn:nhip:test;s=list", index=number) for number in (0, 2, 3)}
    for mode in ("subscribe", "poll"):
        wanted = server.asked(mode=mode).model_copy(update={"tags": lists})
        adapter = open_device(wanted, time.time_ns)
        await adapter.connect()
        rows = await gathered(adapter, ("l0", "l2"))
        assert (rows["l0"][-1].value, rows["l2"][-1].value) == (11, 33)
        assert all(row.quality is Quality.BAD for row in rows.get("l3", ()))
        await adapter.close()
    assert (await diagnose(wanted, ["l3"]))["l3"].code == "opcua_index"


async def test_it_can_be_browsed(server):
    found = await browse(f"opc.tcp://127.0.0.1:{server.port}/", {}, Path(), Walk(), None, lambda _: None)
    by_name = {node.path[-1]: node for node in found.nodes}
    assert {name: by_name[name].value for name in KNOWN} == {
        "count": 0, "running": False, "temperature": 20.5, "recipe": "A",
    }  # fmt: skip
    assert by_name["count"].node == "nsu=urn:nhip:test;s=count"
    assert len([name for name in by_name if name[0] == "n" and name[1:].isdigit()]) == server.make.items


async def test_hundreds_of_items_in_one_subscription(server):
    if not server.make.items:
        pytest.skip("asyncua is the server of bench/")
    many = {f"n{number}": OpcUaTag(node=f"nsu=urn:nhip:test;s=n{number}") for number in range(server.make.items)}
    adapter = open_device(server.asked().model_copy(update={"tags": many}), time.time_ns)
    await adapter.connect()
    rows = await gathered(adapter, tuple(many))
    assert [rows[f"n{number}"][-1].value for number in range(server.make.items)] == list(range(server.make.items))
    await adapter.close()


async def test_signed_and_encrypted(server, tmp_path):
    if server.make.insecure:
        pytest.skip(server.make.insecure)
    wanted = server.asked(security=SECURE, timeout="30s").with_files("peer", tmp_path)
    adapter = open_device(wanted, time.time_ns)
    await adapter.connect()
    await gathered(adapter, KNOWN)
    server.set("count", 7)
    await until_value(adapter, "count", 7)
    await adapter.close()


async def test_an_address_that_the_server_writes_otherwise(server, tmp_path):
    """gopcua lists endpoints only for its own way to write the address: without a slash, and by number."""
    if server.make is not MAKES["gopcua"]:
        pytest.skip("others list their endpoints whatever is asked for")
    wanted = server.asked(security=SECURE).with_files("peer", tmp_path)
    listed = await SessionClient(wanted.url, 10).connect_and_get_server_endpoints()
    assert wanted.url.endswith("/")
    assert {item.EndpointUrl for item in listed} == {wanted.url.removesuffix("/")}
    adapter = open_device(wanted.model_copy(update={"url": wanted.url.replace("127.0.0.1", "localhost")}), time.time_ns)
    with pytest.raises(DeviceMisconfigured) as caught:
        await adapter.connect()
    assert caught.value.elsewhere
    assert connection_fault(caught.value).code == "opcua_no_endpoint"


async def test_a_quiet_connection_is_kept_longer_than_its_watchdog_asks(server):
    """gopcua grants session timeouts of 0."""
    adapter = open_device(server.asked(timeout="500ms"), time.time_ns)
    await adapter.connect()
    await gathered(adapter, KNOWN)
    began_s = time.monotonic()
    while time.monotonic() - began_s < 2.5:
        await asyncio.sleep(0.1)
        await adapter.read()
    server.set("count", 9)
    await until_value(adapter, "count", 9)
    await adapter.close()


async def test_a_server_that_hangs_is_lost(server):
    adapter = open_device(server.asked(every="200ms", timeout="1s"), time.time_ns)
    await adapter.connect()
    await gathered(adapter, KNOWN)
    server.send(signal.SIGSTOP)
    try:
        await until_lost(adapter)
        await adapter.close()
    finally:
        server.send(signal.SIGCONT)
    await adapter.connect()
    server.set("count", 4)
    await until_value(adapter, "count", 4)
    await adapter.close()


async def test_a_server_that_is_killed_and_comes_back(server):
    adapter = open_device(server.asked(), time.time_ns)
    await adapter.connect()
    await gathered(adapter, KNOWN)
    server.end()
    await until_lost(adapter)
    await adapter.close()
    server.start()
    await adapter.connect()
    server.set("count", 3)
    await until_value(adapter, "count", 3)
    await adapter.close()
