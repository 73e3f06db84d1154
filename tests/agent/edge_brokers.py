"""Real brokers as child processes, and a tiny center that receipts what it gets."""

import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.ranges import settled
from wire.envelope import content, open_envelope
from wire.receipts import Receipt, StreamReceipt, encode_receipt


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(condition, within_s=10.0, every_s=0.02):
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(every_s)
    raise AssertionError(f"not within {within_s} s")


def _answers(port):
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Broker:
    command: list
    port: int
    process: subprocess.Popen = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: _answers(self.port))

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def mosquitto(folder, extra="allow_anonymous true\n", port=None):
    port = port or free_port()
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\npersistence false\nuser root\n{extra}")
    broker = Broker(["mosquitto", "-c", str(config)], port)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


AMQTT = """
import asyncio, logging, sys
logging.disable(logging.CRITICAL)
from amqtt.broker import Broker
async def main():
    broker = Broker({
        "listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:" + sys.argv[1]}},
        "timeout_disconnect_delay": 0,
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    })
    await broker.start()
    await asyncio.Event().wait()
asyncio.run(main())
"""


@contextmanager
def amqtt():
    port = free_port()
    broker = Broker([sys.executable, "-c", AMQTT, str(port)], port)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


@dataclass
class Center:
    """Receipts what arrives, as told: `deaf` hears nothing, `silent` says nothing."""

    port: int
    generation: str = "g1"
    version: int = paho.MQTTv5
    deaf: bool = False
    silent: bool = False
    arrived: list = field(default_factory=list)  # (kind, stream, seq, content)
    settled: dict = field(default_factory=dict)  # stream -> (kind, set of seqs)
    plain: dict = field(default_factory=dict)  # topic -> list of JSON messages
    gateway: str = "nhip/v1/test/main"

    def __enter__(self):
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="center", protocol=MQTTProtocolVersion(self.version)
        )
        self.client.on_connect = lambda *_: self.client.subscribe([(f"{self.gateway}/#", 1)])
        self.ready = threading.Event()
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = self._message
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        assert self.ready.wait(5)
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()

    def _message(self, _client, _data, message):
        kind = message.topic.rsplit("/", 1)[1]
        if kind == "receipt" or self.deaf:
            return
        if kind in ("live", "status"):
            self.plain.setdefault(kind, []).append(json.loads(message.payload))
            return
        envelope = open_envelope(message.payload)
        self.arrived.append((kind, envelope.stream, envelope.seq, content(envelope)))
        self.settled.setdefault(envelope.stream, (kind, set()))[1].add(envelope.seq)
        if not self.silent:
            self.receipt()

    def receipt(self, **streams):
        known = {
            stream: StreamReceipt(kind=kind, mark=item.mark, beyond=list(item.beyond))
            for stream, (kind, seqs) in self.settled.items()
            for item in [settled(0, [(seq, seq) for seq in seqs])]
        }
        said = Receipt(generation=self.generation, at_ns=time.time_ns(), streams=known | streams)
        self.client.publish(f"{self.gateway}/receipt", encode_receipt(said), 1, retain=True)

    def seqs(self, kind="facts"):
        return [seq for what, _, seq, _ in self.arrived if what == kind]
