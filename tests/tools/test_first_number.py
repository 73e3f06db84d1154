"""From nothing to an OEE with its bounds in five minutes, by somebody who types what the guide says and nothing else.

The commands are those of docs/commissioning.md, in their order, typed at real terminals: the simulated factory, an agent and
the commands are processes of their own. Only the ports are others, so that two runs do not meet, and near a change of shift the time zone.

A reader's computer has nothing else to do: moments in which something here waited for a CPU, which the kernel adds up, are no
part of the five minutes. So a busy machine says that the guide leads to the number, and only an idle one how soon.
"""

import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from servers import eventually, free_port
from test_commissioning_guide import GUIDES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
FIRST_NUMBER_S = 300
HANGS_S = 1500
BEYOND = "## 7."
"""What comes after the first number takes half an hour beside a machine."""

pytestmark = pytest.mark.timeout(2 * HANGS_S)


def idle_s():
    """A clock [s] that stands while something on this machine waits for a CPU; an ordinary one where the kernel cannot tell."""
    stalled = None
    with suppress(OSError):
        stalled = re.search(r"^some .*total=(\d+)", Path("/proc/pressure/cpu").read_text(), re.MULTILINE)
    return time.monotonic() - (int(stalled[1]) / 1e6 if stalled else 0)


def typed(lang):
    """The lines of the guide's shell blocks, up to the first number."""
    text = GUIDES[lang].read_text(encoding="utf-8").partition(BEYOND)[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


class Terminal:
    """A command that goes on running in a terminal of its own."""

    def __init__(self, desk, line):
        self.leader, follower = pty.openpty()
        self.process = subprocess.Popen(
            ["sh", "-c", f"exec {line}"], cwd=desk.folder, env=desk.environment | {"COLUMNS": "150"}, stdin=follower,
            stdout=follower, stderr=follower, start_new_session=True,
        )  # fmt: skip
        os.close(follower)
        self.written = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with suppress(OSError):
            while data := os.read(self.leader, 65536):
                self.written += data.decode(errors="replace")

    @property
    def text(self):
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.written)

    def close(self):
        self.process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        self.process.kill()
        self.process.wait()
        os.close(self.leader)


class Desk:
    """A folder with what the guide names, and what somebody types there."""

    def __init__(self, folder, lang):
        self.folder, self.terminals, self.declared = folder, {}, False
        (folder / "bin").mkdir()
        shim = folder / "bin" / "nhip"
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nhip "$@"\n')
        shim.chmod(0o755)
        path = f"{folder / 'bin'}:{os.environ['PATH']}"
        self.environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "NHIP_LANG": lang, "TERM": "xterm"}
        hanoi = datetime.now(ZoneInfo("Asia/Ho_Chi_Minh"))
        self.instead = {"15020": str(free_port()), "48400": str(free_port())}
        if hanoi.hour % 12 in (11, 0):  # its shifts change at noon and at midnight
            self.instead["Asia/Ho_Chi_Minh"] = "Etc/GMT-3"
        (folder / "docs").mkdir()
        for file in DOCS.glob("practice-*.yaml"):
            (folder / "docs" / file.name).write_text(self.own(file.read_text(encoding="utf-8")), encoding="utf-8")

    def own(self, text):
        for written, own in self.instead.items():
            text = text.replace(written, own)
        return text

    def opens(self, line):
        name = shlex.split(line)[1]
        self.terminals[name] = Terminal(self, line)
        return self.terminals[name]

    def types(self, line, answers=""):
        done = subprocess.run(
            line, shell=True, cwd=self.folder, env=self.environment, input=answers, capture_output=True, text=True,
            timeout=HANGS_S,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def display(self, tag):
        """What the window of the simulated factory shows last."""
        return re.findall(rf"{tag} .*?(\d+) *\r?\n", self.terminals["simulate"].text)[-1]

    def shown(self):
        return json.loads(self.types("nhip show site.yaml --json").stdout)

    def oee(self, machine):
        found = next(item for item in self.shown()["machines"] if item["machine"] == machine)
        return found["shift"]["oee"] is not None and found["shift"]

    def close(self):
        for terminal in reversed(self.terminals.values()):
            terminal.close()


@pytest.fixture
def desk(tmp_path, request):
    made = Desk(tmp_path, request.param)
    yield made
    made.close()


def test_the_guide_up_to_the_first_number_is_the_same_in_both_languages():
    plain = [[shlex.split(line, comments=True) for line in typed(lang)] for lang in GUIDES]
    assert plain[0] == plain[1]
    assert [words[1] for words in plain[0]] == [
        *("simulate", "scan", "scan", "bytes", "browse", "docs/practice-site.yaml", "check"),
        *("agent", "clock", "show", "declare", "show"),
    ]  # fmt: skip


@pytest.mark.parametrize("desk", ["vi"], indirect=True)
def test_who_only_follows_the_guide_has_an_oee_within_five_minutes(desk):
    began_s = None
    for line in map(desk.own, typed("vi")):
        words = shlex.split(line, comments=True)
        match words[1:3]:
            case ["simulate", _]:
                terminal = desk.opens(line)
                eventually(lambda shown=terminal: "processed" in shown.text, what=lambda shown=terminal: shown.text)
            case ["scan", "network"]:
                assert desk.types(line, "n\n").returncode in (0, 1)  # asked first, and left alone
            case ["bytes", _]:
                said = _bytes(desk, line)
                assert "{holding: 10, type: uint32, order: CDAB}" in said
            case ["agent", _]:
                terminal = desk.opens(line)
                eventually(
                    lambda shown=terminal: "nhip show site.yaml" in shown.text, what=lambda shown=terminal: shown.text
                )
                began_s = idle_s()
            case ["clock", "confirm"]:
                assert desk.types(line, "y\n").returncode == 0
            case ["show", _]:
                done = desk.types(line)
                assert (done.returncode, done.stderr) == (0, "")
                if not desk.declared:
                    _first_look(desk, line)
            case ["declare", _]:
                done = desk.types(line)
                assert done.returncode == 0, done.stdout + done.stderr
                assert "số liệu đã tính theo" in done.stdout
                desk.declared = True
            case _:
                done = desk.types(line)
                assert done.returncode == 0, done.stdout + done.stderr
    shift = eventually(lambda: desk.oee("cnc-1"), HANGS_S, every_s=1)
    assert idle_s() - began_s < FIRST_NUMBER_S
    assert 0 < shift["oee_low"] <= shift["oee"] <= shift["oee_high"] <= 1.05
    assert shift["rejects"] == 1


def _first_look(desk, line):
    """After two minutes: the packer has its number, and the lathe says which command is missing."""
    eventually(lambda: desk.oee("pack-1"), HANGS_S, every_s=2)
    lathe = eventually(
        lambda: [item for item in desk.shown()["machines"] if item["machine"] == "cnc-1" and item["shift"]["pieces"]],
        HANGS_S,
        every_s=2,
    )[0]
    assert lathe["shift"]["oee"] is None
    assert lathe["shift"]["why_null"]["quality"] == "quality_not_known"
    assert [item["command"] for item in lathe["questions"]] == ["nhip declare site.yaml cnc-1 rejects 0"]
    assert "nhip declare site.yaml cnc-1 rejects 0" in desk.types(line).stdout


def _bytes(desk, line):
    """Types what the display shows whenever it is asked for."""
    process = subprocess.Popen(
        line, shell=True, cwd=desk.folder, env=desk.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    with suppress(BrokenPipeError):
        while process.poll() is None:
            process.stdin.write(f"{desk.display('parts')}\n")
            process.stdin.flush()
            time.sleep(2.5)  # a piece takes four seconds
    return process.communicate()[0]
