"""Waterfall and Pareto of one machine, from the sums of a replay."""

import numpy as np

from oee.kpi.losses import Waterfall, waterfall
from oee.kpi.pareto import Pareto, pareto
from oee.model.facts import LOSS_COLUMNS, Facts, Losses, make_table
from oee.model.states import CalendarClass
from replay.drive import ReplayResult
from replay.rows import plan


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
