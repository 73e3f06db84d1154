"""Enrolment with real Mosquitto: from the command to the last fact, and a secret replaced on the way."""

import json
import secrets
from contextlib import suppress

import pytest
from click.testing import CliRunner
from fault_history import site_file
from fault_stage import Stage, answers, eventually, free_port, mosquitto
from hypothesis import given
from hypothesis import strategies as st
from test_broker_accounts import Client
from test_kills import agrees

from center.accounts.enroll.mosquitto import hashed, passwords_text, rules_text
from center.commands import enroll as door
from wire.topics import CENTER, account, gateway_rules, topic

NAMES = st.sampled_from(["watcher", "van-long.main", "van-long.main.2", "hoa-binh.main", "nhip-center"])
WATCHER = "# of the operator\nuser watcher\ntopic read nhip/#\n"


def run(command, *arguments, code=0):
    outcome = CliRunner().invoke(command, [str(item) for item in arguments])
    assert outcome.exit_code == code, (outcome.output, outcome.exception)
    return outcome.output


class Enrolling:
    """A center's file with Mosquitto's files beside it; the operator has an account there already."""

    def __init__(self, folder):
        self.folder, self.file = folder, folder / "center.yaml"
        self.passwords, self.rules, self.pid = folder / "passwords", folder / "rules", folder / "mosquitto.pid"
        for path, text in ((self.passwords, self.line("watcher") + self.line(CENTER)), (self.rules, WATCHER)):
            path.write_text(text)
            path.chmod(0o600)
        (folder / "secret").write_text(CENTER)
        self.extra = (
            f"allow_anonymous false\npassword_file {self.passwords}\nacl_file {self.rules}\npid_file {self.pid}\n"
        )

    def line(self, name):
        return f"{name}:{hashed(name, secrets.token_bytes(12))}\n"

    def more(self, pid=True):
        told = f", pid_file: {self.pid}" if pid else ""
        files = f"enrolment: {{passwords: {self.passwords}, rules: {self.rules}{told}}}\n"
        return f"username: {CENTER}\npassword_file: {self.folder / 'secret'}\n{files}"

    def bundle(self, name="bundle", site="test", gateway="main"):
        out = self.folder / name
        run(door.enroll_gateway, self.file, site, gateway, "--out", out)
        assert out.stat().st_mode & 0o077 == 0
        return json.loads(out.read_text())


@pytest.fixture
def enrolling(tmp_path):
    made = Enrolling(tmp_path)
    made.port = free_port()
    made.file.write_text(
        f"broker: mqtt://127.0.0.1:{made.port}\nstore: {{kind: duckdb, file: {tmp_path / 'center.duckdb'}}}\n{made.more()}"
    )
    broker = mosquitto(tmp_path, made.port, made.extra)
    broker.start()
    eventually(lambda: answers(made.port) and made.pid.exists())
    yield made
    broker.kill()


def connected(enrolling, bundle):
    client = Client(enrolling.port, bundle["username"], 5, bundle["password"])
    try:
        return client.connected()
    finally:
        client.close()


def test_an_account_from_enrolment_to_revocation(enrolling):
    first, annex = enrolling.bundle(), enrolling.bundle("annex", gateway="annex")
    assert (first["username"], annex["username"]) == ("test.main", "test.annex")
    assert first["broker"] == f"mqtt://127.0.0.1:{enrolling.port}"
    eventually(lambda: connected(enrolling, first) and connected(enrolling, annex))
    client = Client(enrolling.port, first["username"], 5, first["password"])
    assert client.connected()
    assert client.say(topic("test", "main", "facts")) < 0x80
    for name in (topic("test", "annex", "facts"), topic("test", "main", "receipt"), "other"):
        assert client.say(name) == 0x87
    run(door.revoke_gateway, enrolling.file, "test", "main")
    eventually(lambda: not connected(enrolling, first))
    assert connected(enrolling, annex)
    assert connected(enrolling, {"username": "watcher", "password": "watcher"})
    assert WATCHER.strip() in enrolling.rules.read_text()
    rows = json.loads(run(door.list_enrolled, enrolling.file, "--json"))
    assert [(row["username"], row["revoked"]) for row in rows] == [("test.annex", False), ("test.main", True)]
    assert "nothing" in run(door.revoke_gateway, enrolling.file, "test", "main", "--lang", "en", code=1)
    for path in (enrolling.passwords, enrolling.rules):
        assert path.stat().st_mode & 0o777 == 0o600
        assert annex["password"] not in path.read_text()
    client.close()


def test_without_a_pid_file_one_is_told_what_to_do(enrolling):
    text = enrolling.file.read_text().replace(f", pid_file: {enrolling.pid}", "")
    enrolling.file.write_text(text)
    out = enrolling.folder / "b"
    assert "systemctl reload" in run(door.enroll_gateway, enrolling.file, "test", "--out", out, "--lang", "en")
    enrolling.pid.write_text("1")  # some other process: never signalled
    enrolling.file.write_text(text.replace(str(enrolling.rules), f"{enrolling.rules}, pid_file: {enrolling.pid}"))
    assert "systemctl reload" in run(door.enroll_gateway, enrolling.file, "test", "--out", out, "--lang", "en")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("Van Long",), 2, "a-z, 0-9"),
        (("a", "b.c"), 2, "a-z, 0-9"),
        (("test", "--out", "/no/such/folder/x"), 1, "Cannot write"),
    ],
)
def test_what_cannot_be_enrolled(enrolling, arguments, code, words):
    assert words in run(door.enroll_gateway, enrolling.file, *arguments, "--lang", "en", code=code)


def test_a_center_that_does_not_say_where_is_refused(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(f"broker: mqtt://127.0.0.1\nstore: {{kind: duckdb, file: {tmp_path / 'a.duckdb'}}}\n")
    assert "docs/accounts.md" in run(door.enroll_gateway, file, "test", "--lang", "en", code=2)


@given(st.lists(st.tuples(NAMES, st.booleans()), max_size=8))
def test_the_files_hold_what_is_enrolled_and_the_operator_s_own(steps):
    passwords, rules, valid = "operator:$7$1$a$b\n", f"topic read $SYS/#\n\n{WATCHER}", {}
    for name, gone in steps:
        ours = name.replace("watcher", "song-hong.main")
        valid.pop(ours, None) if gone else valid.update({ours: f"hash of {ours}"})
        dropped = [ours] if gone else []
        passwords = passwords_text(passwords, valid, dropped)
        rules = rules_text(rules, {key: f"user {key}\ntopic write nhip/{key}\n" for key in valid}, dropped)
        assert passwords_text(passwords, valid, dropped) == passwords  # again changes nothing
        assert rules_text(rules, {key: f"user {key}\ntopic write nhip/{key}\n" for key in valid}, dropped) == rules
    assert dict(line.split(":", 1) for line in passwords.splitlines()) == {"operator": "$7$1$a$b", **valid}
    assert {line.split()[1] for line in rules.splitlines() if line.startswith("user ")} == {"watcher", *valid}
    assert rules.startswith("topic read $SYS/#\n")
    assert rules.count("topic write") == len(valid)


def test_a_second_secret_has_the_same_rules():
    first, second = gateway_rules("a", "b").splitlines(), gateway_rules("a", "b", 2).splitlines()
    assert (first[0], second[0]) == ("user a.b", "user a.b.2")
    assert first[1:] == second[1:]
    assert account("a", "b", 2) not in (account("a", "b-2"), account("a-b", "2"))


def test_a_secret_is_replaced_and_no_fact_is_lost_or_comes_twice(tmp_path, expected):
    """Old and new open until the gateway was heard with the new one; then the broker throws the old one out."""
    enrolling = Enrolling(tmp_path)
    with suppress(FileNotFoundError):
        enrolling.pid.unlink()
    stage = Stage(tmp_path, make_broker=lambda folder, port: mosquitto(folder, port, enrolling.extra))
    enrolling.port = stage.port
    with enrolling.file.open("a") as file:
        file.write(enrolling.more())
    old = enrolling.bundle()
    site = site_file(tmp_path, stage.port)
    text = site.read_text(encoding="utf-8")
    link = f'{{broker: "mqtt://127.0.0.1:{stage.port}"}}'
    assert link in text
    site.write_text(text.replace(link, f'{{bundle: "{tmp_path / "bundle"}"}}'), encoding="utf-8")
    with stage:
        stage.feed(4)
        eventually(lambda: stage.computed() >= 4 and stage.delivered(), what="the first files")
        new = enrolling.bundle("next")
        assert (new["username"], new["serial"]) == ("test.main.2", 2)
        eventually(lambda: connected(enrolling, new), what="the broker with the new secret")
        assert connected(enrolling, old)
        stage.feed(8)
        refused = run(door.revoke_gateway, enrolling.file, "test", "--old", "--lang", "en", code=1)
        assert "has not connected with secret 2 yet (in use: 1)" in refused
        (tmp_path / "next").replace(tmp_path / "bundle")  # what the technician does on the gateway
        stage.feed(12)
        eventually(lambda: _serial(stage) == 2, what="the gateway with its new secret")
        run(door.revoke_gateway, enrolling.file, "test", "--old")
        eventually(lambda: not connected(enrolling, old), what="the old secret refused")
        agrees(stage.finish(), expected)


def _serial(stage):
    found = stage.api("sites/test")
    return found and found["gateways"][0]["online"] and found["gateways"][0]["health"].get("secret_serial")
