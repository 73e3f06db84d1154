"""Rows with KPIs from sums: the last step, and the only one that computes ratios."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from oee.kpi import kpi
from oee.kpi.orders import OrderPeriod
from oee.model.calendars import cut
from oee.model.facts import FACT_COLUMNS, MS_NS, Int64
from oee.model.states import CalendarClass, State
from replay.drive import Period, ReplayResult
from replay.read.times import iso
from replay.totals import FactsKey, RankedStop

GROUPS: Final = ("machine", "day", "shift", "product", "order")
DEFAULT_BY: Final = ("machine", "shift", "product")
Group = tuple[str, ...]


def day_of(business_date: int) -> str:
    """Days since 1970-01-01 as an ISO date."""
    return (date(1970, 1, 1) + timedelta(days=business_date)).isoformat()


def plan(result: ReplayResult, by: Sequence[str], wanted: CalendarClass = CalendarClass.SCHEDULED) -> dict[Group, int]:
    """Scheduled time (or breaks, or time outside) of each group [ms], from the machines' calendars; empty by product."""
    out: dict[Group, int] = {}
    if result.window is None or "product" in by:
        return out
    for name, order, start_ns, end_ns in _parts(result, result.window, apart="order" in by):
        spans = cut(result.machines[name].calendar, start_ns, end_ns)
        lengths = (spans.end_ns // MS_NS - spans.start_ns // MS_NS).tolist()
        columns = (spans.business_date.tolist(), spans.shift.tolist(), spans.calendar.tolist())
        for business_date, shift, code, ms in zip(*columns, lengths, strict=True):
            if code == wanted and ms:
                group = _group(FactsKey(name, business_date, shift, "", code), by, order)
                out[group] = out.get(group, 0) + ms
    return out


def _parts(result: ReplayResult, window: Period, *, apart: bool) -> Iterator[tuple[str, str, int, int]]:
    """Machine, order, start and end of the parts of the window: by order if wanted, else each machine's whole window."""
    whole_window = (OrderPeriod("", window.start_ns, window.end_ns),)
    for name in result.machines:
        for period in result.orders.get(name, whole_window) if apart else whole_window:
            low, high = max(period.start_ns, window.start_ns), min(period.end_ns or window.end_ns, window.end_ns)
            if low < high:
                yield name, period.order, low, high


def sums_by(result: ReplayResult, by: Sequence[str]) -> dict[Group, Int64]:
    """Facts of scheduled time by group."""
    out: dict[Group, Int64] = {}
    by_order = result.totals.orders if "order" in by else {}
    with_orders = {key.machine for key in by_order}
    rows = [(FactsKey(*key[:-1]), key.order, row) for key, row in by_order.items()]
    rows += [(key, "", row) for key, row in result.totals.facts.items() if key.machine not in with_orders]
    for key, order, row in rows:
        if key.calendar == CalendarClass.SCHEDULED:
            group = _group(key, by, order)
            out[group] = out[group] + row if group in out else row
    return out


def order_ms(result: ReplayResult, by: Sequence[str]) -> dict[Group, int]:
    """Time from each order's start to its end within the window [ms]; empty where groups are only parts of orders."""
    if result.window is None or "order" not in by or not set(by) <= {"machine", "order"}:
        return {}
    edges: dict[Group, tuple[int, int]] = {}
    for name, order, start_ns, end_ns in _parts(result, result.window, apart=True):
        if order:
            group = _group(FactsKey(name, 0, "", "", 0), by, order)
            first_ns, last_ns = edges.get(group, (start_ns, end_ns))
            edges[group] = (min(first_ns, start_ns), max(last_ns, end_ns))
    return {group: (last_ns - first_ns) // MS_NS for group, (first_ns, last_ns) in edges.items()}


def _group(key: FactsKey, by: Sequence[str], order: str = "") -> Group:
    parts = {"machine": key.machine, "day": "", "shift": key.shift, "product": key.product, "order": order}
    return tuple(day_of(key.business_date) if name == "day" else parts[name] for name in by)


def rows(result: ReplayResult, by: Sequence[str] = DEFAULT_BY, formula: str = "") -> list[dict[str, Any]]:
    """A row for each group, then one for each machine (`total: machine`) and one for the site (`total: site`).

    A row holds its group, the summed columns of scheduled time, `scheduled_ms` and `all_ms` (null by product; `all_ms`
    also by shift or day), every KPI by its key, `why_null` and `flags`. A group that was scheduled but has no recorded
    samples has a row too.
    """
    chosen = formula or result.site.formula
    out = _rows(result, by, chosen)
    out += [{"total": "machine"} | row for row in _rows(result, ("machine",), chosen)]
    return out + [{"total": "site"} | row for row in _rows(result, (), chosen)]


def _rows(result: ReplayResult, by: Sequence[str], formula: str) -> list[dict[str, Any]]:
    sums, planned = sums_by(result, by), plan(result, by)
    groups = {*sums, *planned}
    if tuple(by) == ("machine",):
        groups |= {(name,) for name in result.machines}
    if not by:
        groups = {()}
    no_sums = np.zeros(len(FACT_COLUMNS), np.int64)
    window_ms = length_ms(result)
    all_ms = {(): window_ms * len(result.machines), ("machine",): window_ms}.get(tuple(by))
    order_lengths = order_ms(result, by)
    out = []
    for group in sorted(groups):
        scheduled_ms = None if "product" in by else planned.get(group, 0)
        row: dict[str, Any] = dict(zip(by, group, strict=True))
        row |= _numbers(sums.get(group, no_sums), scheduled_ms, all_ms, formula)
        out.append(
            row | _of_order(sums.get(group, no_sums), row["why_null"], order_lengths.get(group))
            if "order" in by
            else row
        )
    return out


def _of_order(sums: Int64, why_null: dict[str, str], lasted_ms: int | None) -> dict[str, Any]:
    """The KPIs of orders, beside the others."""
    order_kpis = kpi.compute_order(sums, lasted_ms)
    return {"order_ms": lasted_ms, **order_kpis.values, "why_null": why_null | order_kpis.why_null}


def length_ms(result: ReplayResult) -> int:
    """Length of the window [ms]."""
    window = result.window
    return 0 if window is None else (window.end_ns - window.start_ns) // MS_NS


def _numbers(sums: Int64, scheduled_ms: int | None, all_ms: int | None, formula: str) -> dict[str, Any]:
    result = kpi.compute(sums, scheduled_ms=scheduled_ms, all_ms=all_ms, formula=formula)
    return {
        "scheduled_ms": scheduled_ms,
        "all_ms": all_ms,
        **dict(zip(FACT_COLUMNS, sums.tolist(), strict=True)),
        **result.values,
        "why_null": result.why_null,
        "flags": list(result.flags),
    }


def rejects(row: Mapping[str, Any]) -> int | None:
    """Rejected pieces of a row; None where none was judged."""
    rejected: int = row["pieces_startup_reject"] + row["pieces_process_reject"]
    return rejected if row["pieces_judged"] or not row["pieces_total"] else None


def losses(result: ReplayResult) -> list[dict[str, Any]]:
    """Scheduled time lost by machine, state and reason, the largest first."""
    sums: dict[tuple[str, int, str], list[int]] = {}
    for key, (ms, pieces) in result.totals.losses.items():
        if key.calendar == CalendarClass.SCHEDULED:
            total = sums.setdefault((key.machine, key.state, key.reason), [0, 0])
            total[0] += ms
            total[1] += pieces
    ordered = sorted(sums.items(), key=lambda item: (-item[1][0], item[0]))
    return [
        {"machine": machine, "state": State(state).word, "reason": reason, "ms": ms, "pieces": pieces}
        for (machine, state, reason), (ms, pieces) in ordered
        if ms or pieces
    ]


def stop_row(kept: RankedStop, zone: ZoneInfo) -> dict[str, Any]:
    """A stop as a JSON object. ms: its whole length; of a stop that has not ended, the length up to the last sample."""
    stop = kept.stop
    return {
        "machine": stop.machine,
        "id": stop.id,
        "start": iso(stop.start_ns, zone),
        "end": None if stop.end_ns is None else iso(stop.end_ns, zone),
        "ms": kept.ms,
        "scheduled_ms": kept.scheduled_ms,
        "state": stop.state.word,
        "reason": stop.reason,
        "by": stop.by,
        "product": stop.product,
        "to_product": stop.to_product,
    }
