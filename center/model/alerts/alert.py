"""Alerts, and what is observed of that which may become one. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, NamedTuple

from config.alerts import AlertKind

OVER, GONE = "over", "gone"
"""How an alert ended: what it told of is over; or it is asked no more, as at the end of a shift."""
TOLD_AT_END: Final = ("stop", "no_data", "call", "center")
"""Kinds whose end is told. What is wrong with a shift is in its report."""


class AlertKey(NamedTuple):
    """What an alert is about. site: "" for the center itself; gateway: of a whole gateway alone, then without a machine;
    about: the shift, as date and name, or the id of a call.
    """

    site: str
    kind: AlertKind
    machine: str = ""
    gateway: str = ""
    about: str = ""


class Gravity(IntEnum):
    """How bad it is. HOLDS: no reason to begin an alert, and none to end one; UNKNOWN: cannot be told now."""

    CALM = 0
    HOLDS = 1
    BEGINS = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class Observed:
    """What is seen of one thing now. since_ns: when it began [ns UTC]; owner: the machine's gateway; lines: that it is about;
    settle_ns: how long it must be bad before it is told; calm_ns: how long it must be calm before it is over; answered_by: who
    has taken it on elsewhere, as at the machine's tablet.
    """

    key: AlertKey
    level: Gravity
    since_ns: int
    owner: str = ""
    lines: tuple[str, ...] = ()
    settle_ns: int = 0
    calm_ns: int = 0
    answered_by: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AlertRecord:
    """An alert. since_ns: when that began which it tells of; begun_ns: when the alert did; ended_ns, acknowledged_ns: 0 where
    that has not happened [ns UTC]; why: how it ended; by: who acknowledged it; detail: what it tells.
    """

    id: str
    key: AlertKey
    since_ns: int
    begun_ns: int
    owner: str = ""
    lines: tuple[str, ...] = ()
    ended_ns: int = 0
    why: str = ""
    acknowledged_ns: int = 0
    by: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return not self.ended_ns

    @property
    def acknowledged(self) -> bool:
        """Whether somebody has taken it on."""
        return bool(self.acknowledged_ns)
