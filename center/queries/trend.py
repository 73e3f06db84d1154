"""KPIs over time: facts summed by the store, measured against what the calendar planned, divided last by `oee.kpi.kpi`."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Any, NamedTuple, NotRequired, cast

import numpy as np
from pydantic import Field
from typing_extensions import TypedDict

from center.model.sites import line_at, lines_of
from center.model.times import iso
from center.queries.question import (
    FACT_GROUPS,
    CheckedQuestion,
    NextPage,
    Question,
    WindowAnswer,
    check,
    formula_of,
)
from center.queries.targets import NO_AIMS, AimedCell, Aims, TargetGap, aims, gaps_of
from center.runtime.state import CenterState
from oee.kpi import kpi
from oee.kpi.targets import RATIOS
from oee.model.facts import FACT_COLUMNS, MINUTE_NS, Int64
from oee.model.states import CalendarClass


class TrendRow(TypedDict):
    """A bucket and group. sums: additive columns (ms, us of ideal time, pieces) of scheduled time."""

    start: str
    machine: str
    line: NotRequired[Annotated[str, Field(description="The line at that time; empty for none.")]]
    shift: NotRequired[str | None]
    product: NotRequired[str | None]
    calendar: NotRequired[str | None]
    sums: dict[str, int]
    scheduled_ms: Annotated[
        int | None, Field(description="What the calendar planned [ms]; null where it is not known.")
    ]
    kpis: dict[str, float | None]
    why_null: Annotated[dict[str, str], Field(description="For each KPI that is null the reason's key.")]
    flags: list[str]
    targets: NotRequired[
        Annotated[
            list[TargetGap], Field(description="How far the row is from what is aimed at; left out without a target.")
        ]
    ]


class TrendAnswer(WindowAnswer):
    bucket: str
    formula: str
    rows: list[TrendRow]
    next: NotRequired[NextPage]


class Cell(NamedTuple):
    """What a row is about; "" for columns that the question does not group by."""

    start_ns: int
    machine: str = ""
    shift: str = ""
    product: str = ""
    calendar: str = ""
    line: str = ""


class PlannedTime(NamedTuple):
    """Scheduled time and total time of a cell [ms]; None where it is not known."""

    scheduled_ms: int | None
    all_ms: int | None


def trend(center: CenterState, question: Question) -> TrendAnswer:
    """Rows by bucket and group with sums, the KPIs asked for, and the reason for each KPI that is null.

    Only scheduled time counts. With `calendar` among `by`, breaks and time outside shifts have rows of their own,
    with sums and no KPIs. Scheduled buckets without any facts have a row with coverage 0.
    By product, scheduled time is not known: coverage and bounds are null there. By line, a machine counts for the line to
    which it belonged at the time; KPIs are those of the sum of its machines.
    Raises `BadQuestion`, `UnknownSite` or `StoreUnavailable`.
    """
    checked = check(center, question, (*FACT_GROUPS, "line"))
    formula = formula_of(center, question.site, question.formula)
    by_line = "line" in checked.by
    sums, planned, unplanned = _of_lines(checked) if by_line else _of_machines(checked)
    gaps_in = _gaps_of_lines(checked) if by_line else _gaps_of_machines(checked)
    cells = sorted({*sums, *(cell for cell, times in planned.items() if times.scheduled_ms)})
    zeros = np.zeros(len(FACT_COLUMNS), np.int64)
    rows = []
    for cell in cells:
        without_plan = (cell.line, cell.machine) in unplanned
        times = PlannedTime(None, None) if without_plan else planned.get(cell, PlannedTime(0, None))
        row = _row(checked, cell, sums.get(cell, zeros), times, formula)
        if gaps := gaps_in(cell, row, formula):
            row["targets"] = gaps
        rows.append(row)
    return {**checked.window(), "bucket": checked.bucket, "formula": formula, "rows": rows, "next": None}


_Cells = tuple[dict[Cell, Int64], dict[Cell, PlannedTime], set[tuple[str, str]]]
"""Sums and planned times, and line and machine of the cells whose planned time is not known."""


def _of_machines(checked: CheckedQuestion) -> _Cells:
    unplanned = {("", machine) for machine in machines_without_plan(checked)}
    return sums_by_cell(checked), planned_by_cell(checked), unplanned


def _of_lines(checked: CheckedQuestion) -> _Cells:
    """The cells of each line: those of the parts in which it had the same machines, added up."""
    sums: dict[Cell, Int64] = {}
    planned: dict[Cell, PlannedTime] = {}
    unplanned: set[tuple[str, str]] = set()

    def whole(cell: Cell, line: str) -> Cell:
        return cell._replace(line=line, start_ns=checked.start_ns if checked.bucket == "all" else cell.start_ns)

    for line, part in line_parts(checked):
        part_sums, part_planned, without_plan = _of_machines(part)
        for cell, row in part_sums.items():
            sums[whole(cell, line)] = sums.get(whole(cell, line), np.zeros(len(FACT_COLUMNS), np.int64)) + row
        for cell, times in part_planned.items():
            planned[whole(cell, line)] = _add(planned.get(whole(cell, line)), times)
        unplanned |= {(line, machine) for _, machine in without_plan}
    return sums, planned, unplanned


def line_parts(checked: CheckedQuestion) -> Iterator[tuple[str, CheckedQuestion]]:
    """The question cut where a machine moved, by line: each about the machines that the line had in that time, "" for those
    of no line, without `line` among its groups. The minute of a move is the new line's.
    """
    sites, site = checked.center.ledger_cache.sites, checked.question.site
    spans = {machine: lines_of(sites, site, machine) for machine in checked.machines}
    moves = {span.from_ns // MINUTE_NS * MINUTE_NS for of_machine in spans.values() for span in of_machine}
    edges = sorted({checked.start_ns, checked.end_ns, *(t for t in moves if checked.start_ns < t < checked.end_ns)})
    by = tuple(name for name in checked.by if name != "line")
    for start_ns, end_ns in pairwise(edges):
        machines: dict[str, list[str]] = {}
        for machine, of_machine in spans.items():
            span = line_at(of_machine, start_ns + MINUTE_NS - 1)
            machines.setdefault(span.line if span else "", []).append(machine)
        for line, names in sorted(machines.items()):
            yield line, replace(checked, machines=tuple(names), start_ns=start_ns, end_ns=end_ns, by=by)


def _add(one: PlannedTime | None, two: PlannedTime) -> PlannedTime:
    pairs = zip(one, two, strict=True) if one else ()
    return PlannedTime(*(None if a is None or b is None else a + b for a, b in pairs)) if one else two


def sums_by_cell(checked: CheckedQuestion) -> dict[Cell, Int64]:
    """The sums of each cell that has facts; without `calendar` among the groups those of scheduled time alone."""
    facts = checked.center.store.facts(checked.query("calendar"))
    by_calendar = "calendar" in checked.by
    out = {}
    columns = (facts.minute_ns, facts.machine, facts.shift, facts.product, facts.calendar)
    for index, (start_ns, machine, shift, product, code) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        if by_calendar or code == CalendarClass.SCHEDULED:
            word = CalendarClass(code).word if by_calendar else ""
            out[Cell(start_ns, machine, shift, product, word)] = facts.sums[index]
    return out


def machines_without_plan(checked: CheckedQuestion) -> set[str]:
    """The machines whose rows have no known scheduled time; "" stands for rows that are not grouped by machine."""
    if "product" in checked.by:
        return {*checked.machines, ""}
    unplanned = {machine for machine, item in checked.expected.items() if item is None}
    return unplanned if "machine" in checked.by or not unplanned else {""}


def planned_by_cell(checked: CheckedQuestion) -> dict[Cell, PlannedTime]:
    """What the calendar planned in each cell; empty where it cannot be told (by product)."""
    if "product" in checked.by:
        return {}
    scheduled: dict[Cell, int] = {}
    total: dict[Cell, int] = {}
    word = CalendarClass.SCHEDULED.word if "calendar" in checked.by else ""
    by_shift = "shift" in checked.by
    for machine, item in checked.expected.items():
        name = machine if "machine" in checked.by else ""
        for (start_ns, shift), length_ms in (item.scheduled if item else {}).items():
            cell = Cell(start_ns, name, shift if by_shift else "", "", word)
            scheduled[cell] = scheduled.get(cell, 0) + length_ms
        for start_ns, length_ms in (item.all_ms if item else {}).items():
            cell = Cell(start_ns, name, "", "", word)
            total[cell] = total.get(cell, 0) + length_ms
    return {cell: PlannedTime(scheduled.get(cell, 0), total.get(cell)) for cell in {*scheduled, *total}}


_Gaps = Callable[[Cell, TrendRow, str], list[TargetGap]]
"""How far a cell's row is from what is aimed at, by a formula set; [] without a target."""


def _gaps_of_machines(checked: CheckedQuestion) -> _Gaps:
    aimed = aims(checked)

    def gaps(cell: Cell, row: TrendRow, formula: str) -> list[TargetGap]:
        if aimed is NO_AIMS or not _is_scheduled(cell):
            return []
        return aimed.gaps(AimedCell(*cell[:4]), *_terms_and_ratios(row, formula))

    return gaps


def _gaps_of_lines(checked: CheckedQuestion) -> _Gaps:
    """Of each line's own planned time: that of the machines that it had at the time."""
    by_line: dict[str, list[tuple[int, Aims]]] = {}
    for line, part in line_parts(checked):
        by_line.setdefault(line, []).append((part.start_ns, aims(part)))

    def gaps(cell: Cell, row: TrendRow, formula: str) -> list[TargetGap]:
        aimed = [(t, part) for t, part in by_line[cell.line] if not cell.machine or cell.machine in part.targets]
        if any(part is NO_AIMS for _, part in aimed) or not _is_scheduled(cell):
            return []  # the rest would be compared with what nobody aimed at
        targets = {machine: found for _, part in aimed for machine, found in part.targets.items()}
        slices = [
            item
            for start_ns, part in aimed
            for item in part.slices(AimedCell(start_ns if checked.bucket == "all" else cell.start_ns, *cell[1:4]))
        ]
        terms, ratios = _terms_and_ratios(row, formula)
        return gaps_of(targets, slices, terms, ratios, by_product=bool(cell.product))

    return gaps


def _is_scheduled(cell: Cell) -> bool:
    return cell.calendar in ("", CalendarClass.SCHEDULED.word)


def _terms_and_ratios(row: TrendRow, formula: str) -> tuple[kpi.Terms, dict[str, float | None]]:
    sums, scheduled_ms, kpis = row["sums"], row["scheduled_ms"], row["kpis"]
    others = [kind for kind in RATIOS if kind not in kpis]
    ratios = kpis | kpi.compute(sums, scheduled_ms=scheduled_ms, formula=formula, only=others).values
    return kpi.terms(sums, scheduled_ms=scheduled_ms, all_ms=None, formula=formula), ratios


def _row(checked: CheckedQuestion, cell: Cell, sums: Int64, planned: PlannedTime, formula: str) -> TrendRow:
    row: dict[str, Any] = {"start": iso(cell.start_ns, checked.zone), "machine": cell.machine}
    row |= {name: getattr(cell, name) for name in ("line", "shift", "product", "calendar") if name in checked.by}
    row["sums"] = dict(zip(FACT_COLUMNS, sums.tolist(), strict=True))
    if cell.calendar in ("", CalendarClass.SCHEDULED.word):
        kpis = checked.question.kpis
        result = kpi.compute(sums, scheduled_ms=planned.scheduled_ms, all_ms=planned.all_ms, formula=formula, only=kpis)
        row |= {"scheduled_ms": planned.scheduled_ms, "kpis": result.values, "why_null": result.why_null}
        row["flags"] = list(result.flags)
    else:
        row |= {"scheduled_ms": 0, "kpis": {}, "why_null": {}, "flags": []}
    return cast("TrendRow", row)  # the order of its keys is that of a file's columns
