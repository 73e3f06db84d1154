"""The month's data budget on a metered link. Pure: it is given the time and what was spent.

What must travel (facts, stops, site bodies, status, receipts, connecting) is never delayed: the budget only decides
what else may. From what the month has cost so far it works out what the rest of it will need:

    all      there is enough for everything
    thin     what is left is needed for what must travel and for live: no process values any more, live thinned
    short    it is needed for what must travel alone: live is thinned to one message in ten minutes

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
_MARGIN: Final = 1.1
_BACK: Final = 1.2
"""What must be left over what is needed before something stops, and before it goes on."""
Part = str
MUST: Final = "must"
LIVE: Final = "live"
VALUES: Final = "values"
_PARTS: Final = (MUST, LIVE, VALUES)


class Level(IntEnum):
    """What may travel."""

    ALL = 0
    THIN = 1
    SHORT = 2


@dataclass(frozen=True)
class DataPlan:
    """limit_mb: a month's [MB], None for no limit; from_day: the day on which it begins; expected: bytes a day of each
    part, as long as nothing is measured.
    """

    limit_mb: int | None = None
    from_day: int = 1
    expected: dict[Part, float] = field(default_factory=dict)


class Budget:
    """One gateway's month."""

    def __init__(self, plan: DataPlan, saved: str = "", on_level: Callable[[Level], None] = lambda _: None) -> None:
        """saved: what `saved` gave before. on_level: called at each change of level."""
        self._plan, self._on_level = plan, on_level
        self._month, self._spent = "", dict.fromkeys(_PARTS, 0.0)
        self._counted_s = 0.0
        self._seen_s: float | None = None
        self._level = Level.ALL
        try:
            found = json.loads(saved) if saved else {}
            self._month, self._counted_s = str(found.get("month", "")), float(found.get("counted_s", 0.0))
            self._spent |= {part: float(found.get(part, 0.0)) for part in _PARTS}
        except (ValueError, TypeError, AttributeError):
            self._month = ""  # unreadable: the month begins anew

    def spend(self, sizes: dict[Part, float], now_s: float, *, dated: bool = True) -> None:
        """Adds the bytes of each part that have crossed the link since the last call. now_s: time [s UTC]; dated: whether it
        may be believed; if not, the month stays what it was.
        """
        if not dated:
            for part, size in sizes.items():
                self._spent[part] += size
            return
        month, _ = self._span(now_s)
        if month != self._month:
            self._month, self._spent, self._counted_s = month, dict.fromkeys(_PARTS, 0.0), 0.0
        elif self._seen_s is not None:
            self._counted_s += min(max(now_s - self._seen_s, 0.0), 3600.0)
        self._seen_s = now_s
        for part, size in sizes.items():
            self._spent[part] += size
        level = self._decide(now_s)
        if level is not self._level:
            self._level = level
            self._on_level(level)

    @property
    def level(self) -> Level:
        """What may travel as of the last `spend`."""
        return self._level

    @property
    def used_mb(self) -> float:
        """What this month has cost so far [MB]."""
        return sum(self._spent.values()) / MB

    @property
    def limit_mb(self) -> int | None:
        """What it may cost [MB]; None for no limit."""
        return self._plan.limit_mb

    def forecast_mb(self, now_s: float) -> float:
        """What the whole month will have cost if it goes on like this [MB]."""
        _, end_s = self._span(now_s)
        return self.used_mb + sum(map(self._rate, _PARTS)) * max(end_s - now_s, 0.0) / MB

    def saved(self) -> str:
        """What to keep on disk."""
        spent = {part: round(size) for part, size in self._spent.items()}
        return json.dumps({"month": self._month, "counted_s": round(self._counted_s)} | spent)

    def _decide(self, now_s: float) -> Level:
        if self._plan.limit_mb is None:
            return Level.ALL
        left = self._plan.limit_mb * MB - sum(self._spent.values())
        _, end_s = self._span(now_s)
        rest_s = max(end_s - now_s, 0.0)
        must = self._rate(MUST) * rest_s
        wanted = {Level.SHORT: must, Level.THIN: must + self._rate(LIVE) * rest_s}
        for level, needed in wanted.items():
            if left - self._plan.limit_mb * MB / 100 <= needed * (_BACK if self._level >= level else _MARGIN):
                return level
        return Level.ALL

    def _rate(self, part: Part) -> float:
        """Bytes a second: measured, or expected while too little was; never less than half of what was expected, since
        a quiet night must not promise a quiet month.
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
