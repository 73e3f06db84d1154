"""Whether the machine gets slower from week to week. Pure."""

import math
from dataclasses import replace
from typing import Final

import numpy as np

from oee.advice.finding import AdviceRule, Finding, evidence, realisable
from oee.advice.grid import Float64
from oee.advice.measures.cycle_times import by_day, median_ms
from oee.advice.statistics.ranks import theil_sen
from oee.advice.statistics.ratios import LEAST_BLOCKS, Estimate, change_point, thirds_trend, two_windows
from oee.advice.window import DAY_NS, LEAST_CONFIRMING, MachineWindow
from oee.model.facts import FACT

KEY: Final = "speed_drift"
VERSION: Final = 2
LEAST_DRIFT: Final = 0.015
LEAST_HOURS: Final = 2.0
LEAST_DAYS_OF_A_PRODUCT: Final = 6
LEAST_MEASURED: Final = 0.9
LEAST_CYCLES_OF_A_DAY: Final = 50
_HOUR_MS: Final = 3_600_000


def find(window: MachineWindow) -> list[Finding]:
    """Actual over ideal cycle time by day: last third of the days against the first.

    The index is the logarithm for each product, less the product's own mean, weighted by running time, so that another
    mix is no drift. Where cycles were measured, it is that of the median cycle: short waits between cycles, and pulses that
    are lost, lengthen the mean alone. Silent with fewer than `LEAST_DAYS_OF_A_TREND` days. `shape` says whether one step or a line leaves
    the smaller squared error; `step_day` is the day of the step, -1 for a line.
    """
    days, index, weight = _daily(window)
    trend = thirds_trend(index * weight, weight)  # None with too few days
    return [] if trend is None else [_finding(window, trend, days, index, weight)]


def confirm(window: MachineWindow, since_ns: int) -> Finding | None:
    """Days that began after this time against the first third of those before; None with fewer than 10 of them."""
    days, index, weight = _daily(window)
    before = days < math.ceil(since_ns / DAY_NS)
    third = int(before.sum()) // 3
    if int((~before).sum()) < LEAST_CONFIRMING or third < LEAST_BLOCKS:
        return None
    first, last = slice(0, third), ~before
    change = two_windows((index[first] * weight[first], weight[first]), (index[last] * weight[last], weight[last]))
    if change is None:
        return None
    return replace(_finding(window, change, days, index, weight), p=change.p_above())


def _finding(window: MachineWindow, trend: Estimate, days: Float64, index: Float64, weight: Float64) -> Finding:
    running_min = float(window.column("running_ms").sum()) / 60_000 / window.weeks
    per_day = theil_sen(days, index) or 0.0
    step = _step(days, index)
    low, high = (1 - math.exp(-value) for value in (trend.low, trend.high))
    return Finding(
        KEY,
        VERSION,
        window.machine,
        ("machine",),
        trend.value >= LEAST_DRIFT and trend.low > 0,
        trend.p_two_sided(),
        {
            "slower": math.expm1(trend.value),
            "low": math.expm1(trend.low),
            "high": math.expm1(trend.high),
            "a_day": per_day,
            "days": len(days),
            "step_day": -1 if step is None else step,
        },
        realisable(low * running_min, high * running_min),
        frozenset({"slow_cycles"}),
        evidence(window, len(days), {"day": days, "index": index, "running_ms": weight}),
        {"shape": "slope" if step is None else "step", "verdict": "drift_median" if measured(window) else "drift_mean"},
    )


def measured(window: MachineWindow) -> bool:
    """Whether single cycles were measured on nearly all days on which it ran."""
    days = np.unique(window.facts.business_date)
    return len(days) > 0 and float(np.isin(days, window.cycles.business_date).mean()) >= LEAST_MEASURED


def _daily(window: MachineWindow) -> tuple[Float64, Float64, Float64]:
    """Business dates, their index and their weights [ms], of days on which a usable product ran for two hours."""
    facts = window.facts
    known, ideal = FACT["running_ideal_known_ms"], FACT["ideal_total_us"]
    by_median = measured(window)
    index: dict[int, float] = {}
    weight: dict[int, float] = {}
    for name in window.products:
        if name in window.distrusted:
            continue
        rows = facts.product == name
        days, inverse = np.unique(facts.business_date[rows], return_inverse=True)
        ms = np.bincount(inverse, facts.sums[rows, known], len(days))
        made_us = np.bincount(inverse, facts.sums[rows, ideal], len(days))
        enough = (ms >= LEAST_HOURS * _HOUR_MS) & (made_us > 0)
        if enough.sum() < LEAST_DAYS_OF_A_PRODUCT:
            continue
        log = np.log(1000 * ms[enough] / made_us[enough])
        if by_median:
            histograms = by_day(window.cycles, name)
            has = np.isin(days, histograms.day[histograms.counts.sum(axis=1) >= LEAST_CYCLES_OF_A_DAY])
            enough &= has
            if enough.sum() < LEAST_DAYS_OF_A_PRODUCT:
                continue
            log = np.log(median_ms(histograms.counts[np.searchsorted(histograms.day, days[enough])]))
        log -= np.average(log, weights=ms[enough])
        for day, value, share in zip(days[enough].tolist(), log.tolist(), ms[enough].tolist(), strict=True):
            index[day] = index.get(day, 0.0) + value * share
            weight[day] = weight.get(day, 0.0) + share
    order = sorted(index)
    weights = np.array([weight[day] for day in order])
    return np.array(order, np.float64), np.array([index[day] for day in order]) / weights, weights


def _step(days: Float64, index: Float64) -> float | None:
    """The first day after the step, None if a line fits better."""
    change = change_point(index, 1.0)
    if change is None:
        return None
    before, after = index[: change.at], index[change.at :]
    of_step = ((before - before.mean()) ** 2).sum() + ((after - after.mean()) ** 2).sum()
    x = days - days.mean()
    of_line = ((index - index.mean() - x * (x @ index) / (x @ x)) ** 2).sum()
    return float(days[change.at]) if of_step < of_line else None


RULE = AdviceRule(KEY, VERSION, 12, find, confirm=confirm)
