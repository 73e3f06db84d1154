"""Few repairs that hold most of the repair time: a part, a person or a decision was waited for. Pure."""

from typing import Final

import numpy as np

from oee.advice.finding import AdviceRule, Finding, evidence, realisable
from oee.advice.grid import Float64
from oee.advice.measures.repairs import repairs
from oee.advice.statistics.ranks import resampled
from oee.advice.window import MachineWindow

KEY: Final = "long_repair"
VERSION: Final = 2
LEAST_REPAIRS: Final = 10
LONGEST: Final = 0.2
LEAST_CONCENTRATION: Final = 0.54
"""Repairs that end at random, whatever time they have taken, have 0.5. Log-normal ones of which the longest fifth holds
60 % of the time have 0.56.
"""
LEAST_SURE_CONCENTRATION: Final = 0.42


def find(window: MachineWindow) -> list[Finding]:
    """Repair times are concentrated in few (`concentration`) more than chance alone would have it.

    Concentration uses every repair. The share of the longest fifth, which the sentence tells, is two repairs of ten: as a
    criterion it missed half of the machines with some 15 failures. Silent with fewer than `LEAST_REPAIRS` closed
    failures. What exceeds the upper quartile is the gain.
    """
    past = repairs(window)
    had_time = past.repair_min > 0
    minutes, ids, at_s = past.repair_min[had_time], past.id[had_time], past.start_ns[had_time] // 10**9
    n = len(minutes)
    if n < LEAST_REPAIRS:
        return []
    value, sure = concentrated(minutes)
    share = float(share_of_longest(minutes[None, :])[0])
    median, p75, p90 = (float(value) for value in np.percentile(minutes, [50, 75, 90]))
    low, high = (float(value) / window.weeks for value in np.quantile(resampled(minutes, _excess), [0.1, 0.9]))
    longest = np.argsort(-minutes, kind="stable")
    return [
        Finding(
            KEY,
            VERSION,
            window.machine,
            ("machine",),
            value > LEAST_CONCENTRATION and sure > LEAST_SURE_CONCENTRATION,
            None,
            {
                "n": n,
                "longest": _fifth(n),
                "share": share,
                "concentration": value,
                "median_min": median,
                "p75_min": p75,
                "p90_min": p90,
            },
            realisable(low, high),
            frozenset({"breakdown"}),
            evidence(window, n, {"repair_min": minutes, "at_s": at_s}, ids[longest].tolist()),
        )
    ]


def concentrated(minutes: Float64) -> tuple[float, float]:
    """How concentrated repair times float64[n] are, and what that surely (in nine of ten samples) exceeds."""
    value = float(concentration(minutes[None, :])[0])
    # resampled concentrations lie as far below the value as it lies below the truth: mirrored, not taken as they are
    return value, 2 * value - float(np.quantile(resampled(minutes, concentration), 0.9))


def concentration(minutes: Float64) -> Float64:
    """Gini coefficient of each row, times n / (n - 1): 0 if all are equal, near 1 if one holds everything. (Gini 1912;
    the correction: Deltas, Review of Economics and Statistics 85, 2003.)
    """
    ordered = np.sort(minutes, axis=1)
    n = minutes.shape[1]
    ranks = 2 * np.arange(1, n + 1) - (n + 1)
    out: Float64 = (ordered @ ranks) / ordered.sum(axis=1) / (n - 1)
    return out


def _fifth(n: int) -> int:
    return max(1, round(LONGEST * n))


def share_of_longest(minutes: Float64) -> Float64:
    """Share of the time that the longest fifth of each row holds."""
    ordered = np.sort(minutes, axis=1)
    out: Float64 = ordered[:, -_fifth(minutes.shape[1]) :].sum(axis=1) / ordered.sum(axis=1)
    return out


def _excess(minutes: Float64) -> Float64:
    """What exceeds the upper quartile of each row, summed."""
    beyond = minutes - np.percentile(minutes, 75, axis=1)[:, None]
    out: Float64 = np.maximum(beyond, 0).sum(axis=1)
    return out


RULE = AdviceRule(KEY, VERSION, 52, find, rare=True)
