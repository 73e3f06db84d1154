"""The plan of a measurement: what is compared with what, said before it is measured, and its digest. Pure."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal

from oee.advice.gain.metrics import EDGES, LOSS_STATES, METRICS

VERSION: Final = 1
"""Of everything that makes a verdict of a plan; part of the digest."""
SETTLE_DAYS: Final = 3
LEAST_DAYS: Final = 12
WANTED_DAYS: Final = 24
"""Worked days of a window."""
MOST_CONTROLS: Final = 3
MOST_MACHINES: Final = 10
MOST_WINDOW_DAYS: Final = 200
MOST_AGE_DAYS: Final = 800
CHECK_MONTHS: Final = (3, 6)
_MONTH_DAYS: Final = 91 / 3


@dataclass(frozen=True)
class Days:
    """Business dates from first to last, both included."""

    first: date
    last: date

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def moved(self, days: int) -> "Days":
        """The same so many days later."""
        return Days(self.first + timedelta(days), self.last + timedelta(days))


@dataclass(frozen=True)
class GainPlan:
    """What is measured. site, machines: where the action is taken; metric, part: keys of `METRICS` and what of it; before,
    work, after: business dates, work being when the action is carried out; settle_days: left out after it; controls:
    machines of the site that nobody changes and that see the same days; mix: whether products are weighed alike in both
    windows; expected_min: what the action should bring [minutes a week], 0 unknown; chosen: the dates by which the finding
    was chosen, None without one: a baseline on them is flattered by the choice.
    """

    site: str
    machines: tuple[str, ...]
    metric: str
    part: str
    before: Days
    work: Days
    after: Days
    settle_days: int = SETTLE_DAYS
    controls: tuple[str, ...] = ()
    mix: bool = True
    expected_min: float = 0.0
    chosen: Days | None = None
    formula: str = "nakajima"
    level: float = 0.95
    version: int = VERSION

    @property
    def is_fresh(self) -> bool:
        """Whether the baseline shares no day with those by which the finding was chosen."""
        return self.chosen is None or self.before.first > self.chosen.last or self.before.last < self.chosen.first

    def check_due(self, months: int) -> date:
        """The last day of the window in which the effect is looked at again."""
        return self.after.last + timedelta(round(months * _MONTH_DAYS))

    def check_window(self, months: int) -> Days:
        """A window as long as the one after, that ends so many months later."""
        due = self.check_due(months)
        return Days(due - timedelta(len(self.after) - 1), due)


Complaint = Literal[
    "machines", "metric", "part", "before", "work", "after", "settle", "controls", "expected", "long", "old"
]
"""Keys of `action_plan.bad.<key>`."""


def complaints(plan: GainPlan) -> list[Complaint]:
    """What is wrong with a plan in itself; the caller knows which machines there are."""
    metric = METRICS.get(plan.metric)
    out: list[tuple[bool, Complaint]] = [
        (not 0 < len(plan.machines) <= MOST_MACHINES or len(set(plan.machines)) < len(plan.machines), "machines"),
        (metric is None, "metric"),
        (metric is not None and not _part_fits(metric.part, plan.part), "part"),
        (len(plan.before) < LEAST_DAYS, "before"),
        (plan.work.first <= plan.before.last or len(plan.work) < 1, "work"),
        (not 0 <= plan.settle_days <= 60, "settle"),
        (len(plan.after) < LEAST_DAYS or plan.after.first <= plan.work.last + timedelta(plan.settle_days), "after"),
        (len(set(plan.controls)) < len(plan.controls) or len(plan.controls) > MOST_CONTROLS, "controls"),
        (bool(set(plan.controls) & set(plan.machines)), "controls"),
        (not 0 <= plan.expected_min < 10_080, "expected"),
        (max(len(plan.before), len(plan.after)) > MOST_WINDOW_DAYS, "long"),
        ((plan.after.last - plan.before.first).days > MOST_AGE_DAYS, "old"),
    ]
    return list(dict.fromkeys(key for is_bad, key in out if is_bad))


def _part_fits(kind: str, part: str) -> bool:
    if kind == "loss":
        return part.split("/", maxsplit=1)[0] in LOSS_STATES
    if kind == "edge":
        return part in EDGES
    return kind == "pair" or part == ""


def plain_plan(plan: GainPlan) -> dict[str, Any]:
    """A plan as plain values."""
    out = asdict(plan) | {"machines": list(plan.machines), "controls": list(plan.controls)}
    for name in ("before", "work", "after", "chosen"):
        days = getattr(plan, name)
        out[name] = None if days is None else [days.first.isoformat(), days.last.isoformat()]
    return out


def plan_of(plain: dict[str, Any]) -> GainPlan:
    """The plan that was written."""
    days = {
        name: None if plain[name] is None else Days(*(date.fromisoformat(day) for day in plain[name]))
        for name in ("before", "work", "after", "chosen")
    }
    texts = {name: tuple(plain[name]) for name in ("machines", "controls")}
    return GainPlan(**plain | texts | days)


def digest(plan: GainPlan) -> str:
    """SHA-256 of the plan as JSON with sorted keys: what was frozen can be proven."""
    text = json.dumps(plain_plan(plan), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
