"""What a machine draws while it does nothing: in stops, in breaks, outside its calendar. Pure."""

from typing import Final

import numpy as np

from oee.advice.finding import NO_GAIN, AdviceRule, Finding, evidence
from oee.advice.grid import Bool
from oee.advice.statistics.ratios import one_window
from oee.advice.window import DAY_NS, MachineWindow
from oee.model.facts import MINUTE_NS

KEY: Final = "idle_energy"
VERSION: Final = 1
LONG_STOP_MIN: Final = 10
LEAST_DAYS: Final = 14
LEAST_KNOWN: Final = 0.9
OFF_PERCENTILE: Final = 2.0
LEAST_RUNNING: Final = 2.0
LEAST_KWH_A_WEEK: Final = 10.0
LEAST_SHARE: Final = 0.1
REALISED_LOW, REALISED_HIGH = 0.5, 0.8
_WHOLE_MS: Final = 60_000
_DAYS_A_WEEK: Final = 7


def find(window: MachineWindow) -> list[Finding]:
    """Power in idle minutes above the level at which it is off (its 2nd percentile), by day.

    Silent without a power of this machine alone [kW], with fewer than 14 days, with less than 90 % of minutes known, and
    where running draws less than twice the off level. p is that of more than half of what would have to be said.
    """
    power = window.beside.power_kw
    if power is None or len(power) < LEAST_DAYS * DAY_NS // MINUTE_NS:
        return []
    known = np.isfinite(power)
    whole = known & (window.column("running_ms") >= _WHOLE_MS)
    if known.mean() < LEAST_KNOWN or not whole.any():
        return []
    off, running = float(np.percentile(power[known], OFF_PERCENTILE)), float(np.median(power[whole]))
    if running < LEAST_RUNNING * max(off, 1e-9):
        return []
    idle = known & _idle(window)
    above = np.where(idle, np.maximum(np.nan_to_num(power) - off, 0.0), 0.0) / 60
    day = np.arange(len(power)) // (DAY_NS // MINUTE_NS)
    daily = np.bincount(day, above)[: len(power) // (DAY_NS // MINUTE_NS)]
    used_a_week = float(power[known].mean()) * 24 * _DAYS_A_WEEK
    estimate = one_window(daily, np.ones(len(daily)))
    if estimate is None or not idle.any():
        return []
    least = max(LEAST_KWH_A_WEEK, LEAST_SHARE * used_a_week)
    a_week, low, high = (_DAYS_A_WEEK * value for value in (estimate.value, estimate.low, estimate.high))
    figures = {
        "kwh_a_week": a_week,
        "low_kwh": REALISED_LOW * max(0.0, low),
        "high_kwh": REALISED_HIGH * max(0.0, high),
        "share": a_week / used_a_week,
        "idle_kw": float(power[idle].mean()),
        "off_kw": off,
        "running_kw": running,
        "idle_h": float(idle.sum()) / 60 / len(daily) * _DAYS_A_WEEK,
        "vnd_a_week": a_week * (window.beside.tariff_per_kwh or 0.0),
    }
    return [
        Finding(
            KEY,
            VERSION,
            window.machine,
            ("machine",),
            a_week >= least and low > least / 2,
            estimate.p_above(least / 2 / _DAYS_A_WEEK),
            figures,
            NO_GAIN,
            frozenset(),
            evidence(
                window,
                len(daily),
                {"kwh": daily, "day": window.start_ns // DAY_NS + np.arange(len(daily)), "used_a_week": [used_a_week]},
            ),
            {"verdict": "energy_cost" if window.beside.tariff_per_kwh else "energy_no_tariff"},
        )
    ]


def _idle(window: MachineWindow) -> Bool:
    """Minutes in stops of more than ten minutes, in breaks (where the machine does not run through them) and outside."""
    scheduled = np.zeros(len(window.stretch), np.bool_)
    stretches = window.stretches
    first = np.clip(-(-(stretches.start_ns - window.start_ns) // MINUTE_NS), 0, len(scheduled))
    last = np.clip(-(-(stretches.end_ns - window.start_ns) // MINUTE_NS), 0, len(scheduled))
    for begin, end in zip(first.tolist(), last.tolist(), strict=True):
        scheduled[begin:end] = True
    idle: Bool = ~scheduled
    if len(window.outside_ms):
        idle &= window.outside_ms == 0
    stops = window.stops
    long = stops.end_ns - stops.start_ns > LONG_STOP_MIN * MINUTE_NS
    begin = np.clip(-(-(stops.start_ns[long] - window.start_ns) // MINUTE_NS), 0, len(idle))
    end = np.clip((stops.end_ns[long] - window.start_ns) // MINUTE_NS, 0, len(idle))
    for low, high in zip(begin.tolist(), end.tolist(), strict=True):
        idle[low:high] = True
    return idle


RULE = AdviceRule(KEY, VERSION, 8, find, in_minutes=False)
