"""Ctrl-C during a search of minutes: what was found so far is printed, the exit status is 130, and nothing is called aborted."""

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from servers import PATIENCE_S, eventually
from test_tools_browse import server as opcua_server  # noqa: F401  # a fixture
from tools_plant import modbus, only, run, write_yaml

from words import say


@contextmanager
def typed(*arguments, lang="en", stdin=subprocess.DEVNULL):
    process = subprocess.Popen(
        [sys.executable, "-m", "nhip", *map(str, arguments), "--lang", lang],
        stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def interrupt(process):
    """Presses Ctrl-C; what was printed, and on the error stream."""
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, (process.returncode, out, told)
    assert "Abort" not in out + told
    assert "Traceback" not in told
    return out, told


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_a_scan_says_what_it_found_and_what_it_did_not_ask(lang):
    with modbus(refused=only((10, 20)) | only(function=4) | only(function=1) | only(function=2)) as server:
        command = ("scan", "modbus", f"127.0.0.1:{server.port}", "--units", "1-3", "--range", "0-99", "--rate", 50)
        with typed(*command, "--table", "holding", "--table", "input", lang=lang) as process:
            eventually(lambda: [item for item in server.asked if item[:2] == (2, 4)])
            out, told = interrupt(process)
    assert say("cli.interrupted", lang) in told
    lines = [line.split() for line in out.splitlines()]
    assert ["1", "holding", "10–20"] in [line[:3] for line in lines]
    assert any(line[:2] == ["3", "input"] and say("scan.table.not_asked", lang) in " ".join(line) for line in lines)
    assert say("scan.no_unit", lang, units="1-3") not in out


def test_a_scan_in_its_first_units_says_which_were_not_asked():
    with modbus(dead_units={1}) as server:
        command = ("scan", "modbus", f"127.0.0.1:{server.port}", "--units", "1-200", "--rate", 20, "--timeout", "100ms")
        with typed(*command) as process:
            eventually(lambda: len(server.asked) > 6)
            out, _ = interrupt(process)
        with typed(*command, "--json") as process:
            eventually(lambda: len(server.asked) > 20)
            found = json.loads(interrupt(process)[0])
    assert "Not asked yet: unit" in out
    assert "-200." in out
    assert found["interrupted"]
    assert found["not_asked"][-1] == 200
    assert {item["unit"] for item in found["units"]} >= {2}


def test_a_scan_that_found_nothing_yet_does_not_say_that_nothing_is_there():
    with (
        modbus(mode="silent") as server,
        typed("scan", "modbus", f"127.0.0.1:{server.port}", "--units", "1-200") as process,
    ):
        eventually(lambda: server.asked)
        out, told = interrupt(process)
    assert say("cli.interrupted_early", "en") in told
    assert "none of the units" not in out


def test_a_scan_of_a_network_lists_what_has_answered():
    with modbus() as server:
        command = ("scan", "network", "127.0.0.0/24", "--port", server.port, "--rate", 20, "--yes")
        with typed(*command) as process:
            eventually(lambda: server.connections)
            out, told = interrupt(process)
    assert "127.0.0.1" in out
    assert "of 254 addresses were tried" in out
    assert say("cli.interrupted", "en") in told


def test_watched_bytes_show_what_still_fits():
    with modbus(registers=dict.fromkeys(range(99, 108), 0) | {101: 7}) as server:
        command = ("bytes", f"127.0.0.1:{server.port}", "--holding", 100, "--shows", "7", "--watch")
        with typed(*command, stdin=subprocess.PIPE) as process:
            eventually(lambda: len(server.asked) > 2)
            out, told = interrupt(process)
    assert "value: {holding: 10" in out
    assert say("cli.interrupted", "en") in told


SITE = {
    "site": "case", "timezone": "Asia/Ho_Chi_Minh",
    "shifts": [{"name": "A", "days": "mon-sun", "from": "00:00", "to": "24:00"}],
    "products": {"1": {"ideal": "1s"}},
}  # fmt: skip


def site(folder, **ports):
    devices = {
        name: {"kind": "modbus_tcp", "host": "127.0.0.1", "port": port, "unit": 1, "every": "200ms",
               "tags": {"running": {"coil": 0}, "count": {"holding": 100}}}
        for name, port in ports.items()
    }  # fmt: skip
    machine = {"state": [{"when": "plc.running", "is": "running"}, {"is": "unplanned_stop"}],
               "pieces": {"total": "plc.count"}, "product": "1"}  # fmt: skip
    return write_yaml(folder / "site.yaml", SITE | {"devices": devices, "machines": {"press": machine}})


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_a_check_prints_the_tags_that_were_read(tmp_path, lang):
    with modbus(bits={0}) as server, modbus(mode="silent") as silent:
        path = site(tmp_path, plc=server.port, other=silent.port)
        with typed("check", path, "--for", "5min", lang=lang) as process:
            eventually(lambda: len(server.asked) > 6)
            eventually(lambda: silent.asked)
            out, told = interrupt(process)
    assert say("cli.interrupted", lang) in told
    assert "plc.count" in out
    assert "press" in out
    row = next(line for line in out.splitlines() if line.split()[:1] == ["plc.count"])
    assert say("check.verdict.fine", lang) in row
    assert not any(line.split()[:1] == ["other.count"] for line in out.splitlines()), "nothing is known of it yet"
    assert "other.count" in out


def test_an_interrupted_check_writes_no_record(tmp_path):
    with modbus(bits={0}) as server:
        path, record = site(tmp_path, plc=server.port), tmp_path / "record.html"
        with typed("check", path, "--for", "5min", "--json", "--certificate", record) as process:
            eventually(lambda: len(server.asked) > 6)
            found = json.loads(interrupt(process)[0])
    assert found["interrupted"]
    assert not found["ok"] or found["not_read"] == []
    assert {tag["tag"] for tag in found["tags"]} == {"plc.running", "plc.count"}
    assert not record.exists()


def test_a_tally_shows_what_was_counted(tmp_path):
    """While counting, and while a person is asked: the prompt that waits for a line is no obstacle."""
    with modbus(bits={0}, registers={100: 7}) as server:
        path = site(tmp_path, plc=server.port)
        command = ("check", path, "--for", "1s", "--count", "10min", "--machine", "press")
        with typed(*command, "--tally", "pieces=3,stops=0") as process:
            eventually(lambda: server.connections >= 2)
            before = len(server.asked)
            eventually(lambda: len(server.asked) > before + 10)
            server.registers[100] = 12
            before = len(server.asked)
            eventually(lambda: len(server.asked) > before + 20)
            out, told = interrupt(process)
        assert say("cli.interrupted", "en") in told
        line = next(item for item in out.splitlines() if say("count.no_tally", "en") in item)
        assert " 5" in line
        with typed(*command, stdin=subprocess.PIPE) as process:
            before = server.connections
            eventually(lambda: server.connections >= before + 2)
            out, _ = interrupt(process)
    assert "plc.count" in out


def test_browsing_shows_the_nodes_that_were_seen(opcua_server, monkeypatch):  # noqa: F811
    """Ctrl-C when the first level is known."""

    @contextmanager
    def pressing(*, quiet):
        assert not quiet
        yield lambda _what, _done, _total: os.kill(os.getpid(), signal.SIGINT)

    whole = run("browse", opcua_server)
    monkeypatch.setattr("tools.browse.command.progress", pressing)
    part = run("browse", opcua_server)
    assert part.exit_code == 130
    assert say("cli.interrupted", "en") in part.stderr
    seen = [line for line in part.stdout.splitlines() if line and not line.startswith(" ")]
    assert set(seen) <= set(whole.stdout.splitlines())
    assert 0 < len(part.stdout.splitlines()) < len(whole.stdout.splitlines())


def test_ctrl_c_at_a_question_ends_without_a_word(tmp_path):
    with typed("init", tmp_path / "new.yaml", stdin=subprocess.PIPE) as process:
        asking, _, _ = select.select([process.stdout, process.stderr], [], [], PATIENCE_S)
        assert asking
        out, told = interrupt(process)
    assert "Abort" not in out + told


def test_an_input_that_ends_is_told(tmp_path):
    with typed("init", tmp_path / "new.yaml") as process:
        _, told = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert say("cli.no_answer", "en") in told or say("cli.no_answer", "vi") in told
    assert "Aborted" not in told
