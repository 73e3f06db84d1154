"""Accounts on a real Mosquitto with the rules that this program writes: a gateway speaks for itself alone."""

import signal
import subprocess
import threading

import paho.mqtt.client as paho
import pytest
from fault_history import site_file
from fault_stage import Stage, answers, eventually, free_port, mosquitto
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from servers import PATIENCE_S
from test_kills import agrees

from wire.topics import CENTER, FROM_CENTER, FROM_GATEWAY, account, center_rules, gateway_rules, topic

USERS = ("van-long.main", "van-long.annex", "van-long-2.main", CENTER, "watcher")
NOT_AUTHORIZED = 0x87


def rules():
    gateways = [tuple(user.split(".")) for user in USERS if "." in user]
    return center_rules() + "".join(gateway_rules(*item) for item in gateways) + "user watcher\ntopic read nhip/#\n"


def secured(folder, acl, users=USERS):
    """The broker's settings: a password for each user, which is its name, and nobody without."""
    passwords, access = folder / "passwords", folder / "acl"
    passwords.touch(0o600)
    for user in users:
        subprocess.run(["mosquitto_passwd", "-b", str(passwords), user, user], check=True, capture_output=True)
    access.write_text(acl)
    access.chmod(0o600)
    return f"allow_anonymous false\npassword_file {passwords}\nacl_file {access}\n"


class Client:
    """Speaks one version of MQTT as one user; keeps what it hears."""

    def __init__(self, port, user, version, password=None):
        self.heard, self.reasons, self.refused = [], {}, None
        self._up = threading.Event()
        protocol = MQTTProtocolVersion.MQTTv5 if version == 5 else MQTTProtocolVersion.MQTTv311
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=protocol, reconnect_on_failure=False)
        if user:
            self._client.username_pw_set(user, password or user)
        self._client.on_connect = self._connected
        self._client.on_subscribe = lambda *_: self._up.set()
        self._client.on_message = lambda _c, _u, message: self.heard.append((message.topic, message.payload))
        self._client.on_publish = lambda _c, _u, mid, reason, _p: self.reasons.__setitem__(mid, reason.value)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _connected(self, _client, _data, _flags, reason, _properties):
        self.refused = reason.is_failure
        self._up.set()

    def connected(self):
        assert self._up.wait(PATIENCE_S)
        return not self.refused

    def listen(self, *names):
        self._up.clear()
        self._client.subscribe([(name, 1) for name in names])
        assert self._up.wait(PATIENCE_S)

    def say(self, name, text="x", retain=True):
        """The broker's answer."""
        info = self._client.publish(name, text, 1, retain)
        info.wait_for_publish(10)
        return eventually(lambda: (self.reasons.get(info.mid),) if info.mid in self.reasons else None)[0]

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path):
    port = free_port()
    process = mosquitto(tmp_path, port, secured(tmp_path, rules()))
    process.start()
    eventually(lambda: answers(port))
    yield port
    process.kill()


@pytest.fixture
def clients(broker):
    made = []

    def make(user, version, password=None):
        made.append(Client(broker, user, version, password))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.mark.parametrize("version", [5, 3])
def test_a_gateway_speaks_for_itself_alone(clients, version):
    watcher, mine = clients("watcher", 5), clients("van-long.main", version)
    watcher.listen("nhip/#")
    own = [topic("van-long", "main", kind) for kind in FROM_GATEWAY]
    for name in own:
        assert mine.say(name) < 0x80
    foreign = [
        topic(site, gateway, kind)
        for site, gateway in (("van-long", "annex"), ("van-long-2", "main"), ("unknown", "main"))
        for kind in (*FROM_GATEWAY, *FROM_CENTER)
    ]
    forged = [topic("van-long", "main", kind) for kind in FROM_CENTER]
    stray = ["nhip/v1/van-long/main", "nhip/v1/van-long/main/facts/more", "nhip/v2/van-long/main/facts", "other"]
    for name in (*foreign, *forged, *stray):
        reason = mine.say(name)
        assert reason == (NOT_AUTHORIZED if version == 5 else 0)  # 3.1.1 says yes and throws it away
    clients("van-long.annex", version).say(topic("van-long", "annex", "status"), "the end")
    eventually(lambda: (topic("van-long", "annex", "status"), b"the end") in watcher.heard)
    assert {name for name, _ in watcher.heard} == {*own, topic("van-long", "annex", "status")}


@pytest.mark.parametrize("version", [5, 3])
def test_a_gateway_reads_its_own_receipts_alone(clients, version):
    mine, center = clients("van-long.main", version), clients(CENTER, version)
    assert mine.connected()
    mine.listen("nhip/v1/van-long/main/receipt", "nhip/v1/van-long/main/declare")
    for name in (
        "nhip/#",
        "#",
        "nhip/v1/+/+/receipt",
        "nhip/v1/van-long/annex/receipt",
        "nhip/v1/van-long-2/+/declare",
    ):
        mine.listen(name)
    for gateway in (("van-long", "annex"), ("van-long-2", "main"), ("van-long", "main")):
        for kind in FROM_CENTER:
            assert center.say(topic(*gateway, kind), "-".join(gateway)) < 0x80
    clients("van-long.annex", version).say(topic("van-long", "annex", "facts"))
    eventually(lambda: {name for name, _ in mine.heard} >= {topic("van-long", "main", kind) for kind in FROM_CENTER})
    assert {payload for _, payload in mine.heard} == {b"van-long-main"}


@pytest.mark.parametrize("version", [5, 3])
def test_the_center_alone_reads_all_and_forges_nothing(clients, version):
    center, watcher = clients(CENTER, version), clients("watcher", 5)
    center.listen("nhip/v1/+/+/facts")
    watcher.listen("nhip/#")
    assert clients("van-long.annex", version).say(topic("van-long", "annex", "facts"), retain=False) < 0x80
    eventually(lambda: center.heard)
    assert center.say(topic("van-long", "annex", "facts")) == (NOT_AUTHORIZED if version == 5 else 0)
    center.say(topic("van-long", "annex", "receipt"), "last")
    eventually(lambda: (topic("van-long", "annex", "receipt"), b"last") in watcher.heard)
    assert sum(name.endswith("facts") for name, _ in watcher.heard) == 1


@pytest.mark.parametrize("version", [5, 3])
def test_nobody_else_gets_in(clients, version):
    assert not clients("", version).connected()
    assert not clients("van-long.main", version, "guessed").connected()
    assert not clients("van-long.other", version).connected()


@pytest.mark.parametrize("text", ["Van-Long", "van.long", "+", "a/b", "", "a" * 65, "nhà-máy"])
def test_an_id_that_could_reach_further_has_no_account(text):
    with pytest.raises(ValueError, match="only a-z"):
        account(text, "main")
    with pytest.raises(ValueError, match="only a-z"):
        gateway_rules("van-long", text)


def test_refused_facts_wait_until_somebody_mends_the_rules(tmp_path, expected):
    """From the PLC's files to the center's, with accounts on both sides; at first the gateway may not send facts."""
    users = ("test.main", CENTER)
    good = center_rules() + gateway_rules("test", "main")
    bad = "".join(line for line in good.splitlines(True) if line != "topic write nhip/v1/test/main/facts\n")
    assert bad != good
    extra = secured(tmp_path, bad, users)
    for user in users:
        (tmp_path / user).write_text(f"{user}\n")
    with Stage(tmp_path, make_broker=lambda folder, port: mosquitto(folder, port, extra)) as stage:
        stage.agent.kill()
        stage.center.kill()
        with (tmp_path / "center.yaml").open("a") as file:
            file.write(f"username: {CENTER}\npassword_file: {tmp_path / CENTER}\n")
        login = f', username: test.main, password_file: "{tmp_path / "test.main"}"'
        site_file(tmp_path, stage.port, account=login)
        stage.center.start()
        stage.agent.start()
        stage.feed(4)
        stage.wait_agent(4)
        eventually(
            lambda: "uplink refused topic=nhip/v1/test/main/facts reason=0x87" in stage.agent.last_words(),
            what="refusal",
        )
        assert not stage.delivered()
        (tmp_path / "acl").write_text(good)
        stage.broker.child.send_signal(signal.SIGHUP)
        agrees(stage.finish(), expected)
