"""Messages that the broker has not acknowledged yet, bounded in bytes. Pure.

While more than `MOST_BYTES` are in flight, nothing of the backlog is added: on a slow link everything else, `live` above
all, would queue behind it. The broker's acknowledgements set the pace, so a fast link is kept full and a slow one is not
flooded.
"""

from typing import Final

from agent.outbox.streams import EnvelopeKey

MOST_BYTES: Final = 64 * 1024


class InFlight:
    """Messages of one connection that the broker has not acknowledged yet, by their MQTT id."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._messages: dict[int, tuple[EnvelopeKey | None, int]] = {}
        self._bytes = 0

    def __contains__(self, mid: int) -> bool:
        return mid in self._messages

    @property
    def full(self) -> bool:
        """Whether the backlog has to wait."""
        return self._bytes >= self._most_bytes

    def begin(self) -> None:
        """A new connection: nothing is in flight."""
        self._messages.clear()
        self._bytes = 0

    def sent(self, mid: int, key: EnvelopeKey | None, size: int) -> None:
        """Adds a message that the broker will acknowledge. key: its envelope's, None for other messages."""
        self._messages[mid] = (key, size)
        self._bytes += size

    def answered(self, mid: int) -> EnvelopeKey | None:
        """Removes an acknowledged message; returns its envelope's key, if it was one."""
        key, size = self._messages.pop(mid, (None, 0))
        self._bytes -= size
        return key
