"""What a center publishes of its own: receipts, declarations. Retained, so that of each topic only the latest counts.

How large a packet the broker takes is announced (MQTT 5), or found out as a gateway does (`wire.packet_limit`): after a
connection that ended with something unacknowledged, larger packets than any that was taken wait for each other.
"""

import threading
import time
from collections import OrderedDict
from typing import Final

import paho.mqtt.client as paho

from center.runtime.health import CenterHealth
from wire.broker_limits import PACKET_TOO_LARGE, BrokerLimits, packet_bytes
from wire.packet_limit import PROOF_S, PacketLimit

_QOS: Final = 1
_SMALL: Final = 256
"""Packets up to this size are never too large [bytes]."""


class OwnMessages:
    """Any thread may call it. The lock is never held while paho is called: its callbacks come with a lock of its own."""

    def __init__(self, health: CenterHealth) -> None:
        self._health, self._lock, self._packets = health, threading.Lock(), PacketLimit()
        self._client: paho.Client | None = None
        self._limits = BrokerLimits()
        self._waiting: OrderedDict[str, bytes] = OrderedDict()
        self._number = 0  # of the last message sent; a broker may answer it before paho has told its id
        self._sent: dict[int, tuple[int, int]] = {}  # by paho's id: number and size [bytes]
        self._answered: dict[int, int] = {}  # by paho's id the reason of an answer that came before the id was told
        self._told: set[str] = set()
        self._sending = False
        self._later: threading.Timer | None = None

    def begin(self, client: paho.Client, limits: BrokerLimits) -> None:
        """A connection that its CONNACK allowed so much. What waited is sent anew by whoever knows what is true now."""
        with self._lock:
            self._client, self._limits = client, limits
            self._packets.begin(limits.packet_bytes, time.monotonic())
            self._waiting.clear()
            self._sent.clear()
            self._answered.clear()

    def lost(self, code: int) -> None:
        """The connection ended. code: MQTT 5's reason code."""
        with self._lock:
            if self._client is None:
                return
            self._client = None
            if self._packets.lost(time.monotonic(), too_large=code == PACKET_TOO_LARGE):
                self._health.count("packets_too_large")

    def end(self) -> None:
        """The connection is ended by the center itself, which says nothing about packets."""
        with self._lock:
            self._client = None

    def fits(self, topic: str, payload_bytes: int) -> bool:
        """Whether the broker is likely to take a payload of that size; one that can be divided is, where it does not fit."""
        with self._lock:
            safe = self._packets.safe_bytes
        return safe is None or packet_bytes(topic, payload_bytes) <= safe

    def publish(self, topic: str, payload: bytes) -> None:
        """Publishes a retained message at QoS 1, as far as the broker has these; dropped without a connection. One that is too
        large is told."""
        with self._lock:
            if not self._packets.fits(packet_bytes(topic, len(payload))):
                self._tell(topic, len(payload))
                return
            if self._client is None:
                return
            self._waiting.pop(topic, None)
            self._waiting[topic] = payload
        self.send()

    def acknowledged(self, mid: int, reason: int) -> None:
        """The broker acknowledged a message, or (MQTT 5: from 0x80 on) refused it."""
        with self._lock:
            if mid in self._sent:
                self._settle(*self._sent.pop(mid), reason)
            else:
                self._answered[mid] = reason
        self.send()

    def send(self) -> None:
        """Sends what waits and may be sent now."""
        while True:
            with self._lock:
                client = self._client
                if client is None or self._sending or not self._waiting:
                    return
                if self._packets.blocked(time.monotonic()):
                    self._send_later()
                    return
                self._sending = True
                topic, payload = self._waiting.popitem(last=False)
                qos, retain = min(_QOS, self._limits.qos), self._limits.retains
                size = packet_bytes(topic, len(payload))
                self._begin_to_send(topic, size if qos else 0)
            info = client.publish(topic, payload, qos, retain=retain)
            with self._lock:
                self._sending = False
                if info.mid in self._answered:
                    self._settle(self._number, size, self._answered.pop(info.mid))
                elif client is self._client:
                    self._sent[info.mid] = (self._number, size)

    def _send_later(self) -> None:
        """Some brokers never acknowledge what their access rules refuse; that holds up nothing for long."""
        if self._later is None or not self._later.is_alive() or self._later is threading.current_thread():
            self._later = threading.Timer(PROOF_S, self.send)
            self._later.daemon = True
            self._later.start()

    def _begin_to_send(self, topic: str, size: int) -> None:
        self._number += 1
        if size > _SMALL:
            self._packets.sent(self._number, size, time.monotonic())
        self._told.discard(topic)
        if not self._told and self._health.condition("packets"):
            self._health.set_condition("packets", "ok")

    def _settle(self, number: int, size: int, reason: int) -> None:
        self._packets.acknowledged(number)
        if reason == PACKET_TOO_LARGE:
            self._packets.refused(size, time.monotonic())

    def _tell(self, topic: str, payload_bytes: int) -> None:
        self._health.count("packets_too_large")
        self._told.add(topic)
        how = "" if self._packets.announced else ", as it seems: it ends the connection"
        self._health.set_condition(
            "packets",
            f"{payload_bytes} bytes for {topic} are more than the broker takes ({self._packets.most_bytes} a packet{how}): "
            "raise its limit (Mosquitto: max_packet_size, message_size_limit)",
        )
