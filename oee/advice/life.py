"""The life of a finding: watched, confirmed by data that came later, growing, gone. Pure.

What becomes of a finding is a function of what was known of it, of tonight's look at its machine, and of the time. A night
that is repeated changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final, Literal

from oee.advice.catalogue import rules
from oee.advice.finding import NO_GAIN, AdviceRule, Finding, Gain, worth_saying
from oee.advice.look import Identity, MachineLook, told
from oee.advice.window import DAY_NS

Stage = Literal["watch", "likely", "open", "in_action", "closed", "dismissed", "lapsed", "gone"]
"""watch: it passed once; likely: fresh data support it (p < 0.05), shown to engineers only; open: they confirm it
(p < 0.01); in_action: somebody does something about it; closed: that has helped; dismissed: somebody said why it is not one,
it is mute for 8 weeks unless it doubles; lapsed: it was not confirmed; gone: it was open and is seen no more.
"""
TOLD_STAGES: Final = ("open", "in_action")
"""Of findings that are confirmed and not over."""
CONFIRM_NS: Final = 14 * DAY_NS
LIMIT_NS: Final = 28 * DAY_NS
"""How long a finding waits for enough fresh data; one about rare events for `QUIET_NS`."""
DATA_CONFIRM_NS: Final = 7 * DAY_NS
REST_NS: Final = 7 * DAY_NS
"""So long what lapsed or went is not watched again."""
GONE_NS: Final = 14 * DAY_NS
MUTE_NS: Final = 56 * DAY_NS
QUIET_NS: Final = 56 * DAY_NS
"""A finding about rare events is over when there was none for so long."""
CONFIRMED_P, LIKELY_P = 0.01, 0.05
NO_MORE_P: Final = 0.2
LEAST_FRESH_EVENTS: Final = 3
GROWING: Final = 1.5
DOUBLED: Final = 2.0


@dataclass(frozen=True)
class FindingRecord:
    """A finding and where it is in its life. finding: as it was last seen; its gain is that of data since it first passed,
    once these confirm it. since_ns: end of the window in which it first passed: what is later is fresh; stage_ns: when its
    stage began; passed_ns: when it passed last [ns UTC]. then: its gain when its stage began; told: its gain as it is told,
    after all of its machine are brought to what was lost. held: its machine, or its rule there, cannot be trusted tonight:
    it is not shown. reason, by: of a dismissal; by: also who acts on it. action: id of the action against it, "" without.
    """

    finding: Finding
    stage: Stage
    since_ns: int
    stage_ns: int
    passed_ns: int
    then: Gain = NO_GAIN
    told: Gain = NO_GAIN
    held: bool = False
    reason: str = ""
    by: str = ""
    action: str = ""

    @property
    def growing(self) -> bool:
        """Whether an open finding costs half as much again as when it was opened."""
        return self.stage == "open" and self.told.high_min >= GROWING * self.then.high_min > 0


def since(records: Iterable[FindingRecord]) -> dict[Identity, int]:
    """When each of those that wait or are open first passed, for `look`."""
    return {
        record.finding.identity: record.since_ns
        for record in records
        if record.stage in ("watch", "likely", "open", "in_action", "dismissed")
    }


def open_rules(records: Iterable[FindingRecord]) -> frozenset[str]:
    """Rules with an open finding, for `look`: open ones about data make everything else doubtful."""
    return frozenset(record.finding.rule for record in records if record.stage in TOLD_STAGES)


def dismissed(record: FindingRecord, reason: str, by: str, now_ns: int) -> FindingRecord:
    """The record after somebody said why it is no finding. Raises `ValueError` without a reason."""
    if not reason.strip():
        raise ValueError("a dismissal needs a reason")
    return _begin(record, "dismissed", now_ns, reason=reason.strip(), by=by)


def acted_on(record: FindingRecord, action: str, by: str, now_ns: int) -> FindingRecord:
    """The record after somebody began an action against it. Raises `ValueError` if it is not open."""
    if record.stage not in ("open", "likely"):
        raise ValueError(f"this finding is {record.stage}; an action needs one that is open")
    return replace(_begin(record, "in_action", now_ns, by=by), action=action, then=record.told)


def released(record: FindingRecord, now_ns: int, *, helped: bool) -> FindingRecord:
    """The record after its action: closed if that has helped, else open again as long as it is still seen."""
    if record.stage != "in_action":
        return record
    return replace(_begin(record, "closed" if helped else "open", now_ns), action=record.action)


def next_records(
    records: Sequence[FindingRecord], seen: MachineLook, significant: AbstractSet[Identity]
) -> list[FindingRecord]:
    """The records of one machine after a night, in the order of rule and key.

    significant: the findings that the correction for all tests of the night keeps (`watched`).
    """
    known = {record.finding.identity: record for record in records}
    tonight = {finding.identity: finding for finding in seen.findings}
    out = []
    for identity in sorted({*known, *tonight}):
        rule = rules().get(identity[0])
        if rule is None:
            continue  # a rule of an earlier version of the program
        record = _next(rule, known.get(identity), tonight.get(identity), seen, identity in significant)
        if record is not None:
            out.append(record)
    return _told(out, seen.lost_min)


def _told(records: list[FindingRecord], lost_min: Mapping[str, float]) -> list[FindingRecord]:
    """The same with the gains that are told: all of a machine's open findings together promise no more than was lost."""
    shown = [record for record in records if record.stage in TOLD_STAGES and not record.held]
    gains = {item.identity: item.gain for item in told([record.finding for record in shown], lost_min)}
    out = []
    for record in records:
        gain = gains.get(record.finding.identity, record.finding.gain)
        begun = record.stage == "open" and record.then == NO_GAIN
        out.append(replace(record, told=gain, then=gain if begun else record.then))
    return out


def _next(
    rule: AdviceRule, record: FindingRecord | None, finding: Finding | None, seen: MachineLook, significant: bool
) -> FindingRecord | None:
    now_ns = seen.end_ns
    enters = (
        finding is not None
        and significant
        and (rule.about_data or rule.in_pieces or not rule.in_minutes or worth_saying(finding, seen.busy_min))
    )
    if record is None or (record.stage in _OVER and enters and now_ns - record.stage_ns >= REST_NS):
        return FindingRecord(finding, "watch", now_ns, now_ns, now_ns) if enters and finding else record
    if not seen.trust.admits(rule):
        return replace(record, held=True)
    if record.stage in _OVER:
        return replace(record, held=False)
    passes = finding is not None and finding.passes and not _is_over(rule, finding, record, seen)
    updated = replace(record, held=False, passed_ns=now_ns if passes else record.passed_ns)
    if finding is not None:
        updated = replace(updated, finding=_with_fresh_gain(rule, finding, seen))
    if record.stage in ("watch", "likely"):
        return _judged(rule, updated, seen, passes=passes)
    if record.stage == "open":
        return _begin(updated, "gone", now_ns) if now_ns - updated.passed_ns >= GONE_NS else updated
    if record.stage == "in_action":
        return updated
    return _still_dismissed(updated, now_ns, passes=passes)


_OVER: Final = ("closed", "lapsed", "gone")


def _begin(record: FindingRecord, stage: Stage, now_ns: int, *, reason: str = "", by: str = "") -> FindingRecord:
    then = record.told if stage == "dismissed" else NO_GAIN
    return replace(record, stage=stage, stage_ns=now_ns, then=then, reason=reason, by=by)


def _judged(rule: AdviceRule, record: FindingRecord, seen: MachineLook, *, passes: bool) -> FindingRecord:
    """A watched or likely finding after tonight's look."""
    now_ns, age_ns = seen.end_ns, seen.end_ns - record.since_ns
    if rule.about_data:
        stage: Stage = "open" if passes else "lapsed"
        return record if passes and age_ns < DATA_CONFIRM_NS else _begin(record, stage, now_ns)
    if rule.rare:
        if passes and age_ns >= CONFIRM_NS and fresh_events(record) >= LEAST_FRESH_EVENTS:
            return _begin(record, "open", now_ns)
        return record if age_ns < QUIET_NS else _begin(record, "lapsed", now_ns)
    if now_ns - record.stage_ns < CONFIRM_NS:
        return record
    fresh = seen.fresh.get(record.finding.identity)
    if fresh is None or fresh.p is None:
        return record if age_ns < LIMIT_NS else _begin(record, "lapsed", now_ns)
    if fresh.p < CONFIRMED_P:  # whatever the whole window says: what confirms it is seen tonight
        return replace(_begin(record, "open", now_ns), passed_ns=now_ns)
    if fresh.p < LIKELY_P and record.stage == "watch":
        return _begin(record, "likely", now_ns)
    return _begin(record, "lapsed", now_ns)


def _still_dismissed(record: FindingRecord, now_ns: int, *, passes: bool) -> FindingRecord:
    doubled = passes and record.finding.gain.high_min >= DOUBLED * record.then.high_min > 0
    if doubled or (passes and now_ns - record.stage_ns >= MUTE_NS):
        return _begin(record, "open", now_ns)
    return _begin(record, "gone", now_ns) if now_ns - record.stage_ns >= MUTE_NS else record


def _is_over(rule: AdviceRule, finding: Finding, record: FindingRecord, seen: MachineLook) -> bool:
    """Whether the last weeks show nothing of it although the whole window still does."""
    if record.stage not in ("open", "in_action", "dismissed") or rule.about_data:
        return False
    if rule.rare:
        begun_s = (seen.end_ns - QUIET_NS) // 10**9
        return not any(at_s >= begun_s for at_s in finding.evidence.series.get("at_s", ()))
    recent = seen.recent.get(finding.identity)
    return recent is not None and recent.p is not None and recent.p > NO_MORE_P


def fresh_events(record: FindingRecord) -> int:
    """Events of its evidence that came after it first passed."""
    at_s = record.finding.evidence.series.get("at_s", ())
    return sum(1 for value in at_s if value * 10**9 >= record.since_ns)


def _with_fresh_gain(rule: AdviceRule, finding: Finding, seen: MachineLook) -> Finding:
    """The finding with the gain of the data that came after it was chosen, which its choice does not flatter. Findings
    about rare events keep that of the whole window.
    """
    fresh = seen.fresh.get(finding.identity)
    return finding if rule.rare or rule.about_data or fresh is None else replace(finding, gain=fresh.gain)
