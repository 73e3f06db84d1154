"""How large a packet the broker takes. Pure: it is given the time.

MQTT 5 announces it in CONNACK, or refuses a message with a reason. In MQTT 3.1.1 a broker only ends the connection, as
any other fault does. After a connection that ended with something unacknowledged, the next one is therefore careful: of
packets larger than what the broker has taken on this connection one is sent at a time. If that ends the connection
too, twice with a packet of about that size, the broker does not take it; once is enough where a limit was found before
and this packet is only somewhat smaller. What is divided is divided into parts of half that size, or of what the broker
has taken. A limit found so is forgotten after an hour, since somebody may have raised it. A packet that the connection has
outlived by `PROOF_S` is no suspect and holds up nothing: some brokers never acknowledge what their access rules refuse.
"""

from dataclasses import dataclass, field
from typing import Final

FORGET_AFTER_S: Final = 3600.0
PROOF_S: Final = 5.0
_STRIKES: Final = 2
_ALIKE: Final = 0.9
"""The ratio of two sizes above which they count as the same packet, whose numbers have changed [1]."""


@dataclass
class _Packets:
    """The packets of one connection, in order, that no acknowledgement proves yet, each with its message id (None: the broker
    will not acknowledge it), its size [bytes] and when it was sent [s]; proven: size of the largest that was taken [bytes].
    """

    sent: list[tuple[int | None, int, float]] = field(default_factory=list)
    proven: int = 0

    def unproven(self, now_s: float) -> list[tuple[int | None, int]]:
        """Message ids and sizes of those larger than what the broker has taken, or than what the connection has outlived."""
        outlived = [size for _, size, sent_s in self.sent if now_s - sent_s >= PROOF_S]
        return [(mid, size) for mid, size, _ in self.sent if size > max([self.proven, *outlived])]

    def acknowledged(self, mid: int) -> None:
        """The broker has read this packet and all that were sent before."""
        for place, (sent_mid, *_) in enumerate(self.sent):
            if sent_mid == mid:
                self.proven = max(self.proven, *(size for _, size, _ in self.sent[: place + 1]))
                self.sent = self.sent[place + 1 :]
                return


@dataclass
class _Suspicion:
    """How often the connection ended when a packet of about this size was the only unproven one."""

    size: int = 0
    strikes: int = 0

    def strike(self, size: int) -> int:
        """One more; returns how often that was in a row."""
        alike = min(size, self.size) >= _ALIKE * max(size, self.size)
        self.size, self.strikes = size, self.strikes + 1 if alike else 1
        return self.strikes


class PacketLimit:
    """careful: one unproven packet at a time."""

    def __init__(self) -> None:
        self.careful = False
        self._announced: int | None = None
        self._found: int | None = None
        self._found_s = 0.0
        self._packets, self._suspicion, self._most_proven = _Packets(), _Suspicion(), 0

    @property
    def most_bytes(self) -> int | None:
        """Size of the largest packet that the broker takes, None for no known limit: as it announced or as was found."""
        return min((item for item in (self._announced, self._found) if item is not None), default=None)

    @property
    def safe_bytes(self) -> int | None:
        """The size that parts of something larger should have at most; None for no known limit."""
        if self.most_bytes is None or self.announced:
            return self.most_bytes
        return max(self._most_proven, self.most_bytes // 2)

    @property
    def announced(self) -> bool:
        """Whether the broker named the limit."""
        return self.most_bytes is not None and self.most_bytes == self._announced

    def fits(self, size: int) -> bool:
        """Whether a packet of this size may be sent [bytes]."""
        return self.most_bytes is None or size <= self.most_bytes

    def blocked(self, now_s: float) -> bool:
        """Whether an unproven packet has to be acknowledged before others are sent."""
        return self.careful and bool(self._packets.unproven(now_s))

    def needs_proof(self, now_s: float) -> bool:
        """Whether such a packet is one that the broker does not acknowledge, so that another one has to follow it."""
        return self.careful and any(mid is None for mid, _ in self._packets.unproven(now_s))

    def begin(self, announced: int | None, now_s: float) -> None:
        """A new connection. announced: the limit that its CONNACK named [bytes]."""
        self._announced = announced
        if self._found is not None and now_s - self._found_s >= FORGET_AFTER_S:
            self._found, self._most_proven = None, 0
        self._packets = _Packets()

    def sent(self, mid: int | None, size: int, now_s: float) -> None:
        """A packet was published. mid: its message id, None if the broker will not acknowledge it."""
        self._packets.sent.append((mid, size, now_s))

    def acknowledged(self, mid: int) -> None:
        """The broker acknowledged a message."""
        self._packets.acknowledged(mid)
        self._most_proven = max(self._most_proven, self._packets.proven)
        if self._suspicion.size <= self._packets.proven:
            self._suspicion = _Suspicion()

    def refused(self, size: int, now_s: float) -> None:
        """The broker refused a packet of this size for its size."""
        self._found, self._found_s = min(size - 1, self._found or size), now_s
        self._most_proven = min(self._most_proven, self._found)
        self._suspicion = _Suspicion()

    def lost(self, now_s: float, *, too_large: bool = False) -> bool:
        """The connection ended unexpectedly. too_large: the broker said that a packet was too large. Returns whether that
        is why, as far as is known now.
        """
        sizes = [size for _, size in self._packets.unproven(now_s)]
        found = False
        if len(sizes) == 1 and (self.careful or too_large):
            near = self._found is not None and sizes[0] > self._found // 2
            found = self._suspicion.strike(sizes[0]) >= (1 if near or too_large else _STRIKES)
        if found:
            self.refused(sizes[0], now_s)
        self.careful = bool(self._packets.sent) or too_large
        return found
