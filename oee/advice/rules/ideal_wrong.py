"""Whether an ideal time can be true: it is beaten too often, or never nearly reached at a steady pace. About data. Pure."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from oee.advice.finding import NO_GAIN, AdviceRule, Finding, evidence
from oee.advice.grid import Bool
from oee.advice.measures.cycle_times import by_day, repeated_ms
from oee.advice.statistics.ratios import thirds_trend
from oee.advice.window import MachineWindow

KEY: Final = "ideal_wrong"
VERSION: Final = 3
LEAST_SHIFTS: Final = 10
LEAST_RUNNING_MS: Final = 3_600_000
BEATEN: Final = 1.02
LEAST_BEATEN: Final = 0.3
NOT_REACHED: Final = 0.85
NARROW: Final = 1.06
LEAST_SLOWER: Final = 0.01


def find(window: MachineWindow) -> list[Finding]:
    """Speed rate (ideal time of the pieces over running time) of each product by shift, of shifts with an hour of running.

    Too long an ideal time: above 1.02 in 30 % of the shifts. Too short, or a permanent loss: the best tenth of the shifts
    is below 0.85, and all of them are alike (p90 / p10 below 1.06) and no slower at the end of the window than at its
    beginning: a machine that drifts has been faster, and its drift is told instead. Silent with fewer than `LEAST_SHIFTS`.
    With histograms of cycle times the learned cycle is shown beside it, and by how much OEE would be another with that.
    """
    facts = window.facts
    names, shift = window.shifts_of_facts
    products, product_at = window.products_of_facts
    block = facts.business_date.astype(np.int64) * max(len(names), 1) + shift
    found = []
    for product in window.products:
        rows = product_at == (products.index(product) if product in products else -1)
        blocks, index = np.unique(block[rows], return_inverse=True)
        ms, made_us, made = (
            np.bincount(index, facts.column(name)[rows], len(blocks))
            for name in ("running_ideal_known_ms", "ideal_total_us", "pieces_total")
        )
        enough = (ms >= LEAST_RUNNING_MS) & (made_us > 0) & (made > 0)
        n = int(enough.sum())
        if n < LEAST_SHIFTS:
            continue
        rate = made_us[enough] / (1000 * ms[enough])
        ideal_s = float(made_us[enough].sum() / made[enough].sum()) / 1e6
        beaten = float((rate > BEATEN).mean())
        p10, best = (float(value) for value in np.percentile(rate, [10, 90]))
        too_long = beaten >= LEAST_BEATEN
        too_short = best < NOT_REACHED and best / p10 < NARROW and not _slows(1000 * ms[enough], made_us[enough])
        proposal = _proposed_s(window, product, rows)
        learned = {} if proposal is None else {"proposed_s": proposal, "oee_times": proposal / ideal_s}
        verdict = "too_long" if too_long else "too_short" if too_short else "plausible"
        found.append(
            Finding(
                KEY,
                VERSION,
                window.machine,
                ("product", product),
                too_long or too_short,
                None,
                {"n": n, "beaten": beaten, "best": best, "ideal_s": ideal_s, "fastest_s": ideal_s / best} | learned,
                NO_GAIN,
                frozenset(),
                evidence(window, n, {"rate": rate, "day": blocks[enough] // max(len(names), 1)}),
                {"product": product, "verdict": verdict, "answer": "learned" if learned else "unlearned"},
            )
        )
    return found


def _proposed_s(window: MachineWindow, product: str, rows: Bool) -> float | None:
    """The time of one piece in the fastest cycle that the machine repeats; None without histograms of cycle times [s]."""
    repeated = repeated_ms(by_day(window.cycles, product).total)
    pieces, cycles = (int(window.facts.column(name)[rows].sum()) for name in ("pieces_total", "cycles"))
    if repeated is None or cycles <= 0:
        return None
    return repeated / 1000 / max(1, round(pieces / cycles))


def _slows(known_us: ArrayLike, made_us: ArrayLike) -> bool:
    """Whether the last third of the shifts takes longer for the same than the first, by 1 % and by more than chance."""
    trend = thirds_trend(known_us, made_us)
    return trend is not None and trend.low > 0 and trend.value >= LEAST_SLOWER


RULE = AdviceRule(KEY, VERSION, 8, find, about_data=True)
