"""The center's own messages and how large a packet the broker takes, also where it never says so (MQTT 3.1.1)."""

import json
import threading
from contextlib import contextmanager

import paho.mqtt.client as paho
import pytest
from center_plant import child
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from servers import eventually, free_port, mosquitto_command

from center.database import declarations
from center.database.declarations import open_declarations
from center.ingest.declaration_sender import DeclarationSender
from center.ingest.mqtt import BrokerSession, BrokerSettings
from center.runtime.health import CenterHealth
from oee.model.declarations import Declaration
from wire.bodies import Status
from wire.declare import decode_declare
from wire.topics import topic

LIMIT = 2000


@pytest.fixture
def broker(tmp_path):
    port = free_port()
    with child(mosquitto_command(tmp_path, port, f"allow_anonymous true\nmax_packet_size {LIMIT}\n"), port):
        yield port


class Session:
    """A center's session. everything: what it publishes at each connection; it goes on as people declare."""

    def __init__(self, port, version):
        self.health, self.connections = CenterHealth(), 0
        self.everything = lambda: None
        self.session = BrokerSession(BrokerSettings("127.0.0.1", port), self.health, lambda _: None, self._connected)
        if version == MQTTProtocolVersion.MQTTv311:
            self.session._version, self.session._probing = version, False
            self.session._client = self.session._make()

    def _connected(self):
        self.connections += 1
        threading.Thread(target=self.everything).start()  # as the worker's thread does


@contextmanager
def connected(port, version, everything):
    made = Session(port, version)
    made.everything = lambda: everything(made.session)
    made.session.start()
    try:
        yield made
    finally:
        made.session.stop()


@contextmanager
def listening(port):
    """Payloads by topic of what arrives, all of them."""
    found, ready = [], threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_connect = lambda *_: client.subscribe("nhip/#", 1)
    client.on_subscribe = lambda *_: ready.set()
    client.on_message = lambda *args: found.append((args[2].topic, bytes(args[2].payload)))
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert ready.wait(60)
    try:
        yield found
    finally:
        client.disconnect()
        client.loop_stop()


VERSIONS = (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_too_large_is_told_and_the_rest_goes_on(broker, version):
    """In 3.1.1 such a packet ended the connection, was sent again at the next, and so on for ever."""
    sizes = {"nhip/a": 300, "nhip/large": LIMIT + 500, "nhip/b": LIMIT - 100, "nhip/c": 30}

    def everything(session):
        for name, size in sizes.items():
            session.publish(name, b"x" * size)

    with listening(broker) as found, connected(broker, version, everything) as made:
        eventually(lambda: "nhip/large" in made.health.condition("packets"))
        assert "max_packet_size" in made.health.condition("packets")
        eventually(lambda: made.health.condition("broker") == "ok")
        before = made.connections
        made.session.publish("nhip/a", b"newer")
        eventually(lambda: ("nhip/a", b"newer") in found)
        assert {(name, len(payload)) for name, payload in found} >= {
            (n, s) for n, s in sizes.items() if n != "nhip/large"
        }
        assert not any(name == "nhip/large" for name, _ in found)
        assert made.connections == before <= (1 if version == VERSIONS[0] else 4)
        made.session.publish("nhip/large", b"shorter")
        eventually(lambda: ("nhip/large", b"shorter") in found)
        eventually(lambda: made.health.condition("packets") == "ok")


@pytest.mark.parametrize("version", VERSIONS)
def test_declarations_that_fit_into_no_packet_together_arrive_one_part_after_the_other(broker, tmp_path, version):
    engine = open_declarations(f"sqlite:///{tmp_path}/d.sqlite")
    for n in range(40):
        declarations.insert_declarations(
            engine, "s", "g", [Declaration(f"d{n}", n, "m", 5, 9, "reason", "x" * 40, "Lan")]
        )
    senders = {}

    def everything(session):
        if session not in senders:
            senders[session] = DeclarationSender(engine, session.publish, lambda: 1, session.own.fits)
        senders[session].send_to_all()

    with listening(broker) as found, connected(broker, version, everything) as made:
        seen = set()

        def all_arrived():
            for name, payload in list(found):
                assert name == topic("s", "g", "declare")
                rows = {row.id: "" for row in decode_declare(payload).declarations}
                if rows.keys() - seen:
                    seen.update(rows)
                    senders[made.session].record_status("s", "g", Status(online=True, at_ns=1, declared=rows))
            return len(seen) == 40

        eventually(all_arrived)
        eventually(lambda: not declarations.waiting_gateways(engine))
        assert json.loads(found[-1][1])["at_ns"] == 1
    engine.dispose()
