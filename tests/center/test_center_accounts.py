"""The center as a process that asks who it is: encrypted, behind a proxy, and reached by commands at its machine."""

import datetime as dt
import ipaddress
import json
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from center_plant import eventually, free_port
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from servers import PATIENCE_S

from center.commands import accounts as door
from center.commands.quarantine import quarantine

ROOT = Path(__file__).parents[2]
PAGE = {"Accept": "text/html"}


def certificate(folder):
    """One that signs itself, for 127.0.0.1."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "center")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "center.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    written = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "center.key").write_bytes(written)
    return str(folder / "center.pem")


def run(command, *arguments, code=0):
    outcome = CliRunner().invoke(command, [str(item) for item in arguments])
    assert outcome.exit_code == code, (outcome.output, outcome.exception)
    return outcome.output


class Process:
    """A running center with one administrator."""

    def __init__(self, folder, more):
        self.file, ready, port = folder / "center.yaml", folder / "ready", free_port()
        store = f"{{kind: duckdb, file: {folder / 'nhip.duckdb'}}}"
        self.file.write_text(f"broker: mqtt://127.0.0.1:9\nlisten: 127.0.0.1:{port}\nstore: {store}\n{more}")
        out = run(door.user, "add", self.file, "hoa", "--role", "admin", "--generate", "--lang", "en")
        self.password = out.split()[-1]
        command = [sys.executable, "-m", "nhip", "center", str(self.file), "--ready-file", str(ready)]
        self.child = subprocess.Popen(command, cwd=ROOT)
        eventually(ready.exists)
        self.url = json.loads(ready.read_text())["url"]

    def close(self):
        self.child.send_signal(signal.SIGTERM)
        assert self.child.wait(PATIENCE_S) == 0

    def log_in(self, client, **headers):
        return client.post("/login", data={"name": "hoa", "password": self.password}, headers=headers)

    def trail(self):
        return json.loads(run(door.show_audit, self.file, "--json"))["rows"]


@pytest.mark.parametrize(
    ("lang", "people", "programs", "changes"),
    [
        (
            "vi",
            ["Tên đăng nhập", "Quản trị trung tâm", "Mọi nhà máy", "chưa lần nào", "Kỹ sư trung tâm", "hoa-binh", "Đã khóa"],
            ["Chỉ đọc", "Hết hạn", "Giám sát trung tâm", "Không hết hạn"],
            ["Khóa tài khoản lan", "Tạo mã truy cập grafana  nhà máy: hoa-binh · quyền: Chỉ đọc", "tại máy trung tâm"],
        ),
        (
            "en",
            ["Login name", "Center administrator", "All sites", "never", "Center engineer", "hoa-binh", "Disabled"],
            ["Read", "Expires", "Watch the center", "Never expires"],
            ["Disabled the account lan", "Created the token grafana  sites: hoa-binh · scope: Read", "at the center's machine"],
        ),
    ],
)  # fmt: skip
def test_lists_use_the_words_of_the_pages(tmp_path, lang, people, programs, changes):
    file = tmp_path / "center.yaml"
    store = f"{{kind: duckdb, file: {tmp_path / 'nhip.duckdb'}}}"
    file.write_text(f"broker: mqtt://127.0.0.1:9\nlisten: 127.0.0.1:{free_port()}\nstore: {store}\n")
    said = ("--lang", lang)
    empty = run(door.user, "list", file, *said) + run(door.token, "list", file, *said)
    assert len(empty.splitlines()) == 2
    run(door.user, "add", file, "hoa", "--role", "admin", "--generate", *said)
    run(door.user, "add", file, "lan", "--role", "engineer", "--site", "hoa-binh", "--generate", *said)
    run(door.user, "disable", file, "lan", *said)
    run(door.token, "add", file, "grafana", "--site", "hoa-binh", "--days", 30, *said)
    run(door.token, "add", file, "prometheus", "--scope", "watch", *said)
    for command, arguments, words in (
        (door.user, ["list"], people), (door.token, ["list"], programs), (door.show_audit, [], changes)
    ):  # fmt: skip
        shown = run(command, *arguments, file, *said)
        assert [word for word in words if word not in shown] == [], shown


@pytest.fixture
def started(tmp_path):
    made = []

    def start(more):
        made.append(Process(tmp_path, more))
        return made[-1]

    yield start
    for process in made:
        process.close()


def test_an_encrypted_center(started, tmp_path):
    pem = certificate(tmp_path)
    center = started(f"https: {{certificate: {pem}, key: {tmp_path / 'center.key'}}}\nmonitoring: accounts\n")
    assert center.url.startswith("https://")
    with httpx.Client(
        base_url=center.url, verify=ssl.create_default_context(cafile=pem), trust_env=False, timeout=PATIENCE_S
    ) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/", headers=PAGE).headers["location"].startswith("/login")
        held = center.log_in(client).headers["set-cookie"].lower()
        assert "secure" in held
        assert client.get("/metrics").status_code == 200
        assert client.get("/api/v1/sites").json() == []
    assert json.loads(run(quarantine, "list", center.file, "--json"))["count"] == 0  # through the running center
    run(door.user, "password", center.file, "hoa", "--generate")
    assert [row["what"] for row in center.trail()] == ["user.password", "login", "user.added"]


@pytest.mark.parametrize(("more", "address"), [("", "127.0.0.1"), ("proxy: 127.0.0.1\n", "198.51.100.7")])
def test_who_asks_through_a_proxy(started, more, address):
    """Only a proxy that the file names is believed."""
    center = started(more)
    with httpx.Client(base_url=center.url, trust_env=False, timeout=PATIENCE_S) as client:
        assert center.log_in(client, **{"X-Forwarded-For": "198.51.100.7"}).status_code == 303
        assert client.get("/metrics", headers={"X-Forwarded-For": "198.51.100.7", "Cookie": ""}).status_code == 401
        assert client.get("/metrics", headers={"Cookie": ""}).status_code == 200
    assert center.trail()[0]["address"] == address


def test_without_accounts_only_names_of_this_machine_are_answered(started):
    center = started("accounts: off\n")
    with httpx.Client(base_url=center.url, trust_env=False, timeout=PATIENCE_S) as client:
        assert client.get("/api/v1/sites").json() == []
        assert client.get("/api/v1/sites", headers={"Host": "evil.example"}).status_code == 403
        assert client.get("/", headers=PAGE).status_code == 200
        assert "account" not in client.get("/", headers=PAGE).text.replace("accounts", "")
        assert client.get("/admin", headers=PAGE).status_code == 404
