"""Publishes on a connection within the broker's limits, and follows what the broker acknowledges, refuses or ignores."""

import logging
import time
from typing import Final

from agent.outbox.streams import EnvelopeKey
from agent.process.health import Health
from agent.uplink.announcements import LinkTroubles
from agent.uplink.budget import Budget, Level
from agent.uplink.in_flight import InFlight
from agent.uplink.mqtt.session import ConnectionLost, MqttMessage, MqttSession
from agent.uplink.traffic import TrafficAccount
from wire.broker_limits import PACKET_TOO_LARGE, packet_bytes

_LOG: Final = logging.getLogger("nhip.agent.uplink")
_NOT_MATCHED: Final = 0x10  # MQTT 5: accepted, but there is no subscriber
_REFUSED_FROM: Final = 0x80
_TOO_LARGE: Final = ("too_large_named", "too_large_found")


class Publisher:
    """Used on the event loop. in_flight: what the broker has not acknowledged yet."""

    def __init__(self, health: Health, budget: Budget, troubles: LinkTroubles) -> None:
        """budget: counts what crosses the link and limits it; troubles: where people are told what the broker does not take."""
        self._health, self._troubles = health, troubles
        self.in_flight = InFlight()
        self._traffic = TrafficAccount(budget, health)

    def begin(self, session: MqttSession) -> None:
        """Begins with a connection that has been established."""
        self._session = session
        self.in_flight.begin(session.limits, time.monotonic())
        self._traffic.begin()
        for item in self._troubles.all():
            if item.code in _TOO_LARGE and self.in_flight.packets.fits(int(item.values["bytes"])):
                self._troubles.clear(item.code, item.values["kind"])

    def fits(self, message: MqttMessage, tell: bool) -> bool:
        """Whether the broker takes a message of this size. tell: people are told if it does not."""
        size, packets = packet_bytes(message.topic, len(message.payload)), self.in_flight.packets
        kind = message.topic.rpartition("/")[2]
        if packets.fits(size):
            for code in _TOO_LARGE:
                self._troubles.clear(code, kind)
            return True
        if not tell:
            return False
        code = _TOO_LARGE[0] if packets.announced else _TOO_LARGE[1]
        if self._troubles.tell(code, kind, bytes=str(size), most=str(packets.most_bytes)):
            self._health.count("packets_too_large")
            _LOG.error(
                "uplink packet too large kind=%s bytes=%d most=%s why=%r cure=%r",
                kind,
                size,
                packets.most_bytes,
                "the broker names this limit" if packets.announced else "the broker ends the connection or refuses it",
                "raise the broker's limit (Mosquitto: max_packet_size, message_size_limit); the rest goes on",
            )
        return False

    def publish(self, message: MqttMessage, key: EnvelopeKey | None = None) -> int:
        """Publishes a message that `fits`; returns its id. Raises `ConnectionLost`."""
        mid = self._session.publish(message)
        self._traffic.published(message.topic, len(message.payload))
        qos = min(message.qos, self._session.limits.qos)
        self.in_flight.sent(mid, message.topic, key, len(message.payload), time.monotonic(), qos=qos)
        return mid

    def answered(self, mid: int, reason: int) -> EnvelopeKey | None:
        """The broker acknowledged a message or refused it: returns its envelope's key, if it was one."""
        topic = self.in_flight.topic(mid)
        key = self.in_flight.answered(mid, reason, time.monotonic())
        kind = topic.rpartition("/")[2]
        if reason == _NOT_MATCHED:
            self._health.count("publishes_without_subscriber")
        elif reason >= _REFUSED_FROM:
            self._health.count("publishes_refused")
            if reason != PACKET_TOO_LARGE and self._troubles.tell("refused", kind, reason=f"{reason:#x}"):
                cure = "check the account's access rules"
                _LOG.warning("uplink refused topic=%s reason=%#x cure=%r", topic, reason, cure)
        elif kind:
            self._troubles.clear("refused", kind)
            self._troubles.clear("ignored", kind)
        return key

    def subscribed(self, topic: str, reason: int | None) -> None:
        """The broker answered a subscription, or (None) did not in time."""
        kind = topic.rpartition("/")[2]
        for code, ended in (("unsubscribed", reason is not None), ("not_subscribed", (reason or 0) < _REFUSED_FROM)):
            if ended:
                self._troubles.clear(code, kind)
        if reason is None:
            self._health.count("subscriptions_unanswered")
            self._troubles.tell("unsubscribed", kind)
        elif reason >= _REFUSED_FROM:
            self._health.count("subscriptions_refused")
            if self._troubles.tell("not_subscribed", kind, reason=f"{reason:#x}"):
                cure = "check the account's access rules"
                _LOG.error("uplink subscription refused topic=%s reason=%#x cure=%r", topic, reason, cure)

    def lost(self, code: int) -> bool:
        """The connection ended unexpectedly; whether a packet that is too large is why. code: MQTT 5's reason code, 0
        without one.
        """
        return self.in_flight.packets.lost(time.monotonic(), too_large=code == PACKET_TOO_LARGE)

    def charge(self, counted: int | None, now_s: float, *, dated: bool) -> Level:
        """Charges the budget with what has crossed the link; see `TrafficAccount.charge`."""
        return self._traffic.charge(counted, now_s, dated=dated)

    def give_up_stuck(self) -> None:
        """Raises `ConnectionLost` if the broker leaves a message unacknowledged."""
        if topic := self.in_flight.stuck(time.monotonic()):
            self._health.count("publishes_unanswered")
            self._troubles.tell("ignored", topic.rpartition("/")[2])
            raise ConnectionLost(
                f"the broker does not acknowledge what is published on {topic}; check the account's access rules there. "
                "Other topics go on"
            )
