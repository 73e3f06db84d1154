"""Someone between gateway and broker who forgets, repeats, reorders, damages and replays MQTT messages.

Only envelopes and receipts are touched; what is acknowledged but never handed on is the harm that only a receipt of
the center itself can notice. After `most` deeds there is peace, so that a test can end.
"""

import random
from collections import Counter

DEEDS = ("forgot", "repeated", "damaged", "held back", "replayed")


class Tamper:
    def __init__(self, seed, most=60, odds=0.6):
        self._dice = random.Random(seed)
        self.deeds = Counter()
        self._most, self._odds, self._coming = most, odds, []
        self._held, self._seen, self.receipts = [], [], []
        self._mid = 60_000

    def see(self, packet, way, state):
        """What to hand on, and what to answer to the sender instead."""
        if packet[0] >> 4 == 1 and way == "up":
            state["version"] = _body(packet)[6]
        if packet[0] >> 4 != 3 or not (packet[0] >> 1) & 3:
            return [packet], []
        topic, mid, payload = _publish(packet, state["version"])
        if way == "down":
            return self._receipt(packet, topic, payload, state), []
        if topic.rsplit("/", 1)[1] not in ("facts", "site"):
            return [packet], []
        return self._envelope(packet, topic, mid, payload, state)

    def _receipt(self, packet, topic, payload, state):
        """An old receipt comes again after a newer one."""
        self.receipts.append(payload)
        first = len(self.receipts) > 1 and not self.deeds["old receipt"]  # whatever else has happened by then
        if not first and not self._acts():
            return [packet]
        self.deeds["old receipt"] += 1
        return [packet, _make(topic, None, self._dice.choice(self.receipts), state["version"])]

    def _envelope(self, packet, topic, mid, payload, state):
        self._seen.append((topic, payload))
        if not self._acts():
            released, self._held = self._held, []
            return [packet, *released], []
        if not self._coming:  # each once before any comes again: a run with few messages sees all of them
            self._coming = self._dice.sample(DEEDS, len(DEEDS))
        deed = self._coming.pop()
        self.deeds[deed] += 1
        if deed == "forgot":
            return [], [bytes([0x40, 2]) + mid.to_bytes(2, "big")]
        if deed == "damaged":
            at = self._dice.randrange(len(payload))
            payload = payload[:at] + bytes([payload[at] ^ (1 << self._dice.randrange(8))]) + payload[at + 1 :]
            return [_make(topic, mid, payload, state["version"])], []
        if deed == "held back":
            self._held.append(packet)
            return [], []
        if deed == "replayed":
            self._mid = 60_000 + (self._mid - 59_999) % 5000
            topic, payload = self._dice.choice(self._seen)
            return [_make(topic, self._mid, payload, state["version"]), packet], []
        return [packet, packet], []

    def _acts(self):
        return sum(self.deeds.values()) < self._most and self._dice.random() < self._odds


def _body(packet):
    at = 1
    while packet[at] & 0x80:
        at += 1
    return packet[at + 1 :]


def _publish(packet, version):
    body = _body(packet)
    length = int.from_bytes(body[:2], "big")
    topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
    mid, rest = int.from_bytes(rest[:2], "big"), rest[2:]
    if version == 5:
        assert rest[0] < 0x80  # no sender here has 128 bytes of properties
        rest = rest[1 + rest[0] :]
    return topic, mid, rest


def _make(topic, mid, payload, version):
    """A PUBLISH: QoS 1 with a message id, QoS 0 without."""
    body = len(topic).to_bytes(2, "big") + topic.encode()
    body += b"" if mid is None else mid.to_bytes(2, "big")
    body += (b"\x00" if version == 5 else b"") + payload
    size, length = b"", len(body)
    while True:
        size += bytes([length % 128 | (0x80 if length > 127 else 0)])
        length //= 128
        if not length:
            break
    return bytes([0x30 if mid is None else 0x32]) + size + body
