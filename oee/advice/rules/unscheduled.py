"""Whether the calendar tells the truth: the machine runs outside it, or whole shifts stand for no reason. About data. Pure."""

from typing import Final

import numpy as np

from oee.advice.finding import NO_GAIN, AdviceRule, Finding, evidence
from oee.advice.grid import Bool, Float64
from oee.advice.window import DAY_NS, MachineWindow
from oee.model.facts import MINUTE_NS, Int64

KEY: Final = "unscheduled"
VERSION: Final = 1
WEEKS: Final = 4
LEAST_OUTSIDE_H: Final = 2.0
LEAST_WEEKS_OUTSIDE: Final = 3
MOST_RUNNING: Final = 0.05
LEAST_STANDING: Final = 0.9
LEAST_SHIFTS: Final = 2
_SHORT_SHIFT_MIN: Final = 120
_HOUR_MS: Final = 3_600_000


def find(window: MachineWindow) -> list[Finding]:
    """Of the last four weeks: hours a week of running outside shifts and breaks (3 of them with 2 hours or more), and
    shifts that stood without a reason (two or more with less than 5 % running). Silent with fewer than four weeks.
    """
    week_ns = 7 * DAY_NS
    if window.end_ns - window.start_ns < WEEKS * week_ns:
        return []
    from_ns = window.end_ns - WEEKS * week_ns
    first = (from_ns - window.start_ns) // MINUTE_NS
    outside_h = window.outside_ms[first:].reshape(WEEKS, -1).sum(axis=1) / _HOUR_MS
    starts_s = [(from_ns + week * week_ns) // 10**9 for week in range(WEEKS)]
    weeks = int((outside_h >= LEAST_OUTSIDE_H).sum())
    standing, shifts = _standing(window, int(first))
    return [
        Finding(
            KEY,
            VERSION,
            window.machine,
            ("outside",),
            weeks >= LEAST_WEEKS_OUTSIDE,
            None,
            {"n": weeks, "hours": float(outside_h.mean()), "shifts": shifts},
            NO_GAIN,
            frozenset(),
            evidence(window, WEEKS, {"hours": outside_h, "at_s": starts_s}),
            {"verdict": "runs_outside"},
        ),
        Finding(
            KEY,
            VERSION,
            window.machine,
            ("standing_shifts",),
            len(standing) >= LEAST_SHIFTS,
            None,
            {"n": len(standing), "hours": float(outside_h.mean()), "shifts": shifts},
            NO_GAIN,
            frozenset(),
            evidence(window, shifts, {"at_s": standing // 10**9}),
            {"verdict": "stands_scheduled"},
        ),
    ]


def _standing(window: MachineWindow, first: int) -> tuple[Int64, int]:
    """When those shifts began that stood without a reason [ns UTC], and how many shifts there were."""
    stretch = window.stretch[first:]
    on = stretch >= 0
    if not on.any():
        return np.zeros(0, np.int64), 0
    instance = window.stretches.instance[stretch[on]]
    most = int(instance.max()) + 1
    minutes = np.bincount(instance, minlength=most)
    long = minutes >= _SHORT_SHIFT_MIN
    ms = minutes * 60_000

    def share(name: str) -> Float64:
        sums = np.bincount(instance, window.column(name)[first:][on], most)
        out: Float64 = np.divide(sums, ms, out=np.zeros(most), where=ms > 0)
        return out

    idle: Bool = long & (share("running_ms") < MOST_RUNNING) & (share("unplanned_stop_ms") > LEAST_STANDING)
    stops = window.stops
    with_reason = stops.reason != ""
    begun = {int(k): int(window.stretches.start_ns[window.stretches.instance == k][0]) for k in np.flatnonzero(idle)}
    ended = {k: int(window.stretches.end_ns[window.stretches.instance == k][-1]) for k in begun}
    kept = [
        start_ns
        for k, start_ns in begun.items()
        if not ((stops.start_ns < ended[k]) & (stops.end_ns > start_ns) & with_reason).any()
    ]
    return np.array(sorted(kept), np.int64), int(long.sum())


RULE = AdviceRule(KEY, VERSION, 8, find, about_data=True)
