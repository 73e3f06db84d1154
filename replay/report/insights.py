"""Where the time went and what changeovers cost: waterfalls, the six big losses, changeovers by pair of products.

Plain values for the JSON object, the terminal and the page.
"""

from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from oee.kpi.changeovers import by_pair
from oee.kpi.losses import Waterfall, six_big_losses, waterfall
from oee.kpi.pareto import BY, Pareto, pareto
from oee.model.facts import LOSS_COLUMNS, Facts, Losses, make_table
from oee.model.states import CalendarClass
from replay.drive import ReplayResult
from replay.read.times import iso
from replay.rows import plan, rows


def facts_of(result: ReplayResult, machine: str = "") -> Facts:
    """A machine's sums (without one: all machines') as facts, all in one minute."""
    rows = [(key, row) for key, row in result.totals.facts.items() if machine in ("", key.machine)]
    keys = [(key.machine, 0, key.calendar, key.business_date, key.shift, key.product) for key, _ in rows]
    return make_table(Facts, keys, np.array([row for _, row in rows], np.int64))


def losses_of(result: ReplayResult, machine: str = "") -> Losses:
    """A machine's losses (without one: all machines'), all in one minute."""
    rows = [(key, row) for key, row in result.totals.losses.items() if machine in ("", key.machine)]
    keys = [
        (key.machine, 0, key.calendar, key.business_date, key.shift, key.product, key.state, key.reason)
        for key, _ in rows
    ]
    return make_table(Losses, keys, np.array([row for _, row in rows], np.int64).reshape(-1, len(LOSS_COLUMNS)))


def waterfall_of(result: ReplayResult, machine: str, formula: str) -> Waterfall:
    """From all time to fully productive time."""
    facts = facts_of(result, machine)
    sums = {kind: facts.sums[facts.calendar == kind].sum(axis=0) for kind in CalendarClass}
    planned = {kind: plan(result, ("machine",), kind).get((machine,), 0) for kind in CalendarClass}
    return waterfall(
        sums,
        planned[CalendarClass.SCHEDULED],
        sum(planned.values()),
        formula,
        break_ms=planned[CalendarClass.BREAK],
    )


def pareto_of(result: ReplayResult, machine: str) -> Pareto:
    """What cost most, by state and reason."""
    return pareto(losses_of(result, machine), facts_of(result, machine))


def six_losses(result: ReplayResult, formula: str) -> list[dict[str, Any]]:
    """The six big losses of each machine and of the site (`machine` null): lost time [us] and pieces."""
    out: list[dict[str, Any]] = []
    for name in result.machines:
        for loss in six_big_losses(waterfall_of(result, name, formula)):
            parts = {row.key: row.us for row in loss.parts}
            numbers = {
                "number": loss.number,
                "loss": loss.key,
                "group": loss.group,
                "us": loss.us,
                "pieces": loss.pieces,
            }
            out.append({"machine": name, **numbers, "parts": parts})
    return out + [_together([row for row in out if row["number"] == number]) for number in range(1, 7) if out]


def _together(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One of the six losses over all machines."""
    pieces = [row["pieces"] for row in rows if row["pieces"] is not None]
    parts = {key: sum(row["parts"][key] for row in rows) for key in rows[0]["parts"]}
    us = sum(row["us"] for row in rows)
    return rows[0] | {"machine": None, "us": us, "pieces": sum(pieces) if pieces else None, "parts": parts}


def waterfalls(result: ReplayResult, formula: str) -> list[dict[str, Any]]:
    """From all time to fully productive time, of each machine."""
    return [
        {"machine": name, **asdict(row)} for name in result.machines for row in waterfall_of(result, name, formula).rows
    ]


def paretos(result: ReplayResult) -> dict[str, list[dict[str, Any]]]:
    """What cost the site most, by state, reason, machine, product and shift: lost time [us], rejected pieces, and the
    share of all that was lost (null where nothing was)."""
    losses, facts = losses_of(result), facts_of(result)
    return {
        name: [
            {name: row.key[0], "us": row.us, "pieces": row.pieces, "share": row.share, "cumulative": row.cumulative}
            for row in pareto(losses, facts, (name,)).rows
        ]
        for name in BY
    }


def changeover_pairs(result: ReplayResult) -> list[dict[str, Any]]:
    """Changeovers by machine and pair of products, the most time first; `elapsed_ms` is the sum of the elapsed times. Those
    entirely outside the schedule cost no time and would distort the best time: they are left out."""
    changeovers_with_time = [item for item in result.totals.observations.changeovers if item.setup_ms]
    elapsed_ms: dict[tuple[str, str, str], int] = {}
    for item in changeovers_with_time:
        pair = (item.machine, item.product, item.to_product)
        elapsed_ms[pair] = elapsed_ms.get(pair, 0) + item.elapsed_ms
    return [
        asdict(row) | {"elapsed_ms": elapsed_ms[(row.machine, row.product, row.to_product)]}
        for row in by_pair(changeovers_with_time)
    ]


def orders(result: ReplayResult, formula: str) -> list[dict[str, Any]]:
    """A row for each order on each machine, as grouped by machine and order, with its `start` and `end` (null: it has not
    ended)."""
    zone = ZoneInfo(result.site.timezone)
    edges: dict[tuple[str, str], tuple[int, int | None]] = {}
    for machine, items in result.orders.items():
        for item in items:
            first_ns, _ = edges.get((machine, item.order), (item.start_ns, None))
            edges[(machine, item.order)] = (first_ns, item.end_ns)
    out = []
    for row in rows(result, ("machine", "order"), formula):
        if row.get("order"):
            start_ns, end_ns = edges[(row["machine"], row["order"])]
            times = {"start": iso(start_ns, zone), "end": None if end_ns is None else iso(end_ns, zone)}
            out.append({"machine": row["machine"], "order": row["order"], **times} | row)
    return out
