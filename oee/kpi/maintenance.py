"""Maintenance that is planned by the calendar: when each task is due, what was done in time, and how much of it. Pure.

Due dates are fixed when the plan is made: a task that was done late is due again when it would have been anyway, so that
nobody gains time by being late.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

MaintenanceKind = Literal["preventive", "predictive", "overhaul"]
KINDS: Final[tuple[MaintenanceKind, ...]] = ("preventive", "predictive", "overhaul")
Tolerance = Literal["due", "day", "fifth"]
TOLERANCES: Final[tuple[Tolerance, ...]] = ("fifth", "day", "due")
"""Until when a task counts as done in time: its due date; a day more; or a fifth of its interval more, from one day to 28. (SMRP
names the three; a target of 90 % goes with it.)
"""
DueState = Literal["in_time", "late", "overdue", "open"]
_LONGEST: Final = 28
MOST_DAYS: Final = 3660


@dataclass(frozen=True)
class PlannedTask:
    """What is to be done every so many days. first: its first due date; last: the last day of the plan, None for no end."""

    every_days: int
    first: date
    last: date | None = None
    tolerance: Tolerance = "fifth"


@dataclass(frozen=True)
class DueTask:
    """A task that is due. until: the last day on which it is done in time; done: when it was, None for not yet."""

    due: date
    until: date
    done: date | None = None

    def state(self, today: date) -> DueState:
        """in_time or late if it is done; else overdue from the day after `until` on."""
        if self.done is not None:
            return "in_time" if self.done <= self.until else "late"
        return "overdue" if today > self.until else "open"


@dataclass(frozen=True)
class Compliance:
    """Tasks whose time has come, and how many of them were done in time, late, and not at all. open: those that may still be
    done in time, which count nowhere else.
    """

    in_time: int
    late: int
    overdue: int
    open: int

    @property
    def due(self) -> int:
        """How many count."""
        return self.in_time + self.late + self.overdue

    @property
    def ratio(self) -> float | None:
        """Tasks done in time / tasks due [1]; None where nothing was due."""
        return self.in_time / self.due if self.due else None


def grace_days(task: PlannedTask) -> int:
    """So many days after its due date a task is still done in time."""
    if task.tolerance == "due":
        return 0
    return 1 if task.tolerance == "day" else min(max(task.every_days // 5, 1), _LONGEST)


def due_between(task: PlannedTask, first: date, last: date, done: Mapping[date, date]) -> list[DueTask]:
    """What is due from `first` to `last`, both included. done: when the task of a due date was done.

    Raises `ValueError` for an interval of less than a day.
    """
    if task.every_days < 1:
        raise ValueError(f"every_days {task.every_days}: a task is due at most once a day")
    ends = min(last, task.last) if task.last else last
    behind = max((first - task.first).days, 0)
    day = task.first + timedelta(days=-(-behind // task.every_days) * task.every_days)
    grace, out = timedelta(days=grace_days(task)), []
    while day <= ends:
        out.append(DueTask(day, day + grace, done.get(day)))
        day += timedelta(days=task.every_days)
    return out


def compliance(items: Iterable[DueTask], today: date) -> Compliance:
    """How many were done in time, late, not at all, or may still be."""
    counts = {"in_time": 0, "late": 0, "overdue": 0, "open": 0}
    for item in items:
        counts[item.state(today)] += 1
    return Compliance(**counts)


def planned_share(planned_ms: int, breakdown_ms: int) -> float | None:
    """Planned maintenance / (planned maintenance + breakdowns) [1]; None where there was neither."""
    whole = planned_ms + breakdown_ms
    return planned_ms / whole if whole else None
