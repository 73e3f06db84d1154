"""The month's data budget on a metered link. Pure: it is given the time and what was spent.

Mandatory traffic (facts, stops, site bodies, status, receipts, connecting) is never delayed: the budget only decides what
else may be sent. From the month's data so far it estimates what the rest of the month needs:

    all      enough is left for everything
    thin     what is left is needed for mandatory traffic and live: no more process values, live thinned
    short    what is left is needed for mandatory traffic alone: live is thinned to one message in ten minutes

So process values stop first, and early enough that the budget always suffices for facts. In a month's first hours the
estimate of `agent.uplink.data_estimate` replaces the measurement.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Final

MB: Final = 1_000_000
_DAY_S: Final = 86_400.0
_MEASURED_AFTER_S: Final = 6 * 3600.0
_STOP_MARGIN: Final = 1.1
_RESUME_MARGIN: Final = 1.2
"""The ratio of what is left to what is needed below which something stops, and above which it resumes [1]."""
Part = str
MUST: Final = "must"
LIVE: Final = "live"
VALUES: Final = "values"
_PARTS: Final = (MUST, LIVE, VALUES)


class Level(IntEnum):
    """What may be sent, see the head of this module."""

    ALL = 0
    THIN = 1
    SHORT = 2


@dataclass(frozen=True)
class DataPlan:
    """limit_mb: data of a month [MB], None for no limit; from_day: the day on which the month begins; expected: bytes a
    day of each part, used while too little is measured.
    """

    limit_mb: int | None = None
    from_day: int = 1
    expected: dict[Part, float] = field(default_factory=dict)


class Budget:
    """The data budget of one gateway in the current month."""

    def __init__(self, plan: DataPlan, saved: str = "", on_level: Callable[[Level], None] = lambda _: None) -> None:
        """saved: what `saved()` gave in an earlier run. on_level: called at each change of level."""
        self._plan, self._on_level = plan, on_level
        self._month, self._spent = "", dict.fromkeys(_PARTS, 0.0)
        self._counted_s = 0.0
        self._last_spend_s: float | None = None
        self._level = Level.ALL
        try:
            stored = json.loads(saved) if saved else {}
            self._month, self._counted_s = str(stored.get("month", "")), float(stored.get("counted_s", 0.0))
            self._spent |= {part: float(stored.get(part, 0.0)) for part in _PARTS}
        except (ValueError, TypeError, AttributeError):
            self._month = ""  # unreadable: counting starts over

    def spend(self, sizes: dict[Part, float], now_s: float, *, dated: bool = True) -> None:
        """Adds the bytes of each part that have crossed the link since the last call. now_s: time [s UTC]; dated: whether it
        is trusted; if not, the month and the level stay as they were.
        """
        if not dated:
            for part, size in sizes.items():
                self._spent[part] += size
            return
        month, _ = self._span(now_s)
        if month != self._month:
            self._month, self._spent, self._counted_s = month, dict.fromkeys(_PARTS, 0.0), 0.0
        elif self._last_spend_s is not None:
            self._counted_s += min(max(now_s - self._last_spend_s, 0.0), 3600.0)
        self._last_spend_s = now_s
        for part, size in sizes.items():
            self._spent[part] += size
        level = self._decide(now_s)
        if level is not self._level:
            self._level = level
            self._on_level(level)

    @property
    def level(self) -> Level:
        """The level as of the last `spend`."""
        return self._level

    @property
    def used_mb(self) -> float:
        """Data used this month [MB]."""
        return sum(self._spent.values()) / MB

    @property
    def limit_mb(self) -> int | None:
        """The month's limit [MB]; None for no limit."""
        return self._plan.limit_mb

    def forecast_mb(self, now_s: float) -> float:
        """Data of the whole month at the current rates [MB]."""
        _, end_s = self._span(now_s)
        return self.used_mb + sum(map(self._rate, _PARTS)) * max(end_s - now_s, 0.0) / MB

    def saved(self) -> str:
        """The state to keep on disk, as JSON."""
        spent = {part: round(size) for part, size in self._spent.items()}
        return json.dumps({"month": self._month, "counted_s": round(self._counted_s)} | spent)

    def _decide(self, now_s: float) -> Level:
        if self._plan.limit_mb is None:
            return Level.ALL
        left = self._plan.limit_mb * MB - sum(self._spent.values())
        _, end_s = self._span(now_s)
        remaining_s = max(end_s - now_s, 0.0)
        must = self._rate(MUST) * remaining_s
        needed_by_level = {Level.SHORT: must, Level.THIN: must + self._rate(LIVE) * remaining_s}
        for level, needed in needed_by_level.items():
            if left - self._plan.limit_mb * MB / 100 <= needed * (
                _RESUME_MARGIN if self._level >= level else _STOP_MARGIN
            ):
                return level
        return Level.ALL

    def _rate(self, part: Part) -> float:
        """Bytes a second: measured, or expected while too little is measured. For mandatory traffic at least half of the
        expected rate, since a quiet night does not mean a quiet month.
        """
        expected = self._plan.expected.get(part, 0.0) / _DAY_S
        if self._counted_s < _MEASURED_AFTER_S:
            return expected
        return max(self._spent[part] / self._counted_s, expected / 2 if part == MUST else 0.0)

    def _span(self, now_s: float) -> tuple[str, float]:
        """The month's name, and when it ends [s UTC]."""
        now = datetime.fromtimestamp(now_s, UTC)
        start = now.replace(day=self._plan.from_day, hour=0, minute=0, second=0, microsecond=0)
        if start > now:
            start = (start.replace(day=1) - timedelta(days=1)).replace(day=self._plan.from_day)
        end = (start.replace(day=1) + timedelta(days=32)).replace(day=self._plan.from_day)
        return start.date().isoformat(), end.timestamp()
