"""A fork of the prepared interpreter is to a test what a process of its own is."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import prepared
import pytest
from servers import PATIENCE_S

ROOT = Path(__file__).parents[1]
SAID = prepared.preparable("""
import json, os, signal, sys
mask = os.umask(0)
print(json.dumps({
    "argv": sys.argv, "path": sys.path, "folder": os.getcwd(), "environment": dict(os.environ), "parent": os.getppid(),
    "session": os.getsid(0) == os.getpid(), "group": os.getpgid(0) == os.getpid(), "umask": mask,
    "said": sys.stdin.read(), "descriptors": sorted(os.listdir("/proc/self/fd")), "name": __name__,
    "streams": [(each.encoding, each.errors, each.line_buffering, each.mode) for each in (sys.stdin, sys.stdout, sys.stderr)],
    "signals": [str(signal.getsignal(each)) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)],
    "threads": len(os.listdir("/proc/self/task")),
}))
print("một lời than phiền", file=sys.stderr)
""")
ENDS = prepared.preparable("""
import atexit, signal, sys, threading, time
atexit.register(print, "at exit")
threading.Timer(0.1, print, ["a thread"]).start()
how = sys.argv[1]
if how == "signal":
    signal.raise_signal(signal.SIGTERM)
elif how == "error":
    raise ValueError("no")
elif how == "interrupt":
    raise KeyboardInterrupt
elif how != "returns":
    sys.exit({"none": None, "text": "why", "big": 257}.get(how) or (int(how) if how.isdigit() else None))
""")

pytestmark = pytest.mark.cold_start  # beside the interpreters of this file


@pytest.fixture(scope="module")
def interpreters():
    """Of this file alone."""
    found = prepared.Interpreters()
    found.cold = False
    yield found
    found.close()


@pytest.fixture
def both_ways(interpreters, monkeypatch):
    """Runs something cold and as a fork: what came of the two."""

    def run(start):
        prepared.install(interpreters)
        with prepared.cold_start(interpreters):
            cold = start()
        for _ in range(prepared.COLD):
            start()
        before = interpreters.forked
        forked = start()
        assert interpreters.forked == before + 1
        return cold, forked

    monkeypatch.setattr(subprocess.Popen, "_execute_child", subprocess.Popen._execute_child)
    return run


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("more", [{}, {"start_new_session": True}, {"process_group": 0}, {"umask": 0o27}])
def test_a_fork_finds_what_a_process_finds(both_ways, tmp_path, more, unbuffered):
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "center")])
    environment = {**os.environ, "PYTHONPATH": path, "TZ": "Asia/Tokyo", "OWN": "ừ", "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-c", SAID, "--lang", "một"]

    def start():
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            input="chào",
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            **more,
        )

    cold, forked = both_ways(start)
    assert json.loads(forked.stdout) == json.loads(cold.stdout)
    assert json.loads(forked.stdout)["parent"] == os.getpid()
    assert (forked.stderr, forked.returncode) == (cold.stderr, cold.returncode)


@pytest.mark.parametrize("how", ["returns", "none", "0", "3", "256", "big", "text", "signal", "error", "interrupt"])
def test_a_fork_ends_as_a_process_does(both_ways, how):
    def start():
        done = subprocess.run(
            [sys.executable, "-c", ENDS, how], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
        )
        return done.returncode, done.stdout, done.stderr.splitlines()[-1:]

    cold, forked = both_ways(start)
    assert forked == cold
    assert forked[0] != 0 or forked[1] == "a thread\nat exit\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_a_fork_is_ended_by_signals(both_ways, number):
    waits = prepared.preparable("import time; print('here', flush=True); time.sleep(600)")

    def start():
        with subprocess.Popen(
            [sys.executable, "-c", waits], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as child:
            assert child.stdout.readline() == b"here\n"
            child.send_signal(number)
            return child.wait(PATIENCE_S)

    assert both_ways(start) == (-number, -number)


def test_a_command_says_the_same(both_ways):
    def start():
        command = [sys.executable, "-m", "nhip", "check", "--offline", "config/examples/van-long.yaml", "--lang", "vi"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
        return done.returncode, done.stdout, done.stderr

    cold, forked = both_ways(start)
    assert forked == cold
    assert forked[0] == 0


@pytest.mark.parametrize(
    ("command", "more"),
    [
        ([sys.executable, "-c", "import sys; print(len(sys.modules))"], {}),
        ([sys.executable, "-I", "-m", "nhip", "--version"], {}),
        ([sys.executable, "-m", "nhip", "--version"], {"preexec_fn": lambda: None}),
        ([sys.executable, "-m", "nhip", "--version"], {"cwd": "a copy"}),
    ],
)
def test_what_a_fork_cannot_be_starts_as_always(both_ways, tmp_path, command, more):
    if "cwd" in more:
        (tmp_path / "nhip.py").write_text("print('of the copy')")
        more = {"cwd": tmp_path}
    with pytest.raises(AssertionError):
        both_ways(lambda: subprocess.run(command, capture_output=True, timeout=PATIENCE_S, **{"cwd": ROOT, **more}))


def test_another_environment_of_the_loader_has_an_interpreter_of_its_own(both_ways):
    echoed = prepared.preparable("import sys; print(sys.flags.utf8_mode, sys.flags.hash_randomization)")

    def start(value):
        environment = {**os.environ, "PYTHONUTF8": value}
        return subprocess.run(
            [sys.executable, "-c", echoed], cwd=ROOT, env=environment, capture_output=True, text=True
        ).stdout

    assert [both_ways(lambda value=value: start(value)) for value in ("1", "0")] == [
        ("1 1\n", "1 1\n"),
        ("0 1\n", "0 1\n"),
    ]
