"""Few repairs that hold most of the repair time: a part, a person or a decision was waited for. Pure."""

from typing import Final

import numpy as np

from oee.advice.finding import AdviceRule, Finding, evidence, realisable
from oee.advice.repairs import repairs
from oee.advice.statistics.ranks import resampled
from oee.advice.window import Float64, MachineWindow

KEY: Final = "long_repair"
VERSION: Final = 1
LEAST_REPAIRS: Final = 10
LONGEST: Final = 0.2
LEAST_SHARE: Final = 0.6
LEAST_SURE_SHARE: Final = 0.5
LEAST_SPREAD: Final = 3.0


def find(window: MachineWindow) -> list[Finding]:
    """The longest fifth of repairs holds more than 60 % of their time (surely more than 50 %), and p90 / median > 3.

    Silent with fewer than `LEAST_REPAIRS` closed failures. What exceeds the upper quartile is the gain.
    """
    past = repairs(window)
    had_time = past.repair_min > 0
    minutes, ids = past.repair_min[had_time], past.id[had_time]
    n = len(minutes)
    if n < LEAST_REPAIRS:
        return []
    share = float(share_of_longest(minutes[None, :])[0])
    sure = float(np.quantile(resampled(minutes, share_of_longest), 0.1))
    median, p75, p90 = (float(value) for value in np.percentile(minutes, [50, 75, 90]))
    low, high = (float(value) / window.weeks for value in np.quantile(resampled(minutes, _excess), [0.1, 0.9]))
    longest = np.argsort(-minutes, kind="stable")
    return [
        Finding(
            KEY,
            VERSION,
            window.machine,
            ("machine",),
            share > LEAST_SHARE and sure > LEAST_SURE_SHARE and p90 > LEAST_SPREAD * median,
            None,
            {"n": n, "longest": _fifth(n), "share": share, "median_min": median, "p75_min": p75, "p90_min": p90},
            realisable(low, high),
            frozenset({"breakdown"}),
            evidence(window, n, {"repair_min": minutes}, ids[longest].tolist()),
        )
    ]


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
