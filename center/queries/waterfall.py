"""Where the time went: from all time to fully productive time, step by step. What is computed is `oee.kpi.losses`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, NotRequired, cast

from pydantic import Field
from typing_extensions import TypedDict

from center.model.times import iso
from center.queries.question import CheckedQuestion, NextPage, Question, WindowAnswer, check, formula_of
from center.queries.trend import Cell, PlannedTime, machines_without_plan, planned_by_cell, sums_by_cell
from center.runtime.state import CenterState
from oee.kpi.losses import BIG_LOSSES, Waterfall, waterfall
from oee.model.facts import Int64
from oee.model.states import CalendarClass

_GROUPS: Final = ("machine", "shift", "product")
_CLASS: Final = {kind.word: kind for kind in CalendarClass}
_BIG_LOSS: Final = {name: key for key, names in BIG_LOSSES for name in names}


class WaterfallStepRow(TypedDict):
    """A total, or a loss that is taken from one. us: time or ideal time [us]; pieces: null for lost time."""

    start: str
    machine: NotRequired[str | None]
    shift: NotRequired[str | None]
    product: NotRequired[str | None]
    step: str
    group: Annotated[str, Field(description="Empty for a total, else the factor that the loss reduces.")]
    of: Annotated[str, Field(description="For a loss the total that it is taken from.")]
    big_loss: Annotated[str | None, Field(description="Which of the six big losses it belongs to.")]
    us: int
    pieces: int | None
    flags: list[str]


class WaterfallAnswer(WindowAnswer):
    bucket: str
    formula: str
    rows: list[WaterfallStepRow]
    next: NotRequired[NextPage]


def waterfall_steps(center: CenterState, question: Question) -> WaterfallAnswer:
    """The steps of each bucket and group from the top down. Totals are exactly the total before less its losses.

    By shift the steps begin with scheduled time, by product with busy time, since a calendar plans no more than that;
    so they do for machines whose calendar is not known. Buckets with neither a plan nor facts have no rows.
    Raises `BadQuestion`, `UnknownSite` or `StoreUnavailable`.
    """
    check(center, question, _GROUPS)
    checked = check(center, replace(question, by=(*question.by, "calendar")))
    formula = formula_of(center, question.site, question.formula)
    rows: list[WaterfallStepRow] = []
    for cell, fall in _falls(checked, formula):
        head: dict[str, Any] = {"start": iso(cell.start_ns, checked.zone)}
        head |= {name: getattr(cell, name) for name in _GROUPS if name in checked.by}
        for row in fall.rows:
            step = {
                "step": row.key,
                "group": row.group,
                "of": row.of,
                "big_loss": _BIG_LOSS.get(row.key),
                "us": row.us,
                "pieces": row.pieces,
                "flags": [*fall.flags] if row is fall.rows[-1] else [],
            }
            rows.append(cast("WaterfallStepRow", head | step))  # the order of its keys is that of a file's columns
    return {**checked.window(), "bucket": checked.bucket, "formula": formula, "rows": rows, "next": None}


def _falls(checked: CheckedQuestion, formula: str) -> list[tuple[Cell, Waterfall]]:
    parts: dict[Cell, dict[CalendarClass, Int64]] = {}
    for cell, sums in sums_by_cell(checked).items():
        parts.setdefault(cell._replace(calendar=""), {})[_CLASS[cell.calendar]] = sums
    planned = {cell._replace(calendar=""): times for cell, times in planned_by_cell(checked).items()}
    breaks, unplanned = _breaks_ms(checked), machines_without_plan(checked)
    return [
        (
            cell,
            _fall(
                parts.get(cell, {}), _plan(cell, planned, unplanned), breaks.get((cell.start_ns, cell.machine)), formula
            ),
        )
        for cell in sorted({*parts, *(cell for cell, times in planned.items() if times.scheduled_ms)})
    ]


def _plan(cell: Cell, planned: Mapping[Cell, PlannedTime], unplanned: set[str]) -> PlannedTime:
    return PlannedTime(None, None) if cell.machine in unplanned else planned.get(cell, PlannedTime(0, None))


def _fall(sums: Mapping[CalendarClass, Int64], times: PlannedTime, break_ms: int | None, formula: str) -> Waterfall:
    pause_ms = None if times.all_ms is None else break_ms or 0
    return waterfall(sums, times.scheduled_ms, times.all_ms, formula, break_ms=pause_ms)


def _breaks_ms(checked: CheckedQuestion) -> dict[tuple[int, str], int]:
    """Breaks by bucket and machine [ms], of all machines together where rows are not grouped by machine."""
    out: dict[tuple[int, str], int] = {}
    for machine, item in checked.expected.items():
        for start_ns, length_ms in (item.break_ms if item else {}).items():
            key = (start_ns, machine if "machine" in checked.by else "")
            out[key] = out.get(key, 0) + length_ms
    return out
