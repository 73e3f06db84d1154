"""What a connection costs, by part, and what the month's data budget says about it."""

from typing import Final

from agent.process.health import Health
from agent.uplink.budget import LIVE, MUST, VALUES, Budget, Level, Part

_OVERHEAD_BYTES: Final = 7 + 29 + 2 * 52
"""MQTT's own bytes, a record of TLS, and a segment there with its acknowledgement."""


class TrafficMeter:
    """What one connection costs, by part: what the operating system counted on the socket, headers of TCP and IP and
    the encryption included; of that, process values and live cost what their messages weigh, and the rest is what must
    travel.
    """

    def __init__(self) -> None:
        self._counted = 0
        self._own = dict.fromkeys((LIVE, MUST, VALUES), 0)

    def begin(self) -> None:
        """A new connection, whose count begins at nothing."""
        self._counted = 0

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
        new, self._counted = max(counted - self._counted, 0), max(counted, self._counted)
        optional = {part: float(own[part]) for part in (LIVE, VALUES)}
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
        """A message of so many bytes of payload."""
        kind = topic.rpartition("/")[2]
        part = LIVE if kind == "live" else VALUES if kind == "values" else MUST
        self._meter.publish(part, topic, size)

    def charge(self, counted: int | None, now_s: float, *, dated: bool) -> Level:
        """What may travel from now on. counted: bytes of the connection so far, None where the system does not tell;
        now_s: time [s UTC]; dated: whether it may be believed.
        """
        budget = self._budget
        budget.spend(self._meter.take(counted), now_s, dated=dated)
        self._health.gauge("data_used_mb", round(budget.used_mb, 3))
        self._health.gauge("data_forecast_mb", round(budget.forecast_mb(now_s), 1))
        self._health.gauge("data_limit_mb", float(budget.limit_mb or 0))
        self._health.gauge("data_level", float(budget.level))
        return budget.level
