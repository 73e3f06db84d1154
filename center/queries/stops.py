"""Every stretch in which a machine did not run: which of them are wanted, and in which order."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NotRequired

import numpy as np
from typing_extensions import TypedDict

from center.model.sites import Segments
from center.model.times import BadQuestion, iso
from center.queries.paging import MAX_ROWS
from center.queries.question import CheckedQuestion, NextPage, Question, WindowAnswer, check
from center.runtime.state import CenterState
from oee.model.calendars import cut
from oee.model.facts import MINUTE_NS, MS_NS, NO_SHIFT, Int64, Stop
from oee.model.states import STATE_BY_WORD, CalendarClass, State

ORDERS: Final = ("latest", "longest")
NEEDS_REASON: Final = (State.UNPLANNED_STOP, State.BREAKDOWN)
"""States of stops that somebody has to explain."""


class StopRow(TypedDict):
    """A stretch in which the machine did not run. end: null while it lasts."""

    machine: str
    id: str
    start: str
    end: str | None
    state: str
    reason: str
    by: str
    product: str
    to_product: str
    revision: int


class StopsAnswer(WindowAnswer):
    rows: list[StopRow]
    next: NotRequired[NextPage]
    truncated: bool


@dataclass(frozen=True)
class StopFilter:
    """Which stops are wanted; what is empty excludes none. Hashable.

    states, reasons, products, shifts: at least one of each; shortest_ms: of the whole stop; unexplained: only those that
    need a reason, have none and began in scheduled time; order: one of `ORDERS`; scheduled: only those that began in
    scheduled time; between: only those that touch this half-open part of the window [ns].
    """

    states: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    products: tuple[str, ...] = ()
    shifts: tuple[str, ...] = ()
    shortest_ms: int = 0
    unexplained: bool = False
    order: str = "latest"
    scheduled: bool = False
    between: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise BadQuestion(f"order: {self.order[:40]!r}; there are {', '.join(ORDERS)}")
        for word in self.states:
            if word not in STATE_BY_WORD:
                raise BadQuestion(f"state: {word[:40]!r}; there are {', '.join(STATE_BY_WORD)}")


ALL_STOPS: Final = StopFilter()


def stops(
    center: CenterState, question: Question, limit: int = MAX_ROWS, wanted: StopFilter = ALL_STOPS
) -> StopsAnswer:
    """The wanted stops that touch the window, not cut at its ends; `truncated` if there are more than `limit`.

    Where the window ends now, stops that began in the minute that is not complete yet belong to it.
    Raises `UnknownSite`, `BadQuestion` or `StoreUnavailable`.
    """
    checked = check(center, question)
    matching = choose(checked, stops_in(checked), wanted)
    rows = [stop_row(stop, checked) for stop in matching[:limit]]
    return {**checked.window(), "rows": rows, "truncated": len(matching) > limit, "next": None}


def stops_in(checked: CheckedQuestion) -> list[Stop]:
    """All stops that touch the window, as the store has them, by machine and start."""
    question = checked.question
    until_now = question.until_now or question.end_ns is None
    until_ns = checked.end_ns + (2 * MINUTE_NS if until_now else 0)
    machines = checked.machines if question.machines else ()
    return checked.center.store.stops(question.site, machines, checked.start_ns, until_ns)


def choose(checked: CheckedQuestion, found: Iterable[Stop], wanted: StopFilter) -> list[Stop]:
    """The wanted ones among stops that were found, in the order that is wanted."""
    now_ns = checked.center.now_ns()
    states = {STATE_BY_WORD[word] for word in wanted.states}
    shortest_ns = wanted.shortest_ms * MS_NS
    chosen = [
        stop
        for stop in found
        if (not states or stop.state in states)
        and (not wanted.reasons or stop.reason in wanted.reasons)
        and (not wanted.products or stop.product in wanted.products)
        and (not wanted.unexplained or (stop.state in NEEDS_REASON and not stop.reason))
        and length_ns(stop, now_ns) >= shortest_ns
        and (wanted.between is None or _touches(stop, *wanted.between))
    ]
    if wanted.shifts or wanted.unexplained or wanted.scheduled:
        chosen = _by_calendar(checked, chosen, wanted)
    if wanted.order == "longest":
        return sorted(chosen, key=lambda stop: (-length_ns(stop, now_ns), -stop.start_ns, stop.machine))
    return sorted(chosen, key=lambda stop: (-stop.start_ns, stop.machine))


def _touches(stop: Stop, start_ns: int, end_ns: int) -> bool:
    return stop.start_ns < end_ns and (stop.end_ns is None or stop.end_ns > start_ns)


def length_ns(stop: Stop, now_ns: int) -> int:
    """How long a stop is; of one that goes on, until now."""
    return max((now_ns if stop.end_ns is None else stop.end_ns) - stop.start_ns, 0)


def _by_calendar(checked: CheckedQuestion, found: list[Stop], wanted: StopFilter) -> list[Stop]:
    """Those that began in a wanted shift, and if it is asked for in scheduled time; outside of all shifts is the shift ""."""
    sites, out = checked.center.ledger_cache.sites, list[Stop]()
    for machine in sorted({stop.machine for stop in found}):
        of_machine = [stop for stop in found if stop.machine == machine]
        starts = np.array([stop.start_ns for stop in of_machine], np.int64)
        segments = sites.segments(checked.question.site, machine, int(starts.min()), int(starts.max()) + MINUTE_NS)
        for stop, (shift, is_scheduled) in zip(of_machine, _calendar_at(segments, starts), strict=True):
            if (not wanted.shifts or shift in wanted.shifts) and (
                is_scheduled or not (wanted.unexplained or wanted.scheduled)
            ):
                out.append(stop)
    return out


def _calendar_at(segments: Segments | None, t_ns: Int64) -> list[tuple[str, bool]]:
    """The shift at each time, and whether it is scheduled time; ("", True) where no calendar is known."""
    out = [(NO_SHIFT, True)] * len(t_ns)
    for calendar, low, high in segments or ():
        spans = cut(calendar, low, high)
        index = np.searchsorted(spans.start_ns, t_ns, "right") - 1
        for place in np.flatnonzero((t_ns >= low) & (t_ns < high) & (index >= 0)).tolist():
            at = int(index[place])
            out[place] = (str(spans.shift[at]), int(spans.calendar[at]) == CalendarClass.SCHEDULED)
    return out


def stop_row(stop: Stop, checked: CheckedQuestion) -> StopRow:
    """A stop as answers have it."""
    return {
        "machine": stop.machine,
        "id": stop.id,
        "start": iso(stop.start_ns, checked.zone),
        "end": None if stop.end_ns is None else iso(stop.end_ns, checked.zone),
        "state": stop.state.word,
        "reason": stop.reason,
        "by": stop.by,
        "product": stop.product,
        "to_product": stop.to_product,
        "revision": stop.revision,
    }
