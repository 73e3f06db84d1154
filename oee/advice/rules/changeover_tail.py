"""Changeovers of which some take far longer than usual: there is no standard procedure (Shingo, SMED). Pure."""

from typing import Final

import numpy as np

from oee.advice.finding import AdviceRule, Finding, evidence, realisable
from oee.advice.grid import Float64
from oee.advice.statistics.ranks import resampled
from oee.advice.window import MachineWindow
from oee.kpi.changeovers import Changeover
from oee.model.facts import MS_NS

KEY: Final = "changeover_tail"
VERSION: Final = 2
LEAST_CHANGEOVERS: Final = 10
LEAST_OF_A_PAIR: Final = 6
LEAST_SPREAD: Final = 1.5
LEAST_EXCESS_MIN: Final = 2.0
LEAST_EXCESS_SHARE: Final = 0.05
MOST_UNPAIRED: Final = 0.3


def find(window: MachineWindow) -> list[Finding]:
    """All changeovers of the machine, then each pair of products. Silent if more than 30 % of set-ups name no pair.

    Time cannot tell internal from external work: what exceeds the 20th percentile ("what you have already done") is an
    upper bound of waiting and of work that could be done while the machine runs. The gain is from the lower limit of the
    excess over the median to that bound.
    """
    done = [
        changeover
        for changeover in window.setups.changeovers
        if window.stretch[(changeover.start_ns - window.start_ns) // (60_000 * MS_NS)] >= 0 and changeover.setup_ms > 0
    ]
    if window.setups.unpaired > MOST_UNPAIRED * (window.setups.unpaired + len(window.setups.changeovers)):
        return []
    found = [_judge(window, ("machine",), done)] if len(done) >= LEAST_CHANGEOVERS else []
    pairs: dict[tuple[str, str], list[Changeover]] = {}
    for changeover in done:
        pairs.setdefault((changeover.product, changeover.to_product), []).append(changeover)
    found += [_judge(window, pair, pairs[pair]) for pair in sorted(pairs) if len(pairs[pair]) >= LEAST_OF_A_PAIR]
    return found


def excess(minutes: Float64) -> Float64:
    """Mean less median of each row."""
    out: Float64 = minutes.mean(axis=1) - np.median(minutes, axis=1)
    return out


def _judge(window: MachineWindow, key: tuple[str, ...], done: list[Changeover]) -> Finding:
    minutes = np.array([changeover.setup_ms for changeover in done]) / 60_000
    p20, median, p90 = (float(value) for value in np.percentile(minutes, [20, 50, 90]))
    mean = float(minutes.mean())
    sure, at_most = (float(value) for value in np.quantile(resampled(minutes, excess), [0.1, 0.9]))
    a_week = len(done) / window.weeks
    spread = p90 / median
    return Finding(
        KEY,
        VERSION,
        window.machine,
        key,
        spread >= LEAST_SPREAD and sure >= max(LEAST_EXCESS_MIN, LEAST_EXCESS_SHARE * median),
        None,
        {"n": len(done), "median_min": median, "p90_min": p90, "p20_min": p20, "mean_min": mean, "a_week": a_week},
        realisable(a_week * sure, a_week * max(mean - p20, at_most)),
        frozenset({"setup"}),
        evidence(
            window,
            len(done),
            {"setup_min": minutes, "at_s": [changeover.start_ns // 10**9 for changeover in done]},
            [str(done[i].start_ns // MS_NS) for i in np.argsort(-minutes, kind="stable")],
        ),
        {"pair": " → ".join(key)} if len(key) == 2 else {"pair": window.machine},
    )


RULE = AdviceRule(KEY, VERSION, 8, find, rare=True)
