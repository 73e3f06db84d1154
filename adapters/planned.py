"""The requests that devices will get, for `nhip plan`. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from config.devices.device import DeviceModel

TIGHT: Final = 0.7
"""From this share of its time on, a line has no room for retries and late rounds [1]."""


@dataclass(frozen=True)
class PlannedRequest:
    """One request to a device on a line that devices share.

    start, count: addresses from 0; tags: what it reads; cost_s: how long it keeps the line busy [s].
    """

    device: str
    unit: int
    function: int
    table: str
    start: int
    count: int
    period_s: float
    tags: tuple[str, ...]
    cost_s: float

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "device": self.device, "unit": self.unit, "function": self.function, "table": self.table,
            "first": self.start, "count": self.count, "every_s": self.period_s, "tags": list(self.tags),
            "cost_s": round(self.cost_s, 6),
        }  # fmt: skip


@dataclass(frozen=True)
class ExceededRate:
    """A device that would get more requests a second than its site file allows [1/s]."""

    device: str
    wanted_per_s: float
    most_per_s: float


@dataclass(frozen=True)
class LinePlan:
    """What one line or socket will carry.

    speed: as people write it (`9600 8E1`), "" on a network, "?" behind a converter; cycle_s: every request once [s];
    share: of the line's time that the requests take at their periods [1], above 1 the line cannot keep them; hurried:
    devices that would get more requests than they allow.
    """

    name: str
    kind: str
    speed: str
    requests: tuple[PlannedRequest, ...]
    cycle_s: float
    share: float
    hurried: tuple[ExceededRate, ...] = ()

    @property
    def verdict(self) -> str:
        """slow: it cannot keep the periods; tight: it has no reserve; else ok."""
        if self.share > 1 or self.hurried:
            return "slow"
        return "tight" if self.share > TIGHT else "ok"

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "line": self.name, "kind": self.kind, "speed": self.speed,
            "requests": [request.as_json() for request in self.requests],
            "cycle_s": round(self.cycle_s, 6), "share": round(self.share, 6), "verdict": self.verdict,
            "hurried": [item.__dict__ for item in self.hurried],
        }  # fmt: skip


@dataclass(frozen=True)
class ServerPlan:
    """A device with a connection of its own.

    mode: `subscribe` or `poll`; nodes: its tags; every_s: publishing interval or shortest polling period [s]; requests:
    needed to poll everything once; protocol: the title of the table that shows it.
    """

    device: str
    url: str
    mode: str
    nodes: int
    every_s: float
    requests: int
    protocol: str = field(default="", compare=False)

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {key: value for key, value in self.__dict__.items() if key != "protocol"}


def polled_tag_by_tag(devices: Mapping[str, DeviceModel], answer_s: float) -> Sequence[ServerPlan]:  # noqa: ARG001
    """The plan of devices whose tags are read one at a time: the default for a kind without a plan of its own."""
    return [
        ServerPlan(name, device.place, "poll", len(device.tags), min(map(device.period_s, device.tags)),
                   len(device.tags), device.kind)
        for name, device in devices.items()
    ]  # fmt: skip
