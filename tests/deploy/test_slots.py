"""deploy/debian/slots, run as a package runs it, in a folder of the test's: some version is whole and in use at every moment."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from agent.reports import went_back

SLOTS = Path(__file__).resolve().parents[2] / "deploy" / "debian" / "slots"


class Gateway:
    """/opt/nhip and the program that dpkg owns."""

    def __init__(self, folder):
        self.opt, self.program, tools = folder / "opt", folder / "program", folder / "tools"
        tools.mkdir()
        (tools / "sync").symlink_to("/bin/true")  # of a file system that the whole machine shares
        self.env = os.environ | {"NHIP_SLOTS": str(self.opt), "NHIP_PROGRAM": str(self.program), "NHIP_LANG": "en"}
        self.env["PATH"] = f"{tools}:{os.environ['PATH']}"

    def unpack(self, version):
        """As dpkg: each file is written beside and renamed over the old one."""
        for name, text in (
            ("bin/nhip", f'#!/bin/sh\ncat "$(dirname "$(readlink -f "$0")")/../lib/words"; echo {version}\n'),
            ("lib/words", f"{version}\n"),
            ("lib/words.pyc", version),
            ("pyvenv.cfg", "home = /usr/bin\n"),
        ):
            file = self.program / name
            file.parent.mkdir(parents=True, exist_ok=True)
            beside = file.with_name(f"{file.name}.dpkg-new")
            beside.write_text(text)
            beside.chmod(0o755)
            beside.rename(file)

    def slots(self, *words, code=0):
        done = subprocess.run([SLOTS, *words], env=self.env, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def install(self, version, *units):
        self.unpack(version)
        return self.slots("add", version, *units)

    def runs(self):
        """What the version in use says of itself, by two of its files: they must agree."""
        done = subprocess.run([self.opt / "bin" / "nhip"], capture_output=True, text=True, check=True)
        [version] = set(done.stdout.split())
        return version


@pytest.fixture
def gateway(tmp_path):
    return Gateway(tmp_path)


def test_an_update_keeps_the_version_before_and_no_other(gateway):
    for version in ("1", "2", "3"):
        gateway.install(version)
        assert gateway.runs() == version
    assert gateway.slots("show").split("\n")[:-1] == ["  2", "* 3"]
    gateway.slots("back")
    assert gateway.runs() == "2"


def test_a_slot_takes_no_space_of_its_own(gateway):
    gateway.install("1")
    assert (gateway.opt / "1/lib/words").stat().st_ino == (gateway.program / "lib/words").stat().st_ino


def test_half_an_update_of_dpkg_touches_no_slot(gateway):
    gateway.install("1")
    gateway.unpack("2")
    shutil.rmtree(gateway.program / "lib")
    assert gateway.runs() == "1"


def test_downgrading_uses_the_kept_slot(gateway):
    gateway.install("1")
    gateway.install("2")
    gateway.install("1")
    assert gateway.runs() == "1"
    assert gateway.slots("show").split("\n")[:-1] == ["* 1", "  2"]


def test_the_same_version_with_other_content_gets_a_slot_of_its_own(gateway):
    gateway.install("1")
    (gateway.program / "lib/words").unlink()
    (gateway.program / "lib/words").write_text("1\n\n")
    gateway.slots("add", "1")
    assert set(gateway.slots("show").split("\n")[:-1]) == {"  1", "* 1.2"}


def test_a_version_that_does_not_start_goes_back_by_itself(gateway):
    gateway.install("1")
    gateway.install("2", "nhip-agent")
    for _ in range(3):
        assert gateway.slots("starting", "nhip-agent") == ""
        assert gateway.runs() == "2"
    said = gateway.slots("starting", "nhip-agent")
    assert "version 2 does not start; went back to 1" in said
    assert gateway.runs() == "1"
    assert "2 -> 1 nhip-agent" in gateway.slots("show")
    for _ in range(5):  # the old one is not on trial
        gateway.slots("starting", "nhip-agent")
        assert gateway.runs() == "1"


def test_what_went_back_by_itself_is_told_and_what_somebody_chose_is_not(gateway, monkeypatch):
    monkeypatch.setattr(went_back, "NOTE", gateway.opt / "went-back")
    gateway.install("1")
    gateway.install("2", "nhip-agent")
    assert went_back.read_note() is None
    for _ in range(4):
        gateway.slots("starting", "nhip-agent")
    note = went_back.read_note()
    assert (note.from_version, note.to_version, note.unit) == ("2", "1", "nhip-agent")
    assert abs(note.at_ns - time.time_ns()) < 3600e9
    gateway.install("3")  # mended
    assert went_back.read_note() is None
    gateway.slots("back")
    assert gateway.runs() == "1"
    assert went_back.read_note() is None


def test_a_version_that_has_started_once_is_no_longer_on_trial(gateway):
    gateway.install("1")
    gateway.install("2", "nhip-agent", "nhip-center")
    gateway.slots("starting", "nhip-agent")
    gateway.slots("started", "nhip-agent")
    for _ in range(5):
        gateway.slots("starting", "nhip-agent")
    assert gateway.runs() == "2"
    for _ in range(4):
        gateway.slots("starting", "nhip-center")
    assert gateway.runs() == "1"


def test_without_a_version_before_the_only_one_stays(gateway):
    gateway.install("1")
    assert "no version before" in gateway.slots("back", code=1)
    assert gateway.runs() == "1"


def test_removing_takes_the_slots_and_nothing_else(gateway):
    gateway.install("1")
    gateway.install("2")
    (gateway.opt / "of-somebody-else").mkdir()
    gateway.slots("remove")
    assert [path.name for path in gateway.opt.iterdir()] == ["of-somebody-else"]


def _cut_after(gateway, steps, *words):
    """Runs `slots`, killed with all that it started after so many of its steps; False if it ended before."""
    traced = subprocess.Popen(
        ["sh", "-x", SLOTS, *words], env=gateway.env, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    seen = 0
    for line in traced.stderr:
        seen += line.startswith("+")
        if seen >= steps:
            os.killpg(traced.pid, signal.SIGKILL)
            break
    traced.stderr.close()
    traced.wait()  # with status 0 where its last step was over before the kill came
    return seen >= steps


def test_a_power_cut_between_any_two_steps_leaves_one_of_the_two_versions(tmp_path):
    found, steps = set(), 0
    while True:
        steps += 1
        folder = tmp_path / str(steps)
        folder.mkdir()
        gateway = Gateway(folder)
        gateway.install("1")
        gateway.unpack("2")
        cut = _cut_after(gateway, steps, "add", "2", "nhip-agent")
        found.add(gateway.runs())
        gateway.slots("add", "2", "nhip-agent")  # what `dpkg --configure -a` or installing the file again does
        assert gateway.runs() == "2"
        shutil.rmtree(folder)
        if not cut:
            break
    assert found == {"1", "2"}
    assert steps > 25
