"""`nhip simulate` says what it serves, what the displays show, and who holds a port that it cannot have."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pymodbus.client import ModbusTcpClient
from servers import PATIENCE_S, eventually, free_port

from cli.listeners import listener_on
from simulator.factory import load

ROOT = Path(__file__).resolve().parents[2]
FACTORY = """
shifts: [{name: A, start: "00:00", end: "12:00"}, {name: B, start: "12:00", end: "00:00"}]
machines:
  - {id: cnc-1, device: lathe, plc: cnc_rejects, port: PORT, counter_start: 120000, products: [{number: 7, ideal_s: 1}]}
"""


def command(*words):
    return [sys.executable, "-m", "nhip", "simulate", *map(str, words)]


@pytest.fixture
def factory(tmp_path):
    path = tmp_path / "factory.yaml"
    port = free_port()
    path.write_text(FACTORY.replace("PORT", str(port)), encoding="utf-8")
    return path, port


def parts(port):
    client = ModbusTcpClient("127.0.0.1", port=port, timeout=2)
    try:
        low, high = client.read_holding_registers(10, count=2).registers
    finally:
        client.close()
    return low | high << 16


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "plc: cnc_rejects",
            "plc: pulse, prot: 5",
            ("factory.yaml:4: machines[0].prot", "Không có khóa này ở đây", "port"),
        ),
        ("shifts:", "timezone: Asia/Hanoi\nshifts:", ("Không có múi giờ Asia/Hanoi",)),
        ("machines:", "machines: [", ("factory.yaml:",)),
    ],
)
def test_a_wrong_factory_file_is_told_in_vietnamese_with_its_line(factory, before, after, said):
    path, _ = factory
    path.write_text(path.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    found = subprocess.run(command(path, "--lang", "vi"), cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert found.returncode == 2
    assert all(words in found.stderr for words in said), found.stderr
    assert "Traceback" not in found.stderr


def test_a_terminal_goes_on_showing_what_the_display_shows(factory):
    path, port = factory
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(
        command(path, "--lang", "en"), cwd=ROOT, stdin=follower, stdout=follower, stderr=follower, env=environment
    )
    os.close(follower)
    written = []

    def read():
        with suppress(OSError):
            while data := os.read(leader, 65536):
                written.append(data.decode(errors="replace"))

    threading.Thread(target=read, daemon=True).start()

    def shown():
        plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", "".join(written))
        return [int(count) for count in re.findall(r"parts +holding 10–11, uint32 CDAB +(\d+) *\r?\n", plain)]

    try:
        eventually(lambda: len(set(shown())) > 2, what=lambda: "".join(written))
        assert f"127.0.0.1:{port}" in "".join(written)
        assert shown()[0] > 120_000
        before = parts(port)
        eventually(lambda: shown()[-1] >= before)
        assert shown()[-1] <= parts(port) + 1
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
        os.close(leader)
    assert "Traceback" not in "".join(written)


@pytest.mark.cold_start  # by its command line the first one is known
def test_a_log_is_told_once_and_a_second_one_is_told_who_holds_the_port(factory, tmp_path):
    path, port = factory
    log = tmp_path / "first.log"
    with log.open("wb") as out:
        first = subprocess.Popen(command(path), cwd=ROOT, stdout=out, stderr=out)
    try:
        eventually(lambda: "discrete 0" in log.read_text(encoding="utf-8"))
        for lang, said in (("en", "is taken by nhip simulate"), ("vi", "đang do nhip simulate")):
            second = subprocess.run(
                command(path, "--lang", lang), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
            )
            assert second.returncode == 1
            assert said in second.stderr
            assert f"127.0.0.1:{port}" in second.stderr
            assert "Traceback" not in second.stderr
        assert log.read_text(encoding="utf-8").count("discrete 0") == 1
    finally:
        first.send_signal(signal.SIGTERM)
        assert first.wait(PATIENCE_S) == 0


def test_an_opcua_port_an_address_of_another_computer_and_the_control_port_are_told_too(factory, tmp_path):
    path, port = factory
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        other = taken.getsockname()[1]
        assert listener_on(other).endswith(f"(process {os.getpid()})")
        packer = path.read_text(encoding="utf-8").replace("cnc_rejects", "packer").replace(str(port), str(other))
        path.write_text(packer, encoding="utf-8")
        found = subprocess.run(command(path), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
        assert (found.returncode, f"127.0.0.1:{other}" in found.stderr) == (1, True)
        assert "Traceback" not in found.stderr
        path.write_text(FACTORY.replace("PORT", str(port)), encoding="utf-8")
        found = subprocess.run(
            command(path, "--http", other), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert (found.returncode, "http cannot listen" in found.stderr or f":{other}" in found.stderr) == (1, True)
    assert listener_on(other) == ""
    path.write_text(FACTORY.replace("PORT", f"{port}, host: 192.0.2.1"), encoding="utf-8")
    found = subprocess.run(command(path), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (found.returncode, "192.0.2.1" in found.stderr, "Traceback" in found.stderr) == (1, True, False)


def test_a_factory_without_a_start_began_yesterday(factory):
    start = load(factory[0]).start
    now = datetime.now(UTC)
    assert timedelta(0) < now - start <= timedelta(days=2)
    assert (start.hour, start.minute, start.second) == (0, 0, 0)
