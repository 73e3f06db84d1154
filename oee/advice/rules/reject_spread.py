"""Whether one shift makes more rejects than the others do, with the same products on the same dates. Pure."""

from typing import Final

import numpy as np

from oee.advice.finding import AdviceRule, Finding, evidence, realisable
from oee.advice.grid import Float64, added_up
from oee.advice.statistics.ratios import one_window
from oee.advice.window import MachineWindow

KEY: Final = "reject_spread"
VERSION: Final = 1
LEAST_POINTS: Final = 0.01
LEAST_RATIO: Final = 1.5
LEAST_DAYS: Final = 20
LEAST_JUDGED: Final = 20.0
"""Judged pieces of a product that a shift, and the others together, need on a day to be compared."""


def find(window: MachineWindow) -> list[Finding]:
    """Each shift's share of rejects less that of the other shifts of the same date, product by product and weighted by
    the smaller number of pieces. Silent with one shift, and unless the machine itself tells rejects: one entry by hand may
    be of two shifts.
    """
    facts = window.facts
    (shifts, shift_at), (products, product_at) = window.shifts_of_facts, window.products_of_facts
    if window.beside.quality != "plc" or len(shifts) < 2:
        return []
    days = np.unique(facts.business_date)
    shape = (len(shifts), len(products), len(days))
    cell = np.ravel_multi_index((shift_at, product_at, np.searchsorted(days, facts.business_date)), shape)
    judged = added_up(shape, cell, facts.column("pieces_judged"))
    rejects = added_up(shape, cell, facts.column("pieces_startup_reject") + facts.column("pieces_process_reject"))
    made = float(facts.column("pieces_total").sum())
    piece_min = float(facts.column("ideal_total_us").sum()) / 6e7 / made if made else 0.0
    found = []
    for index, shift in enumerate(shifts):
        own, rest, weight = _rates(rejects, judged, index)
        chosen = weight > 0
        n = int(chosen.sum())
        gap = own - rest
        estimate = one_window((gap * weight)[chosen], weight[chosen]) if n >= window.least(LEAST_DAYS) else None
        if estimate is None:
            continue
        usual = float((rest * weight).sum() / weight.sum())
        ratio = (usual + estimate.value) / usual if usual > 0 else float(estimate.value > 0) * 99.0
        a_week = float(judged[index].sum()) / window.weeks
        found.append(
            Finding(
                KEY,
                VERSION,
                window.machine,
                ("shift", shift),
                estimate.value >= LEAST_POINTS and ratio >= LEAST_RATIO and estimate.low > 0,
                estimate.p_above(),
                {
                    "gap": estimate.value,
                    "low": estimate.low,
                    "high": estimate.high,
                    "share": usual + estimate.value,
                    "rest_share": usual,
                    "pieces_a_week": estimate.value * a_week,
                    "days": n,
                },
                realisable(estimate.low * a_week * piece_min, estimate.high * a_week * piece_min),
                frozenset({"rejects"}),
                evidence(window, n, {"day": days[chosen], "gap": gap[chosen], "weight": weight[chosen]}),
                {"shift": shift},
            )
        )
    return found


def _rates(rejects: Float64, judged: Float64, index: int) -> tuple[Float64, Float64, Float64]:
    """By day the share of rejects of this shift and of the others, products weighted alike, and the weight [pieces]."""
    rest_judged, rest_rejects = judged.sum(axis=0) - judged[index], rejects.sum(axis=0) - rejects[index]
    both = (judged[index] >= LEAST_JUDGED) & (rest_judged >= LEAST_JUDGED)
    weight = np.where(both, np.minimum(judged[index], rest_judged), 0.0)
    total = weight.sum(axis=0)
    means = []
    for hits, pieces in ((rejects[index], judged[index]), (rest_rejects, rest_judged)):
        share = np.divide(hits, pieces, out=np.zeros_like(weight), where=both)
        means.append(np.divide((share * weight).sum(axis=0), total, out=np.zeros_like(total), where=total > 0))
    return means[0], means[1], total


RULE = AdviceRule(KEY, VERSION, 8, find, in_pieces=True)
