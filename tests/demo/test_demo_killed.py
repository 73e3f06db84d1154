"""The whole chain with the agent killed on the way, over a real Mosquitto."""

import socket
import subprocess

import pytest
from nhip_demo import demo
from servers import PATIENCE_S


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
    process.wait(PATIENCE_S)


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
