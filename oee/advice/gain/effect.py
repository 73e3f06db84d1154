"""How a measured window differs from the one before, with an interval: sums of days, single events, or rates. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from oee.advice.gain.measured import DayRatios, Measured, MeasuredEvents
from oee.advice.grid import Float64
from oee.advice.statistics.failures import rate_ratio
from oee.advice.statistics.ranks import stratified_shift
from oee.advice.statistics.ratios import (
    LEAST_BLOCKS,
    LEAST_COMPARABLE,
    change_point,
    of_influences,
    ratio,
    sides,
)
from oee.model.facts import Int64

LEAST_SHARED: Final = 0.8
"""Share of the machine's days that a control must have too, in each window."""
LEAST_FAILURES: Final = 10
MOST_DISPERSION: Final = 1.5
EARLY_DAYS: Final = 6
EARLY_T: Final = 3.0
Pair = tuple[Measured, Measured]


@dataclass(frozen=True)
class Interval:
    """A value with its interval [low, high]."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> "Interval":
        """All three times this factor, in order."""
        ends = self.low * factor, self.high * factor
        return Interval(self.value * factor, min(ends), max(ends))


@dataclass(frozen=True)
class ChangeDate:
    """Where the daily series changes most: first business date after it [days since 1970-01-01], t in standard errors, and
    days from the begin of the work, negative before it.
    """

    day: int
    t: float
    since_work: int

    @property
    def is_early(self) -> bool:
        """Whether the change began clearly before the work did."""
        return self.since_work < -EARLY_DAYS and self.t > EARLY_T


@dataclass(frozen=True)
class Effect:
    """A change. null: the value of no change, 1 of a ratio of rates and 0 otherwise; change, change_90: with intervals of 95
    and 90 %; before, after: what was compared, standardised for mix; raw: the change as it was, None where it is the same;
    controls: change of each control that counted; backed: there are some, and they do not tell that everything moved; left_out: controls that did not share enough days; omega: long-run variance of
    daily influence, 0 where there is none; n_before, n_after: days, events or failures.
    """

    null: float
    change: Interval
    change_90: Interval
    before: float
    after: float
    raw: float | None
    controls: Mapping[str, float]
    backed: bool
    left_out: tuple[str, ...]
    omega: float
    n_before: int
    n_after: int
    covered: float = 1.0


def ratio_effect(before: Measured, after: Measured, controls: Mapping[str, Pair], *, mix: bool) -> Effect | None:
    """Two windows of daily ratios: products weighed alike in both (`mix`), less the mean change of the controls on the same
    dates, intervals by long-run variance. None if there are too few days, or products cannot be compared.
    """
    used, left_out = _sharing(before, after, controls)
    days_before = _shared([before, *(pair[0] for pair in used.values())])
    days_after = _shared([after, *(pair[1] for pair in used.values())])
    own = _sides(_on(before, days_before), _on(after, days_after), mix=mix)
    if own is None or min(len(days_before), len(days_after)) < LEAST_BLOCKS:
        return None
    (r_before, u_before), (r_after, u_after), covered, raw = own
    moved: dict[str, float] = {}
    others: list[tuple[Float64, Float64]] = []
    for name, pair in used.items():
        found = _sides(_on(pair[0], days_before), _on(pair[1], days_after), mix=mix)
        if found is None:
            left_out = (*left_out, name)
            continue
        moved[name] = found[1][0] - found[0][0]
        others.append((found[0][1], found[1][1]))
    value = r_after - r_before
    if others:
        value -= float(np.mean(list(moved.values())))
        u_before = u_before - np.mean([u for u, _ in others], axis=0)
        u_after = u_after - np.mean([u for _, u in others], axis=0)
    wide, narrow = (of_influences(value, u_before, u_after, level) for level in (0.95, 0.9))
    if wide is None or narrow is None:
        return None
    return Effect(
        0.0,
        Interval(wide.value, wide.low, wide.high),
        Interval(narrow.value, narrow.low, narrow.high),
        r_before,
        r_after,
        raw,
        moved,
        bool(moved),
        left_out,
        wide.omega,
        len(days_before),
        len(days_after),
        covered,
    )


def shift_effect(before: Measured, after: Measured, controls: Mapping[str, Pair], *, mix: bool) -> Effect | None:
    """Hodges-Lehmann shift of single events, compared within their groups (`mix`). Controls are told beside it. None with so
    few events that they give no interval, or if groups that both windows have hold less than 80 % of them.
    """
    groups = sorted({*before.events.group, *after.events.group}) if mix else [None]
    strata = [(_of_group(before.events, group), _of_group(after.events, group)) for group in groups]
    held = sum(len(b) + len(a) for b, a in strata if len(b) and len(a))
    count = len(before.events.minutes) + len(after.events.minutes)
    wide, narrow = (stratified_shift(strata, level) for level in (0.95, 0.9))
    if wide is None or narrow is None or held < LEAST_COMPARABLE * count or wide.low is None or wide.high is None:
        return None
    assert narrow.low is not None
    assert narrow.high is not None
    medians = [float(np.median(item.events.minutes)) for item in (before, after)]
    others = {name: shift_effect(*pair, {}, mix=mix) for name, pair in controls.items()}
    return Effect(
        0.0,
        Interval(wide.value, wide.low, wide.high),
        Interval(narrow.value, narrow.low, narrow.high),
        medians[0],
        medians[1],
        medians[1] - medians[0] if len(groups) > 1 else None,
        {name: item.change.value for name, item in others.items() if item},
        _quiet(others),
        tuple(name for name, item in others.items() if item is None),
        0.0,
        len(before.events.minutes),
        len(after.events.minutes),
        held / count,
    )


def _of_group(events: MeasuredEvents, group: str | None) -> Float64:
    return events.minutes if group is None else events.minutes[[name == group for name in events.group]]


def rate_effect(before: Measured, after: Measured, controls: Mapping[str, Pair]) -> Effect | None:
    """Failures per unit time after over before. Counts by week that vary more than 1.5 times as much as Poisson's widen the
    interval. before, after of the answer: per 100 h. None with fewer than `LEAST_FAILURES` before.
    """
    counts = [len(item.events.minutes) for item in (before, after)]
    hours = [float(item.unit_h.sum()) for item in (before, after)]
    if counts[0] < LEAST_FAILURES or not min(hours) > 0:
        return None
    wider = max(1.0, dispersion(before, after))
    given = (counts[0] / wider, hours[0], counts[1] / wider, hours[1])
    wide, narrow = rate_ratio(*given), rate_ratio(*given, level=0.9)
    assert wide is not None
    assert narrow is not None
    others = {name: rate_effect(*pair, {}) for name, pair in controls.items()}
    return Effect(
        1.0,
        Interval(wide.value, wide.low, wide.high),
        Interval(narrow.value, narrow.low, narrow.high),
        100 * counts[0] / hours[0],
        100 * counts[1] / hours[1],
        None,
        {name: item.change.value for name, item in others.items() if item},
        _quiet(others),
        tuple(name for name, item in others.items() if item is None),
        0.0,
        counts[0],
        counts[1],
    )


def _quiet(others: Mapping[str, Effect | None]) -> bool:
    """Whether there is a control, and none that became better as well."""
    found = [item for item in others.values() if item]
    return bool(found) and all(item.change.high >= item.null for item in found)


def dispersion(before: Measured, after: Measured) -> float:
    """Variance of weekly counts over what Poisson counts of the same unit time would have, if it exceeds `MOST_DISPERSION`;
    else 1. Each window has its own rate.
    """
    squares, degrees = 0.0, 0
    for item in (before, after):
        weeks, at = np.unique(item.day // 7, return_inverse=True)
        hours = np.bincount(at, item.unit_h, len(weeks))
        place = np.searchsorted(weeks, item.events.day // 7)
        fits = (place < len(weeks)) & np.isin(item.events.day // 7, weeks)
        events = np.bincount(place[fits], minlength=len(weeks))
        usable = hours > 0
        expected = events.sum() * hours[usable] / max(float(hours.sum()), 1e-9)
        if events.sum() and usable.sum() > 1:
            squares += float((((events[usable] - expected) ** 2) / expected).sum())
            degrees += int(usable.sum()) - 1
    found = squares / degrees if degrees else 1.0
    return found if found > MOST_DISPERSION else 1.0


def daily(measured: Measured, control: Sequence[Measured] = ()) -> tuple[Int64, Float64, Float64]:
    """For the picture: business dates with a denominator, the ratio of each, and the mean ratio of controls that have the
    date (not a number where none has).
    """
    found = measured.ratios
    if found is None:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
    num, den = found.num.sum(axis=0), found.den.sum(axis=0)
    kept = den > 0
    day, values = measured.day[kept], num[kept] / den[kept]
    beside = np.full((len(control), len(day)), math.nan)
    for k, item in enumerate(control):
        there, other, _ = daily(item)
        shared = np.isin(day, there)
        beside[k, shared] = other[np.isin(there, day)]
    known = ~np.isnan(beside)
    mean = np.full(len(day), math.nan)
    some = known.any(axis=0)
    mean[some] = np.where(known, beside, 0.0).sum(axis=0)[some] / known.sum(axis=0)[some]
    return day, values, mean


def timing(
    before: Measured, after: Measured, controls: Sequence[Pair], omega: float, work_day: int
) -> ChangeDate | None:
    """The single change of the daily series with the largest t, less that of controls where there are some."""
    parts = [daily(item, [pair[k] for pair in controls]) for k, item in enumerate((before, after))]
    day = np.concatenate([part[0] for part in parts])
    values = np.concatenate([part[1] for part in parts])
    beside = np.concatenate([part[2] for part in parts])
    if controls:
        kept = ~np.isnan(beside)
        day, values = day[kept], values[kept] - beside[kept]
    found = change_point(values, omega)
    return None if found is None else ChangeDate(int(day[found.at]), found.t, int(day[found.at]) - work_day)


Weighed = tuple[tuple[float, Float64], tuple[float, Float64], float, float | None]


def _sides(before: DayRatios | None, after: DayRatios | None, *, mix: bool) -> Weighed | None:
    """Ratio and influence of both windows, share of the denominator compared, and the raw change if it is another."""
    if before is None or after is None:
        return None
    totals = [ratio(item.num.sum(axis=0), item.den.sum(axis=0)) for item in (before, after)]
    if totals[0] is None or totals[1] is None:
        return None
    products = sorted({*before.products, *after.products})
    if not mix or len(products) < 2:
        return totals[0], totals[1], 1.0, None
    windows = [_by_product(item, products) for item in (before, after)]
    found = sides(windows[0], windows[1])
    if found is None:
        return None
    return found.before, found.after, found.covered, totals[1][0] - totals[0][0]


def _by_product(item: DayRatios, products: Sequence[str]) -> tuple[Float64, Float64]:
    num, den = np.zeros((2, len(products), item.num.shape[1]))
    rows = [products.index(name) for name in item.products]
    num[rows], den[rows] = item.num, item.den
    return num, den


def has(item: Measured) -> Int64:
    """Business dates with a denominator."""
    found = item.ratios
    return item.day[found.den.sum(axis=0) > 0] if found is not None else np.zeros(0, np.int64)


def _shared(items: Sequence[Measured]) -> Int64:
    days = has(items[0])
    for item in items[1:]:
        days = days[np.isin(days, has(item))]
    return days


def _sharing(
    before: Measured, after: Measured, controls: Mapping[str, Pair]
) -> tuple[dict[str, Pair], tuple[str, ...]]:
    """The controls that share enough days, added one after another, and those that do not."""
    used: dict[str, Pair] = {}
    left_out = []
    least = [LEAST_SHARED * len(has(item)) for item in (before, after)]
    for name in sorted(controls):
        shared = [
            _shared([own, *(pair[k] for pair in used.values()), controls[name][k]])
            for k, own in enumerate((before, after))
        ]
        if all(len(days) >= few for days, few in zip(shared, least, strict=True)):
            used[name] = controls[name]
        else:
            left_out.append(name)
    return used, tuple(left_out)


def _on(item: Measured, days: Int64) -> DayRatios | None:
    """Its ratios on these dates."""
    found = item.ratios
    if found is None:
        return None
    kept = np.isin(item.day, days)
    return DayRatios(found.products, found.num[:, kept], found.den[:, kept])
