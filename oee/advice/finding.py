"""What a rule says about a machine, what it could bring, and what it rests on. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from oee.advice.window import MachineWindow

REALISED_LOW, REALISED_HIGH = 0.5, 0.8
"""How much of a loss an action takes away: from half of its lower limit to four fifths of its upper limit."""
MOST_OF_A_LOSS: Final = 0.8
LEAST_GAIN_MIN: Final = 30.0
LEAST_GAIN_SHARE: Final = 0.005
MOST_TYPICAL_STOPS: Final = 10


@dataclass(frozen=True)
class Gain:
    """What acting could bring [scheduled minutes a week]."""

    low_min: float
    high_min: float

    def scaled(self, factor: float) -> "Gain":
        """Both ends times this factor."""
        return Gain(self.low_min * factor, self.high_min * factor)


NO_GAIN: Final = Gain(0.0, 0.0)


def realisable(low_min: float, high_min: float) -> Gain:
    """The gain of a loss with these limits [minutes a week]; what would be below 0 is 0."""
    return Gain(REALISED_LOW * max(0.0, low_min), REALISED_HIGH * max(0.0, high_min))


@dataclass(frozen=True)
class FindingEvidence:
    """What a finding was computed from, so that it can be computed again.

    start_ns, end_ns: the window [ns UTC]; dropped: business dates left out, days since 1970-01-01; n: instances,
    changeovers, failures or days; series: named columns in order of time; stops: ids of typical stops.
    """

    start_ns: int
    end_ns: int
    dropped: tuple[int, ...]
    n: int
    series: Mapping[str, tuple[float, ...]]
    stops: tuple[str, ...] = ()


def evidence(
    window: MachineWindow, n: int, series: Mapping[str, Iterable[float]], stops: Sequence[str] = ()
) -> FindingEvidence:
    """The evidence of a window with these columns; of stops the first `MOST_TYPICAL_STOPS`."""
    columns = {name: tuple(float(value) for value in values) for name, values in series.items()}
    typical = tuple(stops[:MOST_TYPICAL_STOPS])
    return FindingEvidence(window.start_ns, window.end_ns, window.dropped, n, columns, typical)


@dataclass(frozen=True)
class Finding:
    """One contrast that a rule has looked at. rule, machine and key identify it from night to night.

    key: what of the machine, such as a slot or a pair of products. passes: it exceeds the rule's thresholds; those that
    do not count among the tests all the same. p: of its test, None where a rule has thresholds only. figures, names:
    numbers (their unit in the name) and keys or names for its sentence, `advice.<rule>.says`. claims: losses that the
    gain is part of, states' words or `slow_cycles`.
    """

    rule: str
    version: int
    machine: str
    key: tuple[str, ...]
    passes: bool
    p: float | None
    figures: Mapping[str, float]
    gain: Gain
    claims: frozenset[str]
    evidence: FindingEvidence
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> tuple[str, tuple[str, ...]]:
        """What identifies it on its machine."""
        return self.rule, self.key


@dataclass(frozen=True)
class AdviceRule:
    """A row of the catalogue: one file in `rules/`, which contains it as `RULE`.

    key: of its texts and findings; weeks: how much of the past it looks at; about_data: it asks whether the numbers are
    right, and so looks at machines that cannot be trusted too; in_minutes: what it promises are minutes; in_pieces: what is
    lost are pieces above all, and its thresholds say how many are worth saying; by_reason: it is silent where stops have no
    reasons; rare: its events are rare: it is confirmed by still passing two weeks later, and not by fresh weeks alone; the
    evidence says when they were (`at_s`, s since 1970). find: the contrasts in a window, in a fixed order; none where the rule has to be
    silent. confirm: the finding once more from what came after this time, where that needs what came before as well;
    without it `find` looks at the fresh part alone.
    """

    key: str
    version: int
    weeks: int
    find: Callable[[MachineWindow], list[Finding]]
    about_data: bool = False
    in_minutes: bool = True
    in_pieces: bool = False
    by_reason: bool = False
    rare: bool = False
    confirm: Callable[[MachineWindow, int], Finding | None] | None = None


def worth_saying(finding: Finding, busy_min: float) -> bool:
    """Whether its gain may reach half an hour or 0.5 % of the busy time [minutes a week]."""
    return finding.gain.high_min >= min(LEAST_GAIN_MIN, LEAST_GAIN_SHARE * busy_min)


def within_what_was_lost(findings: Sequence[Finding], lost_min: Mapping[str, float]) -> list[Finding]:
    """One machine's findings with gains scaled down in proportion, so that they claim no more than was lost.

    lost_min: minutes a week by loss. No gain exceeds `MOST_OF_A_LOSS` of the losses that its finding claims, nor their
    sum that share of all losses that any of them claims.
    """
    capped = [_scaled_to(finding, _lost(finding.claims, lost_min)) for finding in findings]
    claimed = frozenset().union(*(finding.claims for finding in findings))
    most = MOST_OF_A_LOSS * _lost(claimed, lost_min)
    total = sum(finding.gain.high_min for finding in capped)
    if total <= most:
        return capped
    return [replace(finding, gain=finding.gain.scaled(most / total)) for finding in capped]


def _lost(claims: frozenset[str], lost_min: Mapping[str, float]) -> float:
    return sum(max(0.0, lost_min.get(loss, 0.0)) for loss in sorted(claims))


def _scaled_to(finding: Finding, lost: float) -> Finding:
    most = MOST_OF_A_LOSS * lost
    if finding.gain.high_min <= most:
        return finding
    return replace(finding, gain=Gain(min(finding.gain.low_min, most), most))
