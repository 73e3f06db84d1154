"""Real brokers as child processes, and a tiny center that receipts what it gets."""

import json
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from servers import PATIENCE_S, amqtt_command, answers, eventually, free_port, mosquitto_command

from wire.envelope import decode_content, open_envelope, unpack_message
from wire.marks import NO_MARKS, settle
from wire.receipts import Receipt, StreamReceipt, encode_receipt


@dataclass
class Broker:
    command: list
    port: int
    process: subprocess.Popen = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: answers(self.port))

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def mosquitto(folder, extra="allow_anonymous true\n", port=None):
    port = port or free_port()
    broker = Broker(mosquitto_command(folder, port, extra), port)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()


@contextmanager
def amqtt():
    port = free_port()
    broker = Broker(amqtt_command(port), port)
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
    context: object = None  # of TLS
    retain: bool = True

    def __enter__(self):
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="center", protocol=MQTTProtocolVersion(self.version)
        )
        if self.context:
            self.client.tls_set_context(self.context)
        self.client.on_connect = lambda *_: self.client.subscribe([(f"{self.gateway}/#", 1)])
        self.ready = threading.Event()
        self.client.on_subscribe = lambda *_: self.ready.set()
        self.client.on_message = self._message
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        assert self.ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()

    def _message(self, _client, _data, message):
        kind = message.topic.rsplit("/", 1)[1]
        if kind == "receipt" or self.deaf:
            return
        if kind in ("live", "status"):
            self.plain.setdefault(kind, []).append(json.loads(unpack_message(message.payload)))
            return
        envelope = open_envelope(message.payload)
        content = decode_content(envelope)
        self.arrived.append((kind, envelope.stream, envelope.seq, content))
        seqs = self.settled.setdefault(envelope.stream, (kind, set()))[1]
        seqs.add(envelope.seq)
        for first, last in content.get("dropped", ()) if isinstance(content, dict) else ():
            seqs.update(range(first, last + 1))
        if not self.silent:
            self.receipt()

    def receipt(self, boxes=1, **streams):
        known = {
            stream: StreamReceipt(kind=kind, mark=item.mark, beyond=list(item.beyond))
            for stream, (kind, seqs) in self.settled.items()
            for item in [settle(NO_MARKS, [(seq, seq) for seq in seqs])]
        }
        said = Receipt(generation=self.generation, at_ns=time.time_ns(), streams=known | streams, boxes=boxes)
        self.client.publish(
            f"{self.gateway}/receipt", encode_receipt(said), 1 if self.retain else 0, retain=self.retain
        )

    def seqs(self, kind="facts"):
        return [seq for what, _, seq, _ in self.arrived if what == kind]
