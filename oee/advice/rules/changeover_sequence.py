"""Whether another order of the same lots would have needed less set-up. Pure.

An order that was chosen by the very times by which it is judged looks better than it is. So each changeover goes into one
of two halves: orders are chosen by one half's mean times and judged by the other's, both ways.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np

from oee.advice.finding import AdviceRule, Finding, evidence, realisable
from oee.advice.grid import Float64
from oee.advice.window import DAY_NS, MachineWindow
from oee.kpi.changeovers import Changeover
from oee.model.facts import MS_NS

KEY: Final = "changeover_sequence"
VERSION: Final = 1
LEAST_PRODUCTS: Final = 3
LEAST_OF_A_PAIR: Final = 3
LEAST_LOTS, MOST_LOTS = 4, 12
LEAST_SAVING_MIN: Final = 30.0
LEAST_WEEKS: Final = 4
_DRAWS: Final = 500
_MINUTE_NS: Final = 60_000 * MS_NS
Pair = tuple[str, str]


def find(window: MachineWindow) -> list[Finding]:
    """The lots of each week as they were made against their best order: the first lot fixed, only pairs that were made three
    times or more, so that lots are neither joined nor put into an order that nobody knows.

    Fires if the 10th percentile of the saving reaches 30 minutes in four weeks or more. Silent with fewer than three
    products or four such weeks.
    """
    done = [
        item
        for item in window.setups.changeovers
        if window.stretch[(item.start_ns - window.start_ns) // _MINUTE_NS] >= 0 and item.setup_ms > 0
    ]
    if len({item.to_product for item in done} | {item.product for item in done}) < LEAST_PRODUCTS:
        return []
    times: dict[Pair, list[float]] = {}
    for item in done:
        times.setdefault((item.product, item.to_product), []).append(item.setup_ms / 60_000)
    halves = [{pair: values[k::2] for pair, values in times.items() if len(values) >= LEAST_OF_A_PAIR} for k in (0, 1)]
    rng = np.random.default_rng(0)
    drawn = [
        {pair: rng.choice(values, (_DRAWS, len(values))).mean(axis=1) for pair, values in half.items()}
        for half in halves
    ]
    weeks = [made for made in _weeks(window, done) if all(pair in halves[0] for pair in made.pairs)]
    savings = [_saving(made, halves, drawn) for made in weeks]
    if len(savings) < LEAST_WEEKS:
        return []
    by_week = np.array([value for value, _ in savings])
    draws = np.stack([value for _, value in savings])
    better = int((np.quantile(draws, 0.1, axis=1) >= LEAST_SAVING_MIN).sum())
    low, high = (float(value) for value in np.quantile(draws.mean(axis=0), [0.1, 0.9]))
    slowest = max(halves[0], key=lambda pair: float(np.mean(times[pair])))
    return [
        Finding(
            KEY,
            VERSION,
            window.machine,
            ("machine",),
            better >= LEAST_WEEKS,
            None,
            {
                "weeks": len(weeks),
                "better": better,
                "saving_min": float(by_week.mean()),
                "n": len(done),
                "slowest_min": float(np.mean(times[slowest])),
            },
            realisable(low, high),
            frozenset({"setup"}),
            evidence(
                window,
                len(done),
                {
                    "saving_min": by_week,
                    "week_s": [made.start_ns // 10**9 for made in weeks],
                    "setup_min": [item.setup_ms / 60_000 for item in done],
                    "at_s": [item.start_ns // 10**9 for item in done],
                },
                [str(item.start_ns // MS_NS) for item in done],
            ),
            {"from_product": slowest[0], "to_product": slowest[1]},
        )
    ]


@dataclass(frozen=True)
class WeekOfLots:
    """Products in the order in which they were made in a week."""

    start_ns: int
    lots: tuple[str, ...]

    @property
    def pairs(self) -> list[Pair]:
        """The changeovers between them."""
        return list(pairwise(self.lots))


def _weeks(window: MachineWindow, done: Sequence[Changeover]) -> list[WeekOfLots]:
    """Weeks of a number of lots that can be ordered; one in which a lot is missing between two changeovers is left out."""
    by_week: dict[int, list[Changeover]] = {}
    for item in done:
        by_week.setdefault((item.start_ns - window.start_ns) // (7 * DAY_NS), []).append(item)
    out = []
    for week, items in sorted(by_week.items()):
        follows = all(a.to_product == b.product for a, b in pairwise(items))
        if follows and LEAST_LOTS <= len(items) + 1 <= MOST_LOTS:
            lots = (items[0].product, *(item.to_product for item in items))
            out.append(WeekOfLots(window.start_ns + week * 7 * DAY_NS, lots))
    return out


def _saving(
    made: WeekOfLots, halves: Sequence[Mapping[Pair, list[float]]], drawn: Sequence[Mapping[Pair, Float64]]
) -> tuple[float, Float64]:
    """Minutes saved, judged by the half that did not choose, and the same of resampled times float64[draws]."""
    saved: list[float] = []
    draws: list[Float64] = []
    for chooser, judge in ((0, 1), (1, 0)):
        means = {pair: float(np.mean(times)) for pair, times in halves[chooser].items()}
        order = best_order(made.lots, means)
        other = list(pairwise(order))
        times_of = {pair: float(np.mean(values)) for pair, values in halves[judge].items()}
        saved.append(sum(times_of[pair] for pair in made.pairs) - sum(times_of[pair] for pair in other))
        draws.append(
            np.sum([drawn[judge][pair] for pair in made.pairs], axis=0)
            - np.sum([drawn[judge][pair] for pair in other], axis=0)
        )
    mean: Float64 = np.mean(draws, axis=0)
    return float(np.mean(saved)), mean


def best_order(lots: Sequence[str], means: Mapping[Pair, float]) -> tuple[str, ...]:
    """The order of these lots with the least set-up, the first one fixed, by dynamic programming over how many lots of each
    product are left. Pairs without a mean are not made; the lots as they are if there is no other order.
    """
    products = sorted(set(lots))
    left = Counter(lots[1:])

    @cache
    def best(last: str, counts: tuple[int, ...]) -> tuple[float, tuple[str, ...]]:
        if not any(counts):
            return 0.0, ()
        found: tuple[float, tuple[str, ...]] = (float("inf"), ())
        for k, product in enumerate(products):
            if counts[k] and (last, product) in means:
                rest = best(product, (*counts[:k], counts[k] - 1, *counts[k + 1 :]))
                cost = means[last, product] + rest[0]
                if cost < found[0]:
                    found = cost, (product, *rest[1])
        return found

    cost, order = best(lots[0], tuple(left[product] for product in products))
    return (lots[0], *order) if cost < float("inf") else tuple(lots)


RULE = AdviceRule(KEY, VERSION, 8, find, rare=True)
