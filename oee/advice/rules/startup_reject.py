"""Whether rejects come at starts: after a changeover, at the start of a shift, after a long stop. Pure."""

from typing import Final

import numpy as np

from oee.advice.finding import AdviceRule, Finding, evidence, realisable
from oee.advice.measures.slots import by_shift, paint_after, shift_of_minutes
from oee.advice.statistics.ratios import slot_test
from oee.advice.window import MachineWindow
from oee.model.facts import MINUTE_NS, Int64
from oee.model.states import State

KEY: Final = "startup_reject"
VERSION: Final = 2
SLOTS: Final = ("after_setup", "shift_start", "after_stop")
"""A minute belongs to the first that fits, else to the rest."""
START_MS: Final = 30 * 60_000
LONG_STOP_MIN: Final = 30
LEAST_RATIO: Final = 1.5
LEAST_LOW: Final = 1.3
LEAST_EXCESS_A_WEEK: Final = 5.0
LEAST_INSTANCES: Final = 15


def find(window: MachineWindow) -> list[Finding]:
    """Rejects over judged pieces in the first half hour of running after each kind of start, against the rest of the same
    shifts. Silent unless the machine itself tells rejects: what people enter is spread over a period, so its minute means
    nothing.
    """
    judged = window.column("pieces_judged").astype(np.float64)
    if window.beside.quality != "plc" or not judged.sum():
        return []
    rejects = (window.column("pieces_startup_reject") + window.column("pieces_process_reject")).astype(np.float64)
    piece_min = float(window.column("ideal_total_us").sum()) / 6e7 / float(window.column("pieces_total").sum())
    shift, slots = shift_of_minutes(window), _slots(window)
    found = []
    for code, slot in enumerate(SLOTS):
        hits, pieces, rest_hits, rest_pieces = by_shift(shift, rejects, judged, slots == code)
        n = int((pieces > 0).sum())
        test = slot_test(hits, pieces, rest_hits, rest_pieces) if n >= window.least(LEAST_INSTANCES) else None
        if test is None:
            continue
        usual = test.rate_rest * float(pieces.sum()) / window.weeks
        excess = (test.ratio - 1) * usual
        passes = test.ratio >= LEAST_RATIO and test.low > LEAST_LOW and excess >= LEAST_EXCESS_A_WEEK
        found.append(
            Finding(
                KEY,
                VERSION,
                window.machine,
                (slot,),
                passes,
                test.p,
                {
                    "ratio": test.ratio,
                    "low": test.low,
                    "high": test.high,
                    "share": test.rate_slot,
                    "rest_share": test.rate_rest,
                    "pieces_a_week": excess,
                    "n": n,
                },
                realisable((test.low - 1) * usual * piece_min, (test.high - 1) * usual * piece_min),
                frozenset({"rejects"}),
                evidence(
                    window,
                    test.n,
                    {"hits": hits, "pieces": pieces, "rest_hits": rest_hits, "rest_pieces": rest_pieces},
                ),
                {"slot": slot},
            )
        )
    return found


def _slots(window: MachineWindow) -> Int64:
    """Number of the slot of each minute in `SLOTS`, -1 for the rest: painted from the last to the first."""
    stops, stretches = window.stops, window.stretches
    out = np.full(len(window.stretch), -1, np.int64)
    long = (stops.end_ns - stops.start_ns >= LONG_STOP_MIN * MINUTE_NS) & (stops.state != State.SETUP)
    paint_after(window, out, stops.end_ns[long], START_MS, 2)
    paint_after(window, out, stretches.start_ns[stretches.opens], START_MS, 1)
    paint_after(window, out, np.array([item.end_ns for item in window.setups.changeovers], np.int64), START_MS, 0)
    return out


RULE = AdviceRule(KEY, VERSION, 8, find, in_pieces=True)
