"""Every stretch in which a machine did not run."""

from typing import NotRequired

from typing_extensions import TypedDict

from center.model.times import iso
from center.queries.paging import MAX_ROWS
from center.queries.question import NextPage, Question, WindowAnswer, check
from center.runtime.state import CenterState
from oee.model.facts import MINUTE_NS


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


def stops(center: CenterState, question: Question, limit: int = MAX_ROWS) -> StopsAnswer:
    """Stops that touch the window, not cut at its ends, the latest first; `truncated` if there are more than `limit`.

    Where the window ends now, stops that began in the minute that is not complete yet belong to it.
    Raises `UnknownSite`, `BadQuestion` or `StoreUnavailable`.
    """
    checked = check(center, question)
    until_now = question.until_now or question.end_ns is None
    until_ns = checked.end_ns + (2 * MINUTE_NS if until_now else 0)
    matching = center.store.stops(
        question.site, checked.machines if question.machines else (), checked.start_ns, until_ns
    )
    matching.sort(key=lambda stop: (-stop.start_ns, stop.machine))
    rows: list[StopRow] = [
        {
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
        for stop in matching[:limit]
    ]
    return {**checked.window(), "rows": rows, "truncated": len(matching) > limit, "next": None}
