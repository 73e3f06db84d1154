"""The whole chain against the simulator's truth: real processes, real sockets, real brokers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from urllib.request import urlopen

import pytest

from demo.stage import Child, StageBroken

NHIP = [sys.executable, "-m", "nhip"]


def demo(tmp_path, *more, timeout=300):
    report = tmp_path / "report.json"
    command = [*NHIP, "demo", "--report", str(report), "--folder", str(tmp_path / "stage"), "--lang", "en", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    return done, json.loads(report.read_text()) if report.exists() else None


@pytest.fixture
def mosquitto(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(config)], stderr=subprocess.DEVNULL)
    yield f"mqtt://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)


@pytest.mark.timeout(400)
def test_the_center_tells_the_simulators_truth(tmp_path):
    """Over the embedded broker (amqtt, MQTT 3.1.1)."""
    done, report = demo(tmp_path, "--for", "60s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert report["ok"]
    assert set(report["machines"]) == {"press-1", "cnc-1", "cnc-2", "inj-1", "pack-1", "sew-1"}
    assert sum(item["truth"]["pieces"] for item in report["machines"].values()) > 20
    assert report["delivery"]["missing"] == 0
    assert report["delivery"]["delivered"] > 0


@pytest.mark.timeout(400)
def test_a_killed_agent_leaves_an_unknown_gap_and_everything_else_is_true(tmp_path, mosquitto):
    """Over Mosquitto (MQTT 5). The gap is unknown, its pieces unwatched, everything else equal."""
    done, report = demo(tmp_path, "--for", "60s", "--kill-agent-after", "25s", "--broker", mosquitto)
    assert done.returncode == 0, done.stdout + done.stderr
    assert report["ok"]
    for name, item in report["machines"].items():
        assert len(report["gaps"][name]) == 1, name
        assert 8_000 <= item["measured"]["ms"]["unknown"] <= 25_000, name
        assert item["measured"]["pieces"] == item["truth"]["pieces"], name
    assert sum(item["measured"]["unwatched"] for item in report["machines"].values()) > 0


@pytest.mark.timeout(200)
def test_the_demo_makes_history_and_ends_cleanly_on_ctrl_c(tmp_path):
    command = [*NHIP, "demo", "--days", "1", "--port", "0", "--folder", str(tmp_path / "stage"), "--lang", "vi"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        text = ""
        while "/docs" not in text:
            line = process.stdout.readline()
            assert line, text
            text += line
        url = next(word for word in text.split() if word.startswith("http"))
        with urlopen(f"{url}/api/v1/trend?site=song-hong&bucket=all", timeout=30) as answer:
            rows = json.load(answer)["rows"]
        assert len(rows) == 6
        assert all(row["kpis"]["coverage"] > 0.9 for row in rows)
        children = _children(process.pid)
        assert len(children) >= 3
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 0
        assert not [pid for pid in children if _alive(pid)]
    finally:
        if process.poll() is None:  # it ends its children; a kill would orphan them
            process.terminate()
            process.wait(60)


def _children(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_part_that_dies_is_named_with_its_last_words(tmp_path):
    child = Child("agent", ["agent", str(tmp_path / "nowhere.yaml")], tmp_path / "agent.log")
    child.start()
    end = time.monotonic() + 30
    with pytest.raises(StageBroken, match=r"agent ended with status 2:[\s\S]*nowhere\.yaml"):
        while time.monotonic() < end:
            child.check()
            time.sleep(0.1)
