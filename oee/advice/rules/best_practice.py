"""Whether one shift does more with the same machine and product than the others do: what it does differently is known how. Pure.

Never persons: a shift is a name in the calendar.
"""

from typing import Final

import numpy as np

from oee.advice.finding import AdviceRule, Finding, Gain, evidence
from oee.advice.grid import Float64, added_up
from oee.advice.statistics.ratios import one_window
from oee.advice.window import MachineWindow

KEY: Final = "best_practice"
VERSION: Final = 1
LEAST_POINTS: Final = 0.04
LEAST_LOW: Final = 0.01
LEAST_DAYS: Final = 20
LEAST_BUSY_MIN: Final = 60.0
TAKEN_OVER_LOW, TAKEN_OVER_HIGH = 0.3, 0.6
"""How much of a gap the others close by working as the better shift does: less than of a loss that is removed."""
LEAST_JUDGED: Final = 0.9
_OWN: Final = ("running_ms", "minor_stop_ms", "unplanned_stop_ms", "breakdown_ms")
"""Time that a shift can do something about; not set-ups, nor waiting for others."""


def find(window: MachineWindow) -> list[Finding]:
    """Each shift against the others of the same dates and products: ideal time of good pieces (of all pieces where they are
    not judged) over time without set-up, starved and blocked. The better one is named. Silent with one shift, and with
    fewer than `LEAST_DAYS` days on which it can be compared.
    """
    facts = window.facts
    days = np.unique(facts.business_date)
    (shifts, shift_at), (names, product_at) = window.shifts_of_facts, window.products_of_facts
    if len(shifts) < 2 or not names:
        return []
    shape = (len(shifts), len(names), len(days))
    place = (shift_at, product_at, np.searchsorted(days, facts.business_date))
    cell = np.ravel_multi_index(place, shape)
    trusted = np.array([name not in window.distrusted for name in names])

    def table(name: str) -> Float64:
        out: Float64 = added_up(shape, cell, facts.column(name)) * trusted[:, None]
        return out

    judged = table("ideal_judged_us").sum() >= LEAST_JUDGED * table("ideal_total_us").sum()
    # whole numbers are added before they are divided: so the order of rows changes nothing
    made = table("ideal_good_us" if judged else "ideal_total_us") / 6e7
    own = sum((table(name) for name in _OWN), np.zeros(shape)) / 6e4
    with_setup = own + table("setup_ms") / 6e4
    found = []
    for index, shift in enumerate(shifts):
        gap, weight = _gaps(made, own, index)
        chosen = weight > 0
        n = int(chosen.sum())
        if n < window.least(LEAST_DAYS):
            continue
        estimate = one_window((gap * weight)[chosen], weight[chosen])
        raw, raw_weight = _gaps(made, with_setup, index)
        if estimate is None or not raw_weight.sum():
            continue
        others_min = float(np.delete(own, index, axis=0).sum()) / window.weeks
        low, high = max(0.0, estimate.low), max(0.0, estimate.high)
        agrees = float((raw * raw_weight).sum()) > 0
        found.append(
            Finding(
                KEY,
                VERSION,
                window.machine,
                ("shift", shift),
                estimate.value >= LEAST_POINTS and estimate.low >= LEAST_LOW and agrees,
                estimate.p_above(),
                {"gap": estimate.value, "low": estimate.low, "high": estimate.high, "days": n},
                Gain(TAKEN_OVER_LOW * low * others_min, TAKEN_OVER_HIGH * high * others_min),
                frozenset({"unplanned_stop", "minor_stop", "breakdown", "slow_cycles"}),
                evidence(window, n, {"day": days[chosen], "gap": gap[chosen], "weight": weight[chosen]}),
                {"shift": shift},
            )
        )
    return found


def _gaps(made: Float64, busy: Float64, index: int) -> tuple[Float64, Float64]:
    """By day the mean gap of this shift to the others over products, and its weight: the smaller of both times [minutes]."""
    rest_made, rest_busy = made.sum(axis=0) - made[index], busy.sum(axis=0) - busy[index]
    both = (busy[index] >= LEAST_BUSY_MIN) & (rest_busy >= LEAST_BUSY_MIN)
    weight = np.where(both, np.minimum(busy[index], rest_busy), 0.0)
    gap = np.divide(made[index], busy[index], out=np.zeros_like(weight), where=both)
    gap -= np.divide(rest_made, rest_busy, out=np.zeros_like(weight), where=both)
    total = weight.sum(axis=0)
    mean = np.divide((gap * weight).sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    return mean, total


RULE = AdviceRule(KEY, VERSION, 8, find)
