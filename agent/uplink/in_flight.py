"""What is on the line, and what has crossed it. Pure.

While more than `MOST_BYTES` are, nothing of the backlog is added: on a slow line everything else, live above all, would
wait behind it. The broker's answers set the pace, so a fast line is kept full and a slow one is not flooded.
"""

from typing import Final

from agent.outbox.streams import EnvelopeKey
from agent.uplink.budget import LIVE, MUST, VALUES, Part

MOST_BYTES: Final = 64 * 1024
_OVERHEAD_BYTES: Final = 7 + 29 + 2 * 52
"""MQTT's own bytes, a record of TLS, and a segment there with its acknowledgement."""


class Line:
    """Messages of one connection that the broker has not answered yet, by their MQTT id."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._open: dict[int, tuple[EnvelopeKey | None, int]] = {}
        self._bytes = 0

    def __contains__(self, mid: int) -> bool:
        return mid in self._open

    @property
    def full(self) -> bool:
        """Whether the backlog has to wait."""
        return self._bytes >= self._most_bytes

    def begin(self) -> None:
        """A new connection: nothing is on it."""
        self._open.clear()
        self._bytes = 0

    def sent(self, mid: int, key: EnvelopeKey | None, size: int) -> None:
        """A message that the broker will answer; key: its envelope's, if it is one."""
        self._open[mid] = (key, size)
        self._bytes += size

    def answered(self, mid: int) -> EnvelopeKey | None:
        """The broker's answer: the envelope that was meant, if any."""
        key, size = self._open.pop(mid, (None, 0))
        self._bytes -= size
        return key


class Meter:
    """What one connection costs, by part: what the operating system counted on the socket, headers of TCP and IP and
    the encryption included; of that, process values and live cost what their messages weigh, and the rest is what must
    travel.
    """

    def __init__(self) -> None:
        self._told = 0
        self._own = dict.fromkeys((LIVE, MUST, VALUES), 0)

    def begin(self) -> None:
        """A new connection, whose count begins at nothing."""
        self._told = 0

    def publish(self, part: Part, topic: str, size: int) -> None:
        """A message of so many bytes of payload."""
        self._own[part] += size * 21 // 20 + len(topic) + _OVERHEAD_BYTES

    def take(self, counted: int | None) -> dict[Part, float]:
        """The bytes of each part since the last call. counted: all bytes of the connection so far, None where the
        system does not tell: then messages are all that is known.
        """
        own, self._own = self._own, dict.fromkeys((LIVE, MUST, VALUES), 0)
        if counted is None:
            return {part: float(size) for part, size in own.items()}
        new, self._told = max(counted - self._told, 0), max(counted, self._told)
        optional = {part: float(own[part]) for part in (LIVE, VALUES)}
        return optional | {MUST: new - sum(optional.values())}
