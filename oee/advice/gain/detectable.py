"""The least effect that a measurement can show, told before it begins, and when more could be shown. Pure."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import special

from oee.advice.gain.effect import LEAST_FAILURES, Effect, dispersion, has
from oee.advice.gain.measured import Measured
from oee.advice.gain.metrics import METRICS
from oee.advice.gain.plan import GainPlan
from oee.advice.grid import Float64
from oee.advice.statistics.failures import rate_ratio
from oee.advice.statistics.ratios import LEAST_BLOCKS, detectable_effect, ewc_degrees, ewc_power, ratio
from oee.model.facts import Int64

POWER: Final = 0.8
MOST_DAYS: Final = 250
"""Beyond so many worked days a window is not proposed."""
_RANK_SPREAD: Final = math.sqrt(math.pi / 3)
"""By how much ranks of normal values need more of them than their means (Hodges and Lehmann 1956)."""


@dataclass(frozen=True)
class Detectable:
    """What a plan can show with a power of 80 %. effect: least change in the metric's unit, of rates as a share of the rate,
    infinite if the plan can show nothing; minutes: the same a week; level: what the history says of the metric; expected:
    the expected gain in the metric's unit, 0 unknown; days: worked days of the windows; enough: days of each window with
    which the expected gain would be seen, None where it is not known or `MOST_DAYS` would not do; history: days, events or
    failures that it was computed from; controls: how many count.
    """

    effect: float
    minutes: float
    level: float
    expected: float
    days: tuple[int, int]
    enough: int | None
    history: int
    controls: int

    @property
    def sees_expected(self) -> bool | None:
        """Whether the expected gain is large enough to be seen; None if nothing is expected."""
        return self.effect <= self.expected if self.expected > 0 else None


def detectable(
    plan: GainPlan, history: Measured, controls: Mapping[str, Measured], days: tuple[int, int]
) -> Detectable:
    """What a plan whose windows have so many worked days can show, by what varied in the history of its machines."""
    kind = METRICS[plan.metric].kind
    if kind == "ratio":
        level, omega, count, used = _varying(history, controls)
        den = history.ratios.den.sum() if history.ratios else 0.0
        per_week = float(den) / history.weeks if history.weeks else 0.0

        def least(before: int, after: int) -> float:
            return detectable_effect(omega, before, after, POWER, plan.level)

    else:
        count, used = len(history.events.minutes), len(controls)
        a_day = count / len(history.day) if len(history.day) else 0.0
        per_week = count / history.weeks if history.weeks else 0.0
        if kind == "rate":
            hours = float(history.unit_h.sum())
            level = 100 * count / hours if hours else 0.0
            per_week *= float(history.events.minutes.mean()) if count else 0.0

            def least(before: int, after: int) -> float:
                return least_fall(a_day * before, a_day * after, plan.level)

        else:
            level = float(np.median(history.events.minutes)) if count else 0.0
            sd = float(history.events.minutes.std(ddof=1)) if count > 1 else math.inf

            def least(before: int, after: int) -> float:
                return least_shift(sd, a_day * before, a_day * after, plan.level)

    effect = least(*days)
    in_minutes = METRICS[plan.metric].gains == "minutes"
    expected = plan.expected_min / per_week if per_week and in_minutes else 0.0
    return Detectable(
        effect,
        effect * per_week if in_minutes else math.inf,
        level,
        expected,
        days,
        _enough(least, expected),
        count,
        used if count else 0,
    )


def _varying(history: Measured, controls: Mapping[str, Measured]) -> tuple[float, float, int, int]:
    """Ratio, long-run variance of what the controls do not share, days, and how many controls."""
    if history.ratios is None:
        return 0.0, math.inf, 0, 0
    days, used = has(history), []
    for item in controls.values():
        shared = days[np.isin(days, has(item))]
        if len(shared) >= 0.8 * len(has(history)):
            days = shared
            used.append(item)
    found = [_influence(item, days) for item in (history, *used)]
    if len(days) < LEAST_BLOCKS or found[0] is None:
        return 0.0, math.inf, 0, 0
    level, u = found[0]
    others = [item[1] for item in found[1:] if item]
    if others:
        u = u - np.mean(others, axis=0)
    return level, ewc_power(u) / ewc_degrees(len(u)), len(days), len(others)


def _influence(item: Measured, days: Int64) -> tuple[float, Float64] | None:
    if item.ratios is None:
        return None
    kept = np.isin(item.day, days)
    return ratio(item.ratios.num.sum(axis=0)[kept], item.ratios.den.sum(axis=0)[kept])


def least_fall(before: float, after: float, level: float = 0.95) -> float:
    """The least fall of a rate, as a share of it, that so many expected failures before and (without a fall) after show with
    `POWER`; infinite if not even none at all would show it, or below `LEAST_FAILURES` before.
    """
    if before < LEAST_FAILURES or not after > 0:
        return math.inf
    most = -1
    while (found := rate_ratio(before, 1, most + 1, after / before, level)) is not None and found.high < 1:
        most += 1
    if most < 0:
        return math.inf
    return max(0.0, 1 - float(special.pdtri(most, POWER)) / after)


def least_shift(sd: float, before: float, after: float, level: float = 0.95) -> float:
    """The same of the shift of single events with this standard deviation."""
    if min(before, after) < LEAST_BLOCKS:
        return math.inf
    quantiles = float(special.ndtri(0.5 + level / 2) + special.ndtri(POWER))
    return quantiles * _RANK_SPREAD * sd * math.sqrt(1 / before + 1 / after)


def _enough(least: Callable[[int, int], float], expected: float) -> int | None:
    if not expected > 0 or not least(MOST_DAYS, MOST_DAYS) <= expected:
        return None
    low, high = 0, MOST_DAYS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if least(middle, middle) <= expected else (middle, high)
    return high


def shown_by(plan: GainPlan, effect: Effect, before: Measured, after: Measured) -> int | None:
    """Worked days that the window after would need so that a change of this size is shown, if it goes on; None if it is on
    the bad side, or not within `MOST_DAYS`.
    """
    metric, days = METRICS[plan.metric], len(after.day)
    gain = metric.better * (effect.change.value - effect.null)
    if not gain > 0 or not days:
        return None
    for count in range(days + 1, MOST_DAYS + 1):
        if metric.kind == "ratio":
            df = ewc_degrees(effect.n_before) + ewc_degrees(count)
            se = math.sqrt(effect.omega * (1 / effect.n_before + 1 / count))
            shown = gain > float(special.stdtrit(df, 0.5 + plan.level / 2)) * se
        elif metric.kind == "rate":
            more, wider = count / days, dispersion(before, after)
            given = (effect.n_before / wider, float(before.unit_h.sum()))
            found = rate_ratio(*given, effect.n_after * more / wider, float(after.unit_h.sum()) * more, plan.level)
            shown = found is not None and found.high < 1
        else:
            half = (effect.change.high - effect.change.low) / 2
            here, then = (1 / effect.n_before + 1 / n for n in (effect.n_after, effect.n_after * count / days))
            shown = gain > half * math.sqrt(then / here)
        if shown:
            return count
    return None
