"""KPIs over time: facts summed by the store, measured against what the calendar planned, divided last by `oee.kpi.kpi`."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from center.model.times import iso
from center.model.viewer import Viewer
from center.queries.scope import Scope, formula_of, scope
from center.runtime.state import CenterState
from oee.kpi import kpi
from oee.model.facts import FACT_COLUMNS, Int64
from oee.model.states import CalendarClass


class Cell(NamedTuple):
    """What a row is about; what the question does not keep apart is ""."""

    start_ns: int
    machine: str = ""
    shift: str = ""
    product: str = ""
    calendar: str = ""


class Plan(NamedTuple):
    """Scheduled time and whole time of a cell [ms]; None where it cannot be told."""

    scheduled_ms: int | None
    all_ms: int | None


def trend(
    center: CenterState,
    viewer: Viewer,
    site: str,
    machines: Sequence[str] = (),
    *,
    bucket: str = "hour",
    start_ns: int | None = None,
    end_ns: int | None = None,
    by: Sequence[str] = ("machine",),
    formula: str = "",
    kpis: Collection[str] = kpi.KPI_KEYS,
) -> dict[str, Any]:
    """Rows by bucket and group with sums, these KPIs, and the reason for each KPI that is null.

    Only scheduled time counts. With `calendar` among `by`, breaks and time outside shifts have rows of their own,
    with sums and no KPIs. Buckets that were scheduled and of which nothing was heard have a row with coverage 0.
    By product, scheduled time cannot be told apart: coverage and bounds are null there.
    Raises `BadQuestion`, `UnknownSite` or `StoreUnavailable`.
    """
    asked = scope(center, viewer, site, machines, start_ns=start_ns, end_ns=end_ns, bucket=bucket, by=by)
    chosen = formula_of(center, site, formula)
    sums = _sums(asked)
    plans = _plans(asked)
    cells = sorted({*sums, *(cell for cell, plan in plans.items() if plan.scheduled_ms)})
    untold = _untold(asked)
    none = np.zeros(len(FACT_COLUMNS), np.int64)
    rows = []
    for cell in cells:
        plan = Plan(None, None) if cell.machine in untold else plans.get(cell, Plan(0, None))
        rows.append(_row(asked, cell, sums.get(cell, none), plan, chosen, kpis))
    return asked.window() | {"bucket": asked.bucket, "formula": chosen, "rows": rows}


def _sums(asked: Scope) -> dict[Cell, Int64]:
    facts = asked.center.store.facts(asked.query("calendar"))
    apart = "calendar" in asked.by
    out = {}
    columns = (facts.minute_ns, facts.machine, facts.shift, facts.product, facts.calendar)
    for index, (start_ns, machine, shift, product, code) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        if apart or code == CalendarClass.SCHEDULED:
            word = CalendarClass(code).word if apart else ""
            out[Cell(start_ns, machine, shift, product, word)] = facts.sums[index]
    return out


def _untold(asked: Scope) -> set[str]:
    """The machines of whose rows nobody can say what was planned; "" stands for rows that keep none apart."""
    if "product" in asked.by:
        return {*asked.machines, ""}
    untold = {machine for machine, item in asked.expected.items() if item is None}
    return untold if "machine" in asked.by or not untold else {""}


def _plans(asked: Scope) -> dict[Cell, Plan]:
    if "product" in asked.by:
        return {}
    scheduled: dict[Cell, int] = {}
    whole: dict[Cell, int] = {}
    word = CalendarClass.SCHEDULED.word if "calendar" in asked.by else ""
    by_shift = "shift" in asked.by
    for machine, item in asked.expected.items():
        name = machine if "machine" in asked.by else ""
        for (start_ns, shift), length_ms in (item.scheduled if item else {}).items():
            cell = Cell(start_ns, name, shift if by_shift else "", "", word)
            scheduled[cell] = scheduled.get(cell, 0) + length_ms
        for start_ns, length_ms in (item.all_ms if item else {}).items():
            cell = Cell(start_ns, name, "", "", word)
            whole[cell] = whole.get(cell, 0) + length_ms
    return {cell: Plan(scheduled.get(cell, 0), whole.get(cell)) for cell in {*scheduled, *whole}}


def _row(asked: Scope, cell: Cell, sums: Int64, plan: Plan, formula: str, kpis: Collection[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"start": iso(cell.start_ns, asked.zone), "machine": cell.machine}
    for name in ("shift", "product", "calendar"):
        if name in asked.by:
            row[name] = getattr(cell, name)
    row["sums"] = dict(zip(FACT_COLUMNS, sums.tolist(), strict=True))
    if cell.calendar not in ("", CalendarClass.SCHEDULED.word):
        return row | {"scheduled_ms": 0, "kpis": {}, "why_null": {}, "flags": []}
    result = kpi.compute(sums, scheduled_ms=plan.scheduled_ms, all_ms=plan.all_ms, formula=formula, only=kpis)
    return row | {
        "scheduled_ms": plan.scheduled_ms,
        "kpis": result.values,
        "why_null": result.why_null,
        "flags": list(result.flags),
    }
