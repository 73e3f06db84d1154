"""The life of an action: drafted, registered with a frozen plan, measured, judged, looked at again. Pure.

People draft, register, standardise and give up; the nights judge. What was registered is judged when it is due whatever
becomes of the action, so that nobody can drop a failure: neither by giving up nor by changing the plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final, Literal

from oee.advice.gain.detectable import Detectable
from oee.advice.gain.plan import CHECK_MONTHS, GainPlan, digest
from oee.advice.gain.verdict import GOOD, DaySeries, GainVerdict

ActionStage = Literal["draft", "registered", "judged", "standardised", "given_up"]
ActionState = Literal["draft", "registered", "working", "measuring", "judged", "standardised", "given_up"]
"""What is shown: a stage and the date say whether work has begun, and the measurement."""
STATES: Final[tuple[ActionState, ...]] = (
    "draft",
    "registered",
    "working",
    "measuring",
    "judged",
    "standardised",
    "given_up",
)
LATE_DAYS: Final = 2
"""So long after its last day a window waits for declarations and corrections before it is judged."""
Held = Literal["held", "faded", "unknown"]


class NotNow(ValueError):
    """A step that the action's stage does not allow. code: key of `action_refused.<code>`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class ActionTerms:
    """What people write about an action. what: the countermeasure in one line; method: how; owner: who does it; cost: in
    `currency`, None unknown; cause: the cause that was found (5 whys).
    """

    what: str
    owner: str
    method: str = ""
    cause: str = ""
    cost: float | None = None
    currency: str = "VND"


@dataclass(frozen=True)
class Later:
    """An effect looked at again. months: after the window; verdict: of that window against the one before."""

    months: int
    held: Held
    verdict: GainVerdict


@dataclass(frozen=True)
class Registered:
    """A plan as it was frozen: when [ns UTC], by whom, its digest, and what it could show by then."""

    plan: GainPlan
    at_ns: int
    by: str
    digest: str
    told: Detectable | None


@dataclass(frozen=True)
class ActionRecord:
    """An action. plan: as it is edited until it is registered; registered: every frozen plan, the first is the one that
    counts; verdict: of the newest; first: that of the first, once there are several; progress: what the nights have measured
    so far; later: effects looked at again; note: what became standard, or why it was given up; finding: its id, "" without.
    """

    terms: ActionTerms
    plan: GainPlan
    stage: ActionStage = "draft"
    finding: str = ""
    registered: tuple[Registered, ...] = ()
    verdict: GainVerdict | None = None
    judged_ns: int = 0
    first: GainVerdict | None = None
    later: tuple[Later, ...] = ()
    progress: DaySeries | None = None
    note: str = ""
    told: Detectable | None = field(default=None)

    @property
    def exploratory(self) -> bool:
        """Whether a frozen plan was changed, or frozen when its measurement had begun: for ever."""
        return len(self.registered) > 1 or any(_is_late(item) for item in self.registered)

    @property
    def counted(self) -> GainVerdict | None:
        """The verdict that the center's total counts: that of the plan that was frozen first."""
        return self.first if len(self.registered) > 1 else self.verdict

    def state(self, today: date) -> ActionState:
        """What is shown on this date."""
        if self.stage != "registered":
            return self.stage
        if today >= self.plan.after.first:
            return "measuring"
        return "working" if today >= self.plan.work.first else "registered"


_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()


def _is_late(item: Registered) -> bool:
    """Whether it was frozen after the window after had begun, by the calendar of UTC: a day's difference is no loophole,
    since the first days are left out as settling.
    """
    return date.fromordinal(_EPOCH_ORDINAL + item.at_ns // 86_400_000_000_000) >= item.plan.after.first


def edited(record: ActionRecord, terms: ActionTerms, plan: GainPlan) -> ActionRecord:
    """A draft with other words and another plan; of a registered action the words alone. Raises `NotNow` for another plan."""
    if record.stage == "draft":
        return replace(record, terms=terms, plan=plan, told=record.told if plan == record.plan else None)
    if plan != record.plan:
        raise NotNow("frozen")
    return replace(record, terms=terms)


def registered(record: ActionRecord, told: Detectable | None, by: str, now_ns: int) -> ActionRecord:
    """The plan is frozen. told: what it could show, as it was shown before. Raises `NotNow` unless it is a draft."""
    if record.stage != "draft":
        raise NotNow("not_draft")
    frozen = Registered(record.plan, now_ns, by, digest(record.plan), told)
    return replace(record, stage="registered", registered=(frozen,), told=told)


def revised(record: ActionRecord, plan: GainPlan, told: Detectable | None, by: str, now_ns: int) -> ActionRecord:
    """Another plan in place of a frozen one, which makes the action exploratory for ever; the first plan is judged all the
    same. Raises `NotNow` for a draft, and for what is judged already.
    """
    if record.stage != "registered":
        raise NotNow("not_registered")
    if plan == record.plan:
        raise NotNow("same_plan")
    frozen = Registered(plan, now_ns, by, digest(plan), told)
    return replace(record, plan=plan, told=told, registered=(*record.registered, frozen), progress=None)


def standardised(record: ActionRecord, note: str) -> ActionRecord:
    """It has become the way of working. note: which document was changed. Raises `NotNow` unless it is judged."""
    if record.stage != "judged":
        raise NotNow("not_judged")
    return replace(record, stage="standardised", note=_needed(note))


def given_up(record: ActionRecord, note: str) -> ActionRecord:
    """It is not pursued. What was registered is still judged. Raises `NotNow` if it is over."""
    if record.stage in ("standardised", "given_up"):
        raise NotNow("over")
    return replace(record, stage="given_up", note=_needed(note))


def _needed(note: str) -> str:
    text = note.strip()
    if not text:
        raise NotNow("no_note")
    return text


@dataclass(frozen=True)
class Due:
    """A window to be judged: which frozen plan, and 0 for its own window after or the months of a later look."""

    number: int
    plan: GainPlan
    months: int = 0


def due(record: ActionRecord, today: date) -> list[Due]:
    """What has to be judged on this date, the earliest first."""
    if not record.registered:
        return []
    out: list[Due] = []
    last = len(record.registered) - 1
    if record.verdict is None and _over(record.plan.after.last, today):
        out.append(Due(last, record.plan))
    first = record.registered[0].plan
    if last > 0 and record.first is None and _over(first.after.last, today):
        out.append(Due(0, first))
    if record.verdict is not None and record.verdict.result in GOOD:
        done = {item.months for item in record.later}
        out += [
            Due(last, record.plan, months)
            for months in CHECK_MONTHS
            if months not in done and _over(record.plan.check_due(months), today)
        ]
    return out


def is_measured(record: ActionRecord) -> bool:
    """Whether its progress is of interest to the night."""
    return bool(record.registered) and record.verdict is None


def _over(last: date, today: date) -> bool:
    return today > last + timedelta(LATE_DAYS)


def judged(record: ActionRecord, what: Due, verdict: GainVerdict, now_ns: int) -> ActionRecord:
    """The record with a verdict; one that is there already stays."""
    if what.months:
        if any(item.months == what.months for item in record.later):
            return record
        held: Held = "unknown" if verdict.result == "unknown" else "held" if verdict.result in GOOD else "faded"
        later = sorted((*record.later, Later(what.months, held, verdict)), key=lambda item: item.months)
        return replace(record, later=tuple(later))
    if what.number == 0 and len(record.registered) > 1:
        return record if record.first else replace(record, first=verdict)
    if record.verdict is not None or what.number != len(record.registered) - 1:
        return record
    stage: ActionStage = "judged" if record.stage == "registered" else record.stage
    return replace(record, verdict=verdict, judged_ns=now_ns, stage=stage, progress=None)


@dataclass(frozen=True)
class GainTotal:
    """What all judged actions brought together [minutes a week], the failed ones included. low, high: root of the sum of
    squares of their limits' distances. judged, verified, likely, not_shown, worse, unknown: how many; exploratory: of these;
    open: not judged yet; shown_only: the sum of the successful ones alone, which says too much.
    """

    minutes: float
    low: float
    high: float
    counts: dict[str, int]
    exploratory: int
    open: int
    shown_only: float


def total(records: Sequence[ActionRecord]) -> GainTotal:
    """The sum over all actions, each by the plan that it was registered with first; drafts count for nothing."""
    counts = dict.fromkeys(("verified", "likely", "not_shown", "worse", "unknown"), 0)
    value = below = above = shown = 0.0
    waiting = exploratory = 0
    for record in records:
        verdict = record.counted
        if not record.registered:
            continue
        if verdict is None:
            waiting += 1
            continue
        counts[verdict.result] += 1
        exploratory += record.exploratory
        if verdict.minutes is not None:
            value += verdict.minutes.value
            below += (verdict.minutes.value - verdict.minutes.low) ** 2
            above += (verdict.minutes.high - verdict.minutes.value) ** 2
            shown += verdict.minutes.value if verdict.result in GOOD else 0.0
    return GainTotal(value, value - below**0.5, value + above**0.5, counts, exploratory, waiting, shown)
