"""Measures the traffic of a connection by part, and charges it to the month's data budget."""

from typing import Final

from agent.process.health import Health
from agent.uplink.budget import LIVE, MUST, VALUES, Budget, Level, Part

_OVERHEAD_BYTES: Final = 7 + 29 + 2 * 52
"""For each message: MQTT's header, a TLS record, and the headers of a TCP segment and of its acknowledgement."""


class TrafficMeter:
    """The traffic of one connection by part. The total is what the operating system counted on the socket, with the
    headers of TCP and IP and the encryption; process values and live count with the size of their messages, and
    everything else is mandatory traffic.
    """

    def __init__(self) -> None:
        self._counted = 0
        self._message_bytes = dict.fromkeys((LIVE, MUST, VALUES), 0)

    def begin(self) -> None:
        """Begins a new connection, whose count starts at 0."""
        self._counted = 0

    def publish(self, part: Part, topic: str, size: int) -> None:
        """Adds a published message with `size` bytes of payload."""
        self._message_bytes[part] += size * 21 // 20 + len(topic) + _OVERHEAD_BYTES

    def take(self, counted: int | None) -> dict[Part, float]:
        """The bytes of each part since the last call. counted: all bytes of the connection so far; None if the
        system does not report them: then only the messages count.
        """
        sizes, self._message_bytes = self._message_bytes, dict.fromkeys((LIVE, MUST, VALUES), 0)
        if counted is None:
            return {part: float(size) for part, size in sizes.items()}
        new, self._counted = max(counted - self._counted, 0), max(counted, self._counted)
        optional = {part: float(sizes[part]) for part in (LIVE, VALUES)}
        return optional | {MUST: new - sum(optional.values())}


class TrafficAccount:
    """Charges a connection's traffic to the data budget, and shows both in the agent's health."""

    def __init__(self, budget: Budget, health: Health) -> None:
        self._budget, self._health = budget, health
        self._meter = TrafficMeter()

    def begin(self) -> None:
        """A new connection."""
        self._meter.begin()

    def published(self, topic: str, size: int) -> None:
        """Adds a published message with `size` bytes of payload."""
        kind = topic.rpartition("/")[2]
        part = LIVE if kind == "live" else VALUES if kind == "values" else MUST
        self._meter.publish(part, topic, size)

    def charge(self, counted: int | None, now_s: float, *, dated: bool) -> Level:
        """Charges the traffic since the last call; returns the budget's level. counted: bytes of the connection so far,
        None if the system does not report them; now_s: time [s UTC]; dated: whether it is trusted.
        """
        budget = self._budget
        budget.spend(self._meter.take(counted), now_s, dated=dated)
        self._health.gauge("data_used_mb", round(budget.used_mb, 3))
        self._health.gauge("data_forecast_mb", round(budget.forecast_mb(now_s), 1))
        self._health.gauge("data_limit_mb", float(budget.limit_mb or 0))
        self._health.gauge("data_level", float(budget.level))
        return budget.level
