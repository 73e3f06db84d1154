"""A center and a gateway, each in a fresh Debian: an agent delivers from a simulated PLC, and both are updated meanwhile.

NHIP_PACKAGE and NHIP_CENTER_PACKAGE name packages that are already built; else the last commit is built.
"""

import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from debian import ANSWERS, OUTBOX, built, fresh_root, simulated
from servers import answers, eventually, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]
A_MINUTE_OVER_S = 300
"""How long to wait for facts: those of a minute are sent when it is over."""
CENTER = """name: Trung tâm
listen: 127.0.0.1:{port}
broker: mqtt://127.0.0.1:{broker}
username: nhip-center
password_file: /etc/nhip/broker-password
accounts: off
store: {{kind: duckdb, file: /var/lib/nhip/nhip.duckdb}}
enrolment: {{passwords: /var/lib/nhip/passwords, rules: /var/lib/nhip/rules, broker: "mqtt://127.0.0.1:{broker}"}}
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """That of the agent and that of the center."""
    folder = tmp_path_factory.mktemp("packages")
    given = [os.environ.get(name) for name in ("NHIP_PACKAGE", "NHIP_CENTER_PACKAGE")]
    agent = Path(given[0]) if given[0] else built("nhip-agent", folder, "--compress", "gzip")
    center = Path(given[1]) if given[1] else built("nhip-center", folder, "--compress", "none")
    return agent, center


@contextmanager
def broker(files, port):
    """Mosquitto with the accounts that `nhip enroll` wrote into the center's root."""
    config = files / "mosquitto.conf"
    accounts = f"password_file {files}/passwords\nacl_file {files}/rules\nallow_anonymous false\n"
    config.write_text(f"listener {port} 127.0.0.1\nuser root\npersistence false\n{accounts}")
    process = subprocess.Popen(["mosquitto", "-c", config], stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: answers(port))
        yield
    finally:
        process.terminate()
        process.wait()


def enrolled(host, gateway, port, broker_port):
    """The center's file and accounts, and the gateway's bundle in its place; the folder of the broker's files."""
    (host.folder / "etc/nhip/center.yaml").write_text(CENTER.format(port=port, broker=broker_port))
    secret = "echo secret > /etc/nhip/broker-password; chown root:nhip /etc/nhip/*; chmod 640 /etc/nhip/*"
    host.run("sh", "-c", secret)
    files = host.folder / "var/lib/nhip"
    host.run("sh", "-c", "echo nhip-center:secret > /var/lib/nhip/passwords", user="nhip")
    subprocess.run(["mosquitto_passwd", "-U", files / "passwords"], check=True)
    host.run("nhip", "enroll", "/etc/nhip/center.yaml", "tan-phat", "--out", "/var/lib/nhip/b", user="nhip")
    bundle = gateway.put(files / "b")
    gateway.run("install", "-o", "nhip", "-g", "nhip", "-m", "600", bundle, "/etc/nhip/tan-phat.bundle")
    return files


def test_a_gateway_delivers_to_a_center_while_both_are_updated(tmp_path, packages):
    agent, center = packages
    port, broker_port = free_port(), free_port()
    folders = [tmp_path / name for name in ("gateway", "center")]
    for folder in folders:
        folder.mkdir()
    with fresh_root(folders[0]) as gateway, fresh_root(folders[1]) as host:
        gateway.run("dpkg", "-i", gateway.put(agent))
        host.run("dpkg", "-i", host.put(center))
        files = enrolled(host, gateway, port, broker_port)

        def at_center():
            """Pieces of all days, as the center answers."""
            rows = httpx.get(
                f"http://127.0.0.1:{port}/api/v1/trend",
                params={"site": "tan-phat", "bucket": "day", "from": "2026-01-01"},
            )
            if rows.status_code == 404:  # it has not heard of the site yet
                return 0
            return sum(row["sums"]["pieces_total"] for row in rows.raise_for_status().json()["rows"])

        def told():
            """What the gateway says of a version that did not start."""
            [row] = httpx.get(f"http://127.0.0.1:{port}/api/v1/gateways").raise_for_status().json()
            return row["went_back"]

        def waiting():
            return json.loads(gateway.run("nhip", "outbox", OUTBOX, "--json"))["waiting"]

        with broker(files, broker_port), simulated(tmp_path) as plc:
            gateway.run("nhip", "init", "/root/site.yaml", "--yes", "--device", f"lathe=127.0.0.1:{plc}", *ANSWERS)
            site = gateway.folder / "root/site.yaml"
            site.write_text(f"{site.read_text()}\ncenter: {{bundle: /etc/nhip/tan-phat.bundle}}\n")
            gateway.run("install", "-m", "640", "-g", "nhip", "/root/site.yaml", "/etc/nhip/site.yaml")
            with gateway.service("nhip-agent"):
                with host.service("nhip-center"):
                    gateway.run("nhip", "clock", "confirm", OUTBOX, "--yes", user="nhip")
                    before = eventually(at_center, A_MINUTE_OVER_S, 1)
                host.update("9.0-1")
                eventually(waiting, A_MINUTE_OVER_S, 1)  # nobody receipts now
                with host.service("nhip-center"):
                    assert at_center() >= before
                    after = eventually(lambda: (more := at_center()) > before and more, A_MINUTE_OVER_S, 1)
                    eventually(lambda: waiting() == 0, A_MINUTE_OVER_S, 1)
                    assert at_center() >= after
                    assert told() is None
                    gateway.update("9.0-1", "nhip-agent")  # under the agent that runs
                    after = eventually(lambda: (more := at_center()) > after and more, A_MINUTE_OVER_S, 1)
            with host.service("nhip-center"):
                gateway.run("/usr/lib/nhip/slots", "starting", "nhip-agent")
                with gateway.service("nhip-agent"):  # the new version
                    gateway.run("/usr/lib/nhip/slots", "started", "nhip-agent")
                    eventually(lambda: at_center() > after, A_MINUTE_OVER_S, 1)
                    assert told() is None
                gateway.update("9.1-1", "nhip-agent")
                for _ in range(4):
                    gateway.run("/usr/lib/nhip/slots", "starting", "nhip-agent")
                assert gateway.slot() == "9.0-1"
                with gateway.service("nhip-agent"):
                    assert eventually(told, A_MINUTE_OVER_S, 1)["from_version"] == "9.1-1"
