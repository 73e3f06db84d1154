"""What operators are handed is read by the programs that it is written for, as far as those can be had."""

import json
import re
import secrets
import shutil
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from certificates import Authority
from click.testing import CliRunner
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from ruamel.yaml import YAML
from servers import PATIENCE_S, answers, eventually, free_port

from center.accounts.enroll.mosquitto import hashed
from center.commands import enroll as door
from config import load_center
from wire.topics import CENTER, topic

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DEBIAN = """persistence true
persistence_location {folder}/data/
log_dest stdout
pid_file {folder}/pid
user root
include_dir {folder}/conf.d
"""


def _placed(text, places):
    for old, new in places.items():
        assert old in text, old
        text = text.replace(old, str(new))
    return text


class Installed:
    """Broker and center's file as deploy/README.md says, in a folder of the test's."""

    def __init__(self, folder, config):
        self.tls, self.plain = free_port(), free_port()
        authority = Authority(folder)
        authority.issue("server")
        accounts = folder / "accounts"
        for name in ("data", "conf.d", "accounts"):
            (folder / name).mkdir()
        (accounts / "rules").touch(0o600)
        (accounts / "passwords").write_text(f"{CENTER}:{hashed('center secret', secrets.token_bytes(12))}\n")
        (accounts / "passwords").chmod(0o600)
        places = {
            "/var/lib/nhip-broker": accounts,
            "/etc/nhip/tls/ca.pem": folder / "ca.pem",
            "/etc/nhip/tls/broker.pem": folder / "server.pem",
            "/etc/nhip/tls/broker.key": folder / "server.key",
            "listener 8883": f"listener {self.tls} 127.0.0.1",
        }
        text = _placed(config.read_text(encoding="utf-8"), places)
        text = re.sub(r"^listener 1883.*$", f"listener {self.plain} 127.0.0.1", text, flags=re.MULTILINE)
        text = re.sub(r"^(persistence|persistence_location|log_dest|pid_file) .*\n", "", text, flags=re.MULTILINE)
        (folder / "conf.d" / "nhip.conf").write_text(text, encoding="utf-8")
        (folder / "mosquitto.conf").write_text(DEBIAN.format(folder=folder))
        self.folder, self.accounts = folder, accounts
        self.center = folder / "center.yaml"

    def enroll(self, site):
        settings = (DEPLOY / "center.yaml").read_text(encoding="utf-8")
        settings = _placed(
            settings,
            {
                "mqtt://127.0.0.1:1883": f"mqtt://127.0.0.1:{self.plain}",
                "mqtts://mqtt.example.vn:8883": f"mqtts://127.0.0.1:{self.tls}",
                "/var/lib/nhip-broker": self.accounts,
                "/etc/nhip/tls": self.folder,
                "/var/lib/nhip/": f"{self.folder}/",
            },
        )
        pid_file = f"enrolment:\n  pid_file: {self.folder / 'pid'}"
        self.center.write_text(settings.replace("enrolment:", pid_file), encoding="utf-8")
        out = self.folder / f"{site}.bundle"
        done = CliRunner().invoke(door.enroll_gateway, [str(self.center), site, "--out", str(out)])
        assert done.exit_code == 0, done.output
        return json.loads(out.read_text())


@pytest.mark.parametrize("config", ["mosquitto/nhip.conf", "compose/mosquitto.conf"])
def test_mosquitto_reads_its_configuration_and_lets_gateways_say_only_what_is_theirs(tmp_path, config):
    installed = Installed(tmp_path, DEPLOY / config)
    command = [shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", str(tmp_path / "mosquitto.conf")]
    with (tmp_path / "log").open("wb") as log:
        broker = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: answers(installed.tls), what=(tmp_path / "log").read_text)
        bundle = installed.enroll("van-long")
        assert bundle["broker"] == f"mqtts://127.0.0.1:{installed.tls}"
        eventually(lambda: _said(bundle, topic("van-long", "main", "facts")) in (0x00, 0x10))  # no subscribers: fine
        assert _said(bundle, topic("song-hong", "main", "facts")) == 0x87  # not authorized
        assert _said(bundle | {"password": "guessed"}, topic("van-long", "main", "facts")) is None
        other = installed.enroll("song-hong")
        with _connected(bundle, "van-long.main") as mine, _connected(other, "van-long.main") as theirs:
            assert theirs.is_connected()
            assert _answered(mine)
            with _connected(bundle, "van-long.main") as box:  # a second box with the same bundle still ends the first
                eventually(lambda: not mine.is_connected())
                assert _answered(box)
                properties = Properties(PacketTypes.PUBLISH)
                properties.UserProperty = [("a", "x" * 60_000)] * 160  # the size of whole packets counts
                box.publish(topic("van-long", "main", "facts"), b"x", 1, properties=properties)
                eventually(lambda: not box.is_connected())
                assert theirs.is_connected()
    finally:
        broker.terminate()
        broker.wait(PATIENCE_S)


@contextmanager
def _connected(bundle, client_id):
    """Somebody with this account and this client id, once the broker has answered."""
    host, _, port = bundle["broker"].removeprefix("mqtts://").partition(":")
    client = paho.Client(
        CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5, reconnect_on_failure=False
    )
    client.tls_set_context(ssl.create_default_context(cadata=bundle["ca"]))
    client.username_pw_set(bundle["username"], bundle["password"])
    client.connect(host, int(port))
    client.loop_start()
    try:
        eventually(client.is_connected)
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def _answered(client):
    """Whether the broker still answers a client's subscription."""
    over = threading.Event()
    client.on_subscribe = lambda *_: over.set()
    client.subscribe("nhip/v1/van-long/main/receipt", 1)
    return over.wait(PATIENCE_S)


def _said(bundle, where):
    """The broker's answer to a publish over TLS; None if it lets nobody in."""
    host, _, port = bundle["broker"].removeprefix("mqtts://").partition(":")
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5, reconnect_on_failure=False)
    client.tls_set_context(ssl.create_default_context(cadata=bundle["ca"]))
    client.username_pw_set(bundle["username"], bundle["password"])
    over, found = threading.Event(), []

    def connected(client, _data, _flags, reason, _properties):
        if reason.is_failure:
            over.set()
        else:
            client.publish(where, b"x", 1)

    def published(_client, _data, _mid, reason, _properties):
        found.append(reason.value)
        over.set()

    client.on_connect, client.on_publish = connected, published
    client.connect(host, int(port))
    client.loop_start()
    assert over.wait(PATIENCE_S)
    client.disconnect()
    client.loop_stop()
    return found[0] if found else None


@pytest.mark.parametrize("file", ["center.yaml", "compose/center.yaml"])
def test_centers_files_are_sound(file):
    assert load_center(DEPLOY / file).enrolment is not None


@pytest.mark.parametrize("unit", sorted((DEPLOY / "systemd").iterdir()), ids=lambda path: path.name)
def test_systemd_finds_nothing_wrong(tmp_path, unit):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    for path in (DEPLOY / "systemd").iterdir():
        text = path.read_text(encoding="utf-8").replace("/opt/nhip/bin/nhip", "/bin/true")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit.name)], capture_output=True, text=True
    )
    told = [line for line in (done.stdout + done.stderr).splitlines() if unit.stem in line]
    assert told == []


@pytest.mark.parametrize("unit", sorted((DEPLOY / "systemd").glob("*.service")), ids=lambda path: path.name)
def test_units_may_do_little(unit):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True)
    exposure = re.search(r"Overall exposure level for .*: ([\d.]+)", done.stdout)
    if exposure is None:
        pytest.skip(f"this systemd-analyze reads no files: {done.stderr}")
    assert float(exposure[1]) <= 2.0, done.stdout


_WITHOUT_NEW_CODE = """
import ctypes, os, sys
if ctypes.CDLL(None, use_errno=True).prctl(65, 1, 0, 0, 0):  # PR_SET_MDWE, Linux 6.3
    sys.exit(77)
import argon2, duckdb, fastapi, nicegui, numpy, pyarrow.parquet, reportlab, scipy.special, sqlalchemy, ssl, uvicorn
import paho.mqtt.client, pymodbus, asyncua, cryptography.x509
assert duckdb.connect().execute("SELECT sum(range) FROM range(1000)").fetchone() == (499500,)
assert argon2.PasswordHasher().verify(argon2.PasswordHasher().hash("x"), "x")
assert scipy.special.stdtrit(3, 0.9) > 1.6
"""


def test_no_library_makes_code_while_it_runs():
    """`MemoryDenyWriteExecute` of the units: the kernel refuses the same with MDWE."""
    done = subprocess.run([sys.executable, "-c", _WITHOUT_NEW_CODE], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("this kernel has no MDWE")
    assert done.returncode == 0, done.stderr


def test_the_broker_s_password_is_in_no_process_list(tmp_path):
    """The lines of the README that make the center's account, with the paths of a test: what they leave is a hash."""
    lines = [
        line for line in (DEPLOY / "README.md").read_text(encoding="utf-8").splitlines() if "broker/passwords" in line
    ]
    assert len(lines) == 2
    (tmp_path / "broker-password").write_text("a secret that is long\n")
    for line in lines:
        placed = line.replace("/var/lib/nhip-broker", str(tmp_path)).replace("/etc/nhip", str(tmp_path))
        subprocess.run(["sh", "-c", placed.replace("sudo -u nhip ", "")], check=True)
    kept = (tmp_path / "passwords").read_text()
    assert kept.startswith("nhip-center:$7$")
    assert "secret" not in kept


def test_compose_keeps_apart_what_need_not_meet():
    """The broker faces the internet: it shares no network with InfluxDB and no folder of keys with the console."""
    services = YAML(typ="safe").load((DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert not {*services["broker"]["networks"]} & {*services["influxdb"]["networks"]}
    assert {*services["center"]["networks"]} >= {*services["influxdb"]["networks"]}
    folders = {name: {item.split(":")[0] for item in services[name]["volumes"] if "tls" in item} for name in services}
    assert not folders["broker"] & folders["center"]


def test_compose_names_only_what_is_there():
    compose = YAML(typ="safe").load((DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8"))
    made_by_hand = {"tls/broker", "tls/center", "broker-password"}
    for name, service in compose["services"].items():
        assert "image" in service, name
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert source[2:] in made_by_hand or (DEPLOY / "compose" / source).exists(), source
            else:
                assert source in compose["volumes"], source
    build = compose["services"]["center"]["build"]
    assert (DEPLOY / "compose" / build["context"] / build["dockerfile"]).exists()
