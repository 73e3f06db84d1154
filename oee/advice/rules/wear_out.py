"""Whether failures become more frequent with operation: worn out, or random. Pure."""

import math
from typing import Final

import numpy as np

from oee.advice.finding import NO_GAIN, AdviceRule, Finding, Gain, evidence, realisable
from oee.advice.grid import Bool, Float64
from oee.advice.measures.repairs import repairs, under_observation, without_repeats
from oee.advice.statistics.failures import PowerLaw, between_failures, crow_amsaa_observed
from oee.advice.window import MachineWindow

KEY: Final = "wear_out"
VERSION: Final = 2
LEAST_FAILURES: Final = 8
LEAST_BETA: Final = 1.4
MOST_P: Final = 0.05
_LEAST_H: Final = 1 / 60


def find(window: MachineWindow) -> list[Finding]:
    """All failures of the machine since its overhaul, then those of each reason.

    A machine whose failures show no trend is told so in `answer`: replacing parts by time would not help there. The trend is
    that of the time in which a failure would count (`under_observation`).
    """
    past = repairs(window, window.overhaul_ns)
    found = []
    everything = np.ones(len(past), np.bool_)
    reasons = sorted({reason for reason in past.reason.tolist() if reason})
    groups: list[tuple[tuple[str, ...], Bool]] = [(("machine",), everything)]
    if len(reasons) > 1:
        groups += [((reason,), past.reason == reason) for reason in reasons]
    for key, wanted in groups:
        at_h = without_repeats(past.at_h[wanted])
        begin_h, end_h = under_observation(np.maximum(past.at_h[wanted], _LEAST_H), past.total_h)
        trend = crow_amsaa_observed(begin_h, end_h) if len(at_h) >= LEAST_FAILURES else None
        if trend is None:
            continue
        repair_min = float(past.repair_min[wanted].mean())
        passes = trend.p_wear_out < MOST_P and trend.beta_unbiased >= LEAST_BETA
        gain = _gain(window, at_h, past.total_h, repair_min) if passes else NO_GAIN
        found.append(
            Finding(
                KEY,
                VERSION,
                window.machine,
                key,
                passes,
                trend.p_wear_out,
                {
                    "n": trend.n,
                    "beta": trend.beta_unbiased,
                    "operating_h": past.total_h,
                    "repair_min": repair_min,
                },
                gain,
                frozenset({"breakdown"}),
                evidence(
                    window,
                    trend.n,
                    {
                        "at_h": at_h,
                        "total_h": [past.total_h],
                        "at_s": past.start_ns[wanted] // 10**9,
                        "begin_h": begin_h,
                        "end_h": end_h,
                    },
                    past.id[wanted].tolist()[::-1],
                ),
                {"part": key[0], "answer": _answer(trend, passes=passes)},
            )
        )
    return found


def _answer(trend: PowerLaw, *, passes: bool) -> str:
    if passes:
        return "wear_out"
    return "growth" if trend.p_growth < MOST_P else "random"


def _gain(window: MachineWindow, at_h: Float64, total_h: float, repair_min: float) -> Gain:
    """Rate of the last third of operation less that of the first, times the mean repair.

    Limits of the difference from those of both rates (MOVER: Zou and Donner, Statistics in Medicine 27, 2008).
    """
    third = total_h / 3
    first, last = int((at_h <= third).sum()), int((at_h > total_h - third).sum())
    low_first, high_first = _rate_limits(first, third)
    low_last, high_last = _rate_limits(last, third)
    rate_first, rate_last = first / third, last / third
    change = rate_last - rate_first
    low = change - math.hypot(rate_last - low_last, high_first - rate_first)
    high = change + math.hypot(high_last - rate_last, rate_first - low_first)
    per_week = total_h / window.weeks * repair_min
    return realisable(low * per_week, high * per_week)


def _rate_limits(failures: int, hours: float) -> tuple[float, float]:
    limits = between_failures(failures, hours)
    if limits is None:
        return 0.0, math.inf
    return (1 / limits.high if limits.high else 0.0), 1 / limits.low


RULE = AdviceRule(KEY, VERSION, 52, find, rare=True)
