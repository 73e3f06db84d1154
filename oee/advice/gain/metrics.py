"""What an action can be measured by: the attacked loss as a ratio, a rate or a length. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

MetricKind = Literal["ratio", "rate", "shift"]
"""ratio: sums of days; rate: events per unit time; shift: lengths of single events."""
PartKind = Literal["", "loss", "edge", "pair"]


@dataclass(frozen=True)
class GainMetric:
    """A row of the catalogue. better: 1 where more is better, -1 where less is. part: what `GainPlan.part` names: nothing, a
    state or `state/reason`, an edge (`shift_start`, `after_break`, `shift_end`, `before_break`), or a pair of products
    (`A→B`, "" for all). points: it is a share, told in percentage points. gains: what a change of it is worth in.
    """

    key: str
    kind: MetricKind
    better: Literal[1, -1]
    part: PartKind = ""
    points: bool = True
    gains: Literal["minutes", "kwh"] = "minutes"


METRICS: Final[Mapping[str, GainMetric]] = {
    item.key: item
    for item in (
        GainMetric("oee", "ratio", 1),
        GainMetric("operating", "ratio", 1),
        GainMetric("loss", "ratio", -1, "loss"),
        GainMetric("minor", "ratio", -1),
        GainMetric("speed", "ratio", 1),
        GainMetric("reject", "ratio", -1),
        GainMetric("edge", "ratio", -1, "edge", points=False),
        GainMetric("failures", "rate", -1, points=False),
        GainMetric("repair", "shift", -1, points=False),
        GainMetric("setup", "shift", -1, "pair", points=False),
        GainMetric("energy", "ratio", -1, points=False, gains="kwh"),
    )
}
"""oee: ideal time of good pieces / B; operating: (running + minor stops) / B; loss: time of a state or reason / B; minor:
minor stops / (running + minor stops); speed: ideal time of all pieces / running time with a known ideal; reject: ideal time
of rejects / that of judged pieces; edge: minutes lost at an edge of a shift or break; failures: per 100 h of unit time;
repair, setup: minutes of one; energy: kWh of all hours / good pieces. B: watched scheduled time less planned stops. (S. Nakajima, Introduction to TPM, 1988.)
"""
EDGES: Final = ("shift_start", "after_break", "shift_end", "before_break")
LOSS_STATES: Final = ("minor_stop", "unplanned_stop", "breakdown", "setup", "starved", "blocked")

_OF_RULE: Final = {
    "micro_cluster": ("minor", ""),
    "slow_start": ("edge", "shift_start"),
    "early_end": ("edge", "shift_end"),
    "changeover_tail": ("setup", ""),
    "changeover_sequence": ("loss", "setup"),
    "wear_out": ("failures", ""),
    "repeat_failure": ("failures", ""),
    "long_repair": ("repair", ""),
    "speed_drift": ("speed", ""),
    "best_practice": ("oee", ""),
    "bottleneck": ("oee", ""),
    "startup_reject": ("reject", ""),
    "reject_spread": ("reject", ""),
    "idle_energy": ("energy", ""),
}


def attacked(rule: str, key: tuple[str, ...], claims: frozenset[str]) -> tuple[str, str]:
    """Metric and part by which an action against a finding is measured: the loss that it attacks, since a cut of a loss is
    seen in the loss long before it is seen in the OEE. For a rule that is not known here by what it claims.
    """
    metric, part = _OF_RULE.get(rule, ("", ""))
    if metric == "edge":
        part = key[0] if key and key[0] in EDGES else part
    elif metric == "setup" and len(key) == 2:
        part = "→".join(key)
    elif not metric:
        states = sorted(claims & set(LOSS_STATES))
        metric, part = ("loss", states[0]) if len(states) == 1 else ("oee", "")
    return metric, part
