"""When the short stops come: after changeovers, at the start of shifts, after breaks, before them, or with a product. Pure."""

from typing import Final

import numpy as np

from oee.advice.finding import AdviceRule, Finding, evidence, realisable
from oee.advice.grid import Bool
from oee.advice.measures.slots import by_shift, paint_after, shift_of_minutes
from oee.advice.statistics.ratios import slot_test
from oee.advice.window import MachineWindow
from oee.model.facts import MINUTE_NS, Int64
from oee.model.states import State

KEY: Final = "micro_cluster"
VERSION: Final = 1
SLOTS: Final = ("after_changeover", "shift_start", "after_break", "before_edge")
"""A minute belongs to the first that fits, else to the middle of a shift."""
CHANGEOVER_MS: Final = 60 * 60_000
START_MIN: Final = 30
BREAK_MIN: Final = 15
EDGE_MIN: Final = 20
LEAST_RATIO: Final = 1.5
LEAST_LOW: Final = 1.2
LEAST_STOPS: Final = 20
LEAST_SHIFTS: Final = 20
LEAST_STOPS_OF_A_SHIFT: Final = 3.0
MOST_BY_COUNT: Final = 0.5
_HOUR_MS: Final = 3_600_000


def find(window: MachineWindow) -> list[Finding]:
    """Short stops per running hour in each slot against the rest of the same shifts, then with each product.

    Silent with fewer than three short stops a shift, and where most were found by gaps between pieces although nobody has
    confirmed the ideal time that says what a gap is.
    """
    stops = window.stops
    row = window.minute_of(stops.start_ns)
    rows = np.flatnonzero((stops.state == State.MINOR_STOP) & (row >= 0))
    rows = rows[window.stretch[row[rows]] >= 0]
    at = row[rows]
    shift = shift_of_minutes(window)
    running = window.column("running_ms")
    shifts = len(np.unique(shift[running > 0]))
    guessed = (stops.by[rows] == "count") & np.isin(stops.product[rows], sorted(window.unverified))
    if len(rows) < LEAST_STOPS_OF_A_SHIFT * shifts or not shifts or guessed.mean() > MOST_BY_COUNT:
        return []
    slots = _slots(window)
    contrasts: list[tuple[str, str, Bool]] = [(name, name, slots == k) for k, name in enumerate(SLOTS)]
    if len(window.products) > 1:
        contrasts += [("product", name, window.product == k) for k, name in enumerate(window.products)]
    stopped = np.bincount(at, minlength=len(shift)).astype(np.float64)
    length_min = float((stops.end_ns[rows] - stops.start_ns[rows]).mean()) / MINUTE_NS
    found = []
    for slot, key, inside in contrasts:
        hits, hours, rest_hits, rest_hours = by_shift(shift, stopped, running / _HOUR_MS, inside)
        count = int(hits.sum())
        if count < window.least(LEAST_STOPS) or int((hours > 0).sum()) < window.least(LEAST_SHIFTS):
            continue
        test = slot_test(hits, hours, rest_hits, rest_hours)
        if test is None:
            continue
        exposure = test.rate_rest * float(hours.sum()) / window.weeks * length_min
        found.append(
            Finding(
                KEY,
                VERSION,
                window.machine,
                (slot, key) if slot == "product" else (slot,),
                test.ratio >= LEAST_RATIO and test.low > LEAST_LOW,
                test.p,
                {
                    "ratio": test.ratio,
                    "low": test.low,
                    "high": test.high,
                    "rate_per_h": test.rate_slot,
                    "rest_per_h": test.rate_rest,
                    "n": count,
                    "mean_min": length_min,
                },
                realisable((test.low - 1) * exposure, (test.high - 1) * exposure),
                frozenset({"minor_stop"}),
                evidence(
                    window,
                    test.n,
                    {"hits": hits, "hours": hours, "rest_hits": rest_hits, "rest_hours": rest_hours},
                    stops.id[rows[inside[at]]].tolist()[::-1],
                ),
                {"slot": slot, "product": key if slot == "product" else ""},
            )
        )
    return found


def _slots(window: MachineWindow) -> Int64:
    """Number of the slot of each minute in `SLOTS`, -1 in the middle of a shift: painted from the last to the first."""
    stretches = window.stretches
    begin = np.arange(len(window.stretch)) * MINUTE_NS + window.start_ns
    k = window.stretch
    out = np.full(len(k), -1, np.int64)
    if not len(stretches.start_ns):
        return out
    since = (begin - stretches.start_ns[k]) // MINUTE_NS
    until = (stretches.end_ns[k] - begin) // MINUTE_NS
    out[(k >= 0) & (until <= EDGE_MIN)] = 3
    out[(k >= 0) & (since < BREAK_MIN) & ~stretches.opens[k]] = 2
    out[(k >= 0) & (since < START_MIN) & stretches.opens[k]] = 1
    ends_ns = np.array([item.end_ns for item in window.setups.changeovers], np.int64)
    paint_after(window, out, ends_ns, CHANGEOVER_MS, 0)
    out[k < 0] = -1
    return out


RULE = AdviceRule(KEY, VERSION, 8, find)
