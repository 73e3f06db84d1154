"""Messages that the broker has not acknowledged yet, bounded in bytes, in number and in time. Pure: it is given the time.

While more than `MOST_BYTES` are in flight, nothing of the backlog is added: on a slow link everything else, `live` above
all, would queue behind it. The broker's acknowledgements set the pace, so a fast link is kept full and a slow one is not
flooded. A broker that takes only so many unacknowledged messages (MQTT 5: Receive Maximum) never gets more; the last of
these places is for what is not of the backlog.

Some brokers never acknowledge what their access rules refuse. A message is stuck once it has waited for `UNANSWERED_S`
and either nothing was acknowledged meanwhile or something that was sent later: on a link that is merely slow,
acknowledgements go on and arrive in order. Its topic is then on probation, over all connections, until the broker
acknowledges something on it: one message of it at a time, which does not count as the backlog's.
"""

from dataclasses import dataclass
from typing import Final

from agent.outbox.streams import EnvelopeKey
from wire.broker_limits import PACKET_TOO_LARGE, BrokerLimits, packet_bytes
from wire.packet_limit import PacketLimit

MOST_BYTES: Final = 64 * 1024
UNANSWERED_S: Final = 180.0
PROBATION_S: Final = 600.0


@dataclass(frozen=True)
class _Message:
    """sent_s: when it was sent [s]; counted: whether its size counts as the backlog's."""

    topic: str
    key: EnvelopeKey | None
    size: int
    sent_s: float
    counted: bool


class InFlight:
    """Messages of one connection that the broker has not acknowledged yet, by their MQTT id. probation: topics on which
    it may acknowledge nothing; packets: how large a packet it takes.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._messages: dict[int, _Message] = {}
        self._bytes = 0
        self._answered_s = self._answered_sent_s = 0.0
        self._limits = BrokerLimits()
        self.packets = PacketLimit()
        self.probation: set[str] = set()

    def __contains__(self, mid: int) -> bool:
        return mid in self._messages

    @property
    def room(self) -> int:
        """How many more messages the broker takes before it has acknowledged one."""
        return self._limits.unacknowledged - len(self._messages)

    def most_envelopes(self, now_s: float) -> int:
        """How many messages of the backlog may be added; 0 if it has to wait."""
        if self._bytes >= self._most_bytes or self.packets.blocked(now_s):
            return 0
        spare = 1 if self._limits.unacknowledged > 1 else 0
        return max(min(self.room - spare, 1 if self.probation or self.packets.careful else self.room), 0)

    @property
    def held(self) -> frozenset[str]:
        """Topics on probation with a message in flight: no further one is to be sent."""
        return frozenset(item.topic for item in self._messages.values() if item.topic in self.probation)

    def topic(self, mid: int) -> str:
        """The topic of a message, "" if it is not in flight."""
        return self._messages[mid].topic if mid in self._messages else ""

    def begin(self, limits: BrokerLimits, now_s: float) -> None:
        """A new connection: nothing is in flight."""
        self._limits = limits
        self._messages.clear()
        self._bytes = 0
        self._answered_s = self._answered_sent_s = 0.0
        self.packets.begin(limits.packet_bytes, now_s)

    def sent(self, mid: int, topic: str, key: EnvelopeKey | None, size: int, now_s: float, *, qos: int = 1) -> None:
        """Adds a message of `size` bytes. qos: the broker does not acknowledge a message of 0. key: its envelope's, None
        for other messages.
        """
        self.packets.sent(mid if qos else None, packet_bytes(topic, size), now_s)
        if not qos:
            return
        message = _Message(topic, key, size, now_s, topic not in self.probation)
        self._messages[mid] = message
        self._bytes += size if message.counted else 0

    def answered(self, mid: int, reason: int, now_s: float) -> EnvelopeKey | None:
        """Removes an acknowledged message; returns its envelope's key, if it was one. reason: MQTT 5's reason code."""
        if (message := self._messages.pop(mid, None)) is None:
            return None
        self._bytes -= message.size if message.counted else 0
        self._answered_s, self._answered_sent_s = now_s, max(self._answered_sent_s, message.sent_s)
        self.probation.discard(message.topic)
        self.packets.acknowledged(mid)
        if reason == PACKET_TOO_LARGE:
            self.packets.refused(packet_bytes(message.topic, message.size), now_s)
        return message.key

    def stuck(self, now_s: float) -> str | None:
        """The topic of a message that is stuck, if there is one; from now on it is on probation."""
        for message in self._messages.values():
            patience_s = PROBATION_S if message.topic in self.probation else UNANSWERED_S
            silent = now_s - max(self._answered_s, message.sent_s) >= patience_s
            overtaken = now_s - message.sent_s >= patience_s and self._answered_sent_s > message.sent_s
            if silent or overtaken:
                self.probation.add(message.topic)
                return message.topic
        return None
