"""Whether a machine's numbers carry advice at all. What is wrong with data is said first, and nothing else with it. Pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from oee.advice.finding import AdviceRule
from oee.advice.window import MachineWindow
from oee.model.facts import FACT, Facts
from oee.model.states import State

LEAST_COVERAGE: Final = 0.95
MOST_SPEED_RATE: Final = 1.02
MOST_WITHOUT_REASON: Final = 0.3
LEAST_DAYS: Final = 15
LEAST_WEEKS: Final = 3.0
BLOCKING: Final = frozenset({"unscheduled", "counter_suspect"})
"""Rules about data whose open findings make everything else doubtful."""
_NEED_REASONS: Final = (State.UNPLANNED_STOP, State.BREAKDOWN)


@dataclass(frozen=True)
class Trust:
    """why_not: why nothing but findings about data is said, keys of `advice_trust.<key>`; empty if the machine can be
    trusted. coverage: watched share of scheduled time, None without any. without_reason: share of unplanned stop time
    that has no reason, None without such stops.
    """

    why_not: tuple[str, ...]
    coverage: float | None
    without_reason: float | None

    def admits(self, rule: AdviceRule) -> bool:
        """Whether this rule may speak."""
        if rule.about_data:
            return True
        unclear = self.without_reason is not None and self.without_reason > MOST_WITHOUT_REASON
        return not self.why_not and not (rule.by_reason and unclear)


def trust(window: MachineWindow, *, holes: int = 0, open_findings: frozenset[str] = frozenset()) -> Trust:
    """What can be said of this window. holes: missing or quarantined envelopes in it; open_findings: keys of the
    machine's open rules.
    """
    scheduled_ms = int((window.stretches.end_ns - window.stretches.start_ns).sum()) // 1_000_000
    states = window.minutes[:, : len(State)].sum(axis=0)
    watched_ms = int(states.sum() - states[State.UNKNOWN])
    coverage = watched_ms / scheduled_ms if scheduled_ms else None
    why = []
    if window.worked_days < LEAST_DAYS or window.end_ns - window.start_ns < LEAST_WEEKS * 7 * 86_400 * 10**9:
        why.append("too_short")
    if coverage is not None and coverage < LEAST_COVERAGE:
        why.append("coverage")
    if holes:
        why.append("holes")
    if watched_ms > scheduled_ms:
        why.append("more_than_scheduled")
    why += sorted(open_findings & BLOCKING)
    return Trust(tuple(why), coverage, _without_reason(window))


def _without_reason(window: MachineWindow) -> float | None:
    stops = window.stops
    wanted = np.isin(stops.state, [int(state) for state in _NEED_REASONS])
    length = window.scheduled_min(stops.start_ns[wanted], stops.end_ns[wanted])
    total = float(length.sum())
    return float(length[stops.reason[wanted] == ""].sum()) / total if total > 0 else None


def too_fast(facts: Facts) -> frozenset[str]:
    """Products that this machine makes faster than their ideal time allows: it is wrong, and nothing rests on it."""
    found = set()
    for name in set(facts.product.tolist()):
        sums = facts.sums[facts.product == name].sum(axis=0)
        known_ms = int(sums[FACT["running_ideal_known_ms"]])
        if known_ms and sums[FACT["ideal_total_us"]] > MOST_SPEED_RATE * 1000 * known_ms:
            found.add(name)
    return frozenset(found)
