"""One night's look at one machine: what its rules see, and whether fresh data confirm what was seen before. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from oee.advice.catalogue import contrasts, lost_minutes, rules
from oee.advice.finding import AdviceRule, Finding, within_what_was_lost
from oee.advice.trust import Trust, trust
from oee.advice.window import DAY_NS, MachineWindow, part_of
from oee.model.facts import MINUTE_NS

RECENT_NS: Final = 28 * DAY_NS
FRESH_NS: Final = 56 * DAY_NS
SHORT_WEEKS: Final = 8
"""The window by which a machine is trusted, and by which its losses are told."""
Identity = tuple[str, tuple[str, ...]]
"""Rule and key."""


@dataclass(frozen=True)
class MachineLook:
    """What was seen of one machine. end_ns: end of its windows [ns UTC]; findings: every contrast that was looked at;
    fresh: by identity the same contrast on data since it first passed, of the last 8 weeks at most; recent: the same of the
    last 4 weeks. Neither has an entry where there were too few blocks. why_not: as `Trust` says; lost_min, busy_min: minutes
    a week.
    """

    machine: str
    end_ns: int
    findings: tuple[Finding, ...]
    fresh: Mapping[Identity, Finding]
    recent: Mapping[Identity, Finding]
    trust: Trust
    lost_min: Mapping[str, float]
    busy_min: float


def look(
    window_of: Callable[[int], MachineWindow],
    since: Mapping[Identity, int],
    *,
    holes: int = 0,
    open_findings: frozenset[str] = frozenset(),
) -> MachineLook:
    """Everything that the rules say about a machine tonight.

    window_of: its window of so many weeks; called once for each length, the shortest first, so that one is freed before the
    next is made. since: when each finding that waits or is open first passed [ns UTC]. holes, open_findings: as in `trust`.
    """
    short = window_of(SHORT_WEEKS)
    trusted = trust(short, holes=holes, open_findings=open_findings)
    seen: list[Finding] = []
    fresh: dict[Identity, Finding] = {}
    recent: dict[Identity, Finding] = {}
    for weeks in sorted({rule.weeks for rule in rules().values() if trusted.admits(rule)}):
        window = short if weeks == SHORT_WEEKS else window_of(weeks)
        seen += contrasts(window, trusted, weeks)
        again: dict[tuple[str, int], dict[Identity, Finding]] = {}
        for identity, since_ns in since.items():
            rule = rules().get(identity[0])
            if rule and rule.weeks == weeks and not rule.rare and not rule.about_data and trusted.admits(rule):
                end_ns = window.end_ns
                for out, kept_ns in ((fresh, FRESH_NS), (recent, RECENT_NS)):
                    begin_ns = max(since_ns, end_ns - kept_ns)
                    if (rule.key, begin_ns) not in again:
                        again[rule.key, begin_ns] = _again(rule, window, begin_ns)
                    if identity in again[rule.key, begin_ns]:
                        out[identity] = again[rule.key, begin_ns][identity]
    return MachineLook(
        short.machine,
        short.end_ns,
        tuple(seen),
        fresh,
        recent,
        trusted,
        lost_minutes(short),
        _busy_min(short),
    )


def _again(rule: AdviceRule, window: MachineWindow, since_ns: int) -> dict[Identity, Finding]:
    """The rule's contrasts on what came after this time, if there is enough of it."""
    if rule.confirm is None:
        found = rule.find(part_of(window, since_ns, window.end_ns))
    else:
        one = rule.confirm(window, since_ns)
        found = [] if one is None else [one]
    return {item.identity: item for item in found}


def _busy_min(window: MachineWindow) -> float:
    """Scheduled time of days that count, less planned stops [minutes a week]."""
    if not window.weeks:
        return 0.0
    scheduled = float((window.stretch >= 0).sum()) - float(window.column("planned_stop_ms").sum()) * 1e6 / MINUTE_NS
    return scheduled / window.weeks


def told(findings: Sequence[Finding], lost_min: Mapping[str, float]) -> list[Finding]:
    """Findings of one machine as they are told: no more is promised than was lost; findings about data promise nothing."""
    named = {key for key, rule in rules().items() if rule.about_data}
    scaled = iter(within_what_was_lost([item for item in findings if item.rule not in named], lost_min))
    return [replace(item) if item.rule in named else next(scaled) for item in findings]
