"""Failures that come back soon after their repair, more often than chance brings the next one. Pure."""

import math
from typing import Final

import numpy as np
from scipy import special

from oee.advice.finding import AdviceRule, Finding, evidence, realisable
from oee.advice.measures.repairs import SOON_H, repairs
from oee.advice.statistics.failures import binomial_above
from oee.advice.window import DAY_NS, MachineWindow

KEY: Final = "repeat_failure"
VERSION: Final = 2
LEAST_FAILURES: Final = 10
LEAST_REPEATS: Final = 3
LEAST_RATIO: Final = 2.0
RECENT_WEEKS: Final = 8
"""What it costs a week is that of so many last ones: a machine that wears fails more often now than half a year ago."""


def find(window: MachineWindow) -> list[Finding]:
    """How many (k) of n failures are followed by another, of the same reason where both have one, within `SOON_H` operating hours.

    By chance each would be with 1 - exp(-8 lambda), lambda = n_long / sum(gap - 8 h) from the longer gaps, which repeats
    do not touch; p = P(Bin(n, 1 - exp(-8 lambda)) >= k). Failures with less than that to go before the window ends, and
    without another, are not counted. Silent with fewer than `LEAST_FAILURES` or without a longer gap.
    """
    past = repairs(window)
    gaps = np.diff(past.at_h)
    long = gaps[gaps > SOON_H]
    soon = gaps <= SOON_H
    given = (past.reason[:-1] != "") & (past.reason[1:] != "")
    repeated = soon & (~given | (past.reason[:-1] == past.reason[1:]))
    seen_to_the_end = len(past) > 0 and past.total_h - float(past.at_h[-1]) >= SOON_H
    n, k = len(gaps) + int(seen_to_the_end), int(repeated.sum())
    if n < LEAST_FAILURES or not len(long):
        return []
    by_chance = 1 - math.exp(-SOON_H * len(long) / float((long - SOON_H).sum()))
    ratio = k / n / by_chance
    repair_min = float(past.repair_min.mean())
    recent = past.start_ns >= window.end_ns - RECENT_WEEKS * 7 * DAY_NS
    a_week = float(recent.sum()) / min(window.weeks, RECENT_WEEKS) * repair_min
    low = float(special.betaincinv(k, n - k + 1, 0.025)) if k else 0.0
    high = float(special.betaincinv(k + 1, n - k, 0.975)) if k < n else 1.0
    again = past.id[1:][repeated].tolist()
    return [
        Finding(
            KEY,
            VERSION,
            window.machine,
            ("machine",),
            k >= LEAST_REPEATS and ratio >= LEAST_RATIO,
            binomial_above(k, n, by_chance),
            {
                "n": n,
                "repeats": k,
                "expected": n * by_chance,
                "ratio": ratio,
                "within_h": SOON_H,
                "repair_min": repair_min,
            },
            realisable((low - by_chance) * a_week, (high - by_chance) * a_week),
            frozenset({"breakdown"}),
            evidence(
                window,
                n,
                {
                    "at_h": past.at_h,
                    "repeated": repeated,
                    "total_h": [past.total_h],
                    "at_s": past.start_ns // 10**9,
                },
                again[::-1],
            ),
        )
    ]


RULE = AdviceRule(KEY, VERSION, 52, find, rare=True)
