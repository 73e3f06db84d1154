"""Every stretch in which a machine did not run: which of them are wanted, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, NotRequired

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from center.contract.store import BeginSpans, StopPage, StopQuery
from center.model.sites import Segments
from center.model.times import BadQuestion, iso
from center.queries.paging import MAX_ROWS
from center.queries.question import CheckedQuestion, NextPage, Question, WindowAnswer, check
from center.runtime.state import CenterState
from oee.model.calendars import cut
from oee.model.facts import MINUTE_NS, MS_NS, NO_SHIFT, Int64, Stop
from oee.model.states import NEEDS_REASON, STATE_BY_WORD, CalendarClass

ORDERS: Final = ("latest", "longest")


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
    total: NotRequired[Annotated[int, Field(description="How many there are, on all pages.")]]
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
    center: CenterState,
    question: Question,
    limit: int = MAX_ROWS,
    wanted: StopFilter = ALL_STOPS,
    offset: int | None = None,
) -> StopsAnswer:
    """The wanted stops that touch the window, not cut at its ends. offset: of a page of `limit` rows; without it the answer
    is `truncated` if there are more than `limit`. `total`: how many there are.

    Where the window ends now, stops that began in the minute that is not complete yet belong to it.
    Raises `UnknownSite`, `BadQuestion` or `StoreUnavailable`.
    """
    checked = check(center, question)
    found = find_stops(checked, wanted, offset or 0, limit)
    rows = [stop_row(stop, checked) for stop in found.stops]
    truncated = offset is None and found.total > limit
    return {**checked.window(), "rows": rows, "total": found.total, "truncated": truncated, "next": None}


def find_stops(
    checked: CheckedQuestion, wanted: StopFilter, first: int = 0, most: int | None = None, *, others_last: bool = False
) -> StopPage:
    """A page of the wanted stops as the store has them. others_last: those that began outside of scheduled time come too,
    after all others, however long they are: standing still then is no loss.
    """
    states = {STATE_BY_WORD[word] for word in wanted.states}
    reasons = set(wanted.reasons)
    if wanted.unexplained:
        states = states & {*NEEDS_REASON} if states else {*NEEDS_REASON}
        reasons = reasons & {""} if reasons else {""}
        if not states or not reasons:
            return StopPage([], 0)
    question, center = checked.question, checked.center
    until_now = question.until_now or question.end_ns is None
    start_ns, end_ns = checked.start_ns, checked.end_ns + (2 * MINUTE_NS if until_now else 0)
    if wanted.between is not None:
        start_ns, end_ns = max(start_ns, wanted.between[0]), min(end_ns, wanted.between[1])
    if end_ns <= start_ns:
        return StopPage([], 0)
    query = StopQuery(
        question.site,
        start_ns,
        end_ns,
        checked.machines if question.machines else (),
        states=sorted(states),
        reasons=sorted(reasons),
        products=wanted.products,
        shortest_ns=wanted.shortest_ms * MS_NS,
        now_ns=center.now_ns(),
        order="longest" if wanted.order == "longest" else "latest",
        first=first,
        most=most,
    )
    only_scheduled = wanted.unexplained or wanted.scheduled
    if wanted.shifts or only_scheduled or others_last:
        spans = _begin_spans(checked, query, wanted.shifts, scheduled=only_scheduled or not wanted.shifts)
        query = replace(query, began_in=spans, others_last=others_last and not wanted.shifts and not only_scheduled)
    return center.store.stops(query)


def _begin_spans(
    checked: CheckedQuestion, query: StopQuery, shifts: Sequence[str], *, scheduled: bool
) -> list[BeginSpans]:
    """Where a stop of the query's window begins in one of these shifts, and if it is asked for in scheduled time; outside of
    all shifts is the shift "-". Where no calendar is known, all time is scheduled and of no shift.
    """
    over_the_start = replace(query, end_ns=query.start_ns + 1, shortest_ns=0, order="machine", first=0, most=None)
    begun = [stop.start_ns for stop in checked.center.store.stops(over_the_start).stops]
    low_ns, high_ns = min([query.start_ns, *begun]), query.end_ns
    machines: dict[tuple[tuple[int, int, int], ...], list[str]] = {}
    calendars: dict[tuple[tuple[int, int, int], ...], Segments] = {}
    for machine in checked.machines:
        segments = checked.center.ledger_cache.sites.segments(checked.question.site, machine, low_ns, high_ns) or []
        key = tuple((id(calendar), low, high) for calendar, low, high in segments)  # machines share calendars
        machines.setdefault(key, []).append(machine)
        calendars[key] = segments
    return [
        BeginSpans(names, *_wanted_spans(calendars[key], (low_ns, high_ns), shifts, scheduled=scheduled))
        for key, names in machines.items()
    ]


def _wanted_spans(
    segments: Segments, window: tuple[int, int], shifts: Sequence[str], *, scheduled: bool
) -> tuple[Int64, Int64]:
    begins, ends, at_ns = [], [], window[0]
    for calendar, low, high in [*segments, (None, window[1], window[1])]:
        if at_ns < low and (not shifts or NO_SHIFT in shifts):
            begins.append(np.array([at_ns], np.int64))
            ends.append(np.array([low], np.int64))
        at_ns = max(at_ns, high)
        if calendar is None:
            continue
        spans = cut(calendar, low, high)
        fits = (spans.calendar == CalendarClass.SCHEDULED) | (not scheduled)
        fits &= np.isin(spans.shift, shifts) if shifts else True
        begins.append(spans.start_ns[fits])
        ends.append(spans.end_ns[fits])
    none = np.zeros(0, np.int64)
    return np.concatenate([none, *begins]), np.concatenate([none, *ends])


def length_ns(stop: Stop, now_ns: int) -> int:
    """How long a stop is; of one that goes on, until now."""
    return max((now_ns if stop.end_ns is None else stop.end_ns) - stop.start_ns, 0)


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
