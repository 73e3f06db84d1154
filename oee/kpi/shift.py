"""The shift that a machine is in: when it began, and what its facts add up to so far. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from oee.kpi.kpi import KpiResult, compute
from oee.model.calendars import Calendar, cut, scheduled_ms
from oee.model.facts import FACT, FACT_COLUMNS, MINUTE_NS, NO_SHIFT, Facts, Int64
from oee.model.states import CalendarClass

DAY_NS: Final = 86_400_000_000_000
BACK_DAYS: Final = 4
"""How far back the last shift is searched for: a weekend and an adjacent holiday."""
_AHEAD_NS: Final = 2 * DAY_NS


@dataclass(frozen=True)
class ShiftSpan:
    """One shift of one business date (days since 1970-01-01), its breaks included: `[start_ns, end_ns)` [ns UTC]."""

    name: str
    business_date: int
    start_ns: int
    end_ns: int

    def holds(self, t_ns: int) -> bool:
        """Whether this instant lies within the shift."""
        return self.start_ns <= t_ns < self.end_ns


@dataclass(frozen=True)
class ShiftFigures:
    """What a machine's shift adds up to over `[from_ns, until_ns)` [ns UTC]. sums: of scheduled time, int64 in the
    order of `FACT_COLUMNS`; scheduled_ms: what the calendar planned of it; kpis: computed from these.
    """

    shift: ShiftSpan
    from_ns: int
    until_ns: int
    sums: Int64
    scheduled_ms: int
    kpis: KpiResult

    def total(self, name: str) -> int:
        """One of the sums."""
        return int(self.sums[FACT[name]])

    @property
    def pieces(self) -> int:
        """Pieces made, whether or not anybody watched."""
        return self.total("pieces_total") + self.total("pieces_unwatched")

    @property
    def rejects(self) -> int:
        """Pieces known to be rejects."""
        return self.total("pieces_startup_reject") + self.total("pieces_process_reject")

    @property
    def not_judged(self) -> int:
        """Watched pieces of which nobody knows yet whether they are good."""
        return self.total("pieces_total") - self.total("pieces_judged")


def shift_at(calendar: Calendar, t_ns: int) -> ShiftSpan | None:
    """The shift that `t_ns` lies in, or else the last one before it; None without one in the last `BACK_DAYS` days."""
    spans = cut(calendar, t_ns - BACK_DAYS * DAY_NS, t_ns + _AHEAD_NS)
    begun = np.flatnonzero((spans.start_ns <= t_ns) & (spans.shift != NO_SHIFT))
    if not len(begun):
        return None
    name, date = spans.shift[begun[-1]], int(spans.business_date[begun[-1]])
    same = np.flatnonzero((spans.shift == name) & (spans.business_date == date))
    return ShiftSpan(str(name), date, int(spans.start_ns[same[0]]), int(spans.end_ns[same[-1]]))


def last_shifts(calendar: Calendar, t_ns: int, count: int) -> list[ShiftSpan]:
    """The shift at that instant, or the last one before it, and those before it, the latest first; fewer than `count` where a
    pause between two is longer than `BACK_DAYS`."""
    found: list[ShiftSpan] = []
    at_ns = t_ns
    while len(found) < count and (shift := shift_at(calendar, at_ns)) is not None:
        found.append(shift)
        at_ns = shift.start_ns - 1
    return found


def shift_figures(
    calendar: Calendar, shift: ShiftSpan, facts: Facts, from_ns: int, until_ns: int, formula: str = "nakajima"
) -> ShiftFigures:
    """The figures of a shift. facts: of one machine; those of other shifts, breaks and time outside shifts are left out. The
    rest as for `figures_of`.
    """
    wanted = (facts.calendar == CalendarClass.SCHEDULED) & (facts.business_date == shift.business_date)
    wanted &= facts.shift == shift.name
    sums: Int64 = facts.sums[wanted].sum(axis=0) if wanted.any() else np.zeros(len(FACT_COLUMNS), np.int64)
    return figures_of(calendar, shift, sums, from_ns, until_ns, formula)


def figures_of(
    calendar: Calendar, shift: ShiftSpan, sums: Int64, from_ns: int, until_ns: int, formula: str = "nakajima"
) -> ShiftFigures:
    """The figures of a shift from the sums of its scheduled time, int64 in the order of `FACT_COLUMNS`.

    from_ns, until_ns: from when the machine was watched, and up to when facts are complete; time of the shift between them of
    which no fact is known counts as unknown.
    """
    low = max(shift.start_ns, from_ns)
    high = max(low, min(shift.end_ns, until_ns) // MINUTE_NS * MINUTE_NS)
    planned_ms = scheduled_ms(calendar, low, high)
    kpis = compute(sums, scheduled_ms=planned_ms, all_ms=(high - low) // 1_000_000, formula=formula)
    return ShiftFigures(shift, low, high, sums, planned_ms, kpis)
