"""Actions as API, console and command show them: sentences in both languages, intervals, and the picture's numbers."""

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from center.model.kept_action import ActionFile, ActionNote, KeptAction
from center.model.sites import site_machine
from center.model.times import iso
from center.model.viewer import Viewer
from center.queries.question import Name, zone_of
from center.runtime.advice.measured_past import site_today
from center.runtime.state import CenterState
from oee.advice.gain.action import GainTotal
from oee.advice.gain.detectable import Detectable
from oee.advice.gain.effect import Interval
from oee.advice.gain.measured import EPOCH
from oee.advice.gain.metrics import METRICS
from oee.advice.gain.plan import GainPlan
from oee.advice.gain.verdict import DaySeries, GainVerdict
from words import LANGUAGES, say
from words.actions import metric_text, verdict_text, why_text


class IntervalAnswer(TypedDict):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


class PlanAnswer(TypedDict):
    """What is measured. Dates are business dates, both ends included."""

    metric: str
    part: str
    name: Name
    better: Annotated[int, Field(description="1 where more is better, -1 where less is.")]
    before_from: str
    before_to: str
    work_from: str
    work_to: str
    after_from: str
    after_to: str
    settle_days: int
    controls: list[str]
    mix: bool
    expected_min: float
    fresh: Annotated[bool, Field(description="The baseline shares no day with those by which the finding was chosen.")]


class ToldAnswer(TypedDict):
    """What the plan can show with a power of 80 %."""

    effect: Annotated[
        float | None, Field(description="Least change in the metric's unit; of rates the share of a fall.")
    ]
    minutes: Annotated[float | None, Field(description="The same in minutes a week.")]
    level: float
    expected: float
    sees_expected: bool | None
    enough_days: Annotated[int | None, Field(description="Worked days of each window that would do.")]
    days_before: int
    days_after: int
    history: int
    controls: int


class FrozenAnswer(TypedDict):
    """A plan that was frozen."""

    at: str
    by: str
    digest: str


class SeriesAnswer(TypedDict):
    """The metric by business date, of single events one by one; control: mean of the controls."""

    day: list[str]
    value: list[float]
    control: list[float | None]
    after_from: str


class VerdictAnswer(TypedDict):
    """What was shown."""

    result: Annotated[str, Field(description="verified, likely, not_shown, worse or unknown.")]
    name: Name
    says: Name
    why: list[str]
    why_says: Name
    before: float | None
    after: float | None
    raw: float | None
    change: IntervalAnswer | None
    minutes: Annotated[IntervalAnswer | None, Field(description="Gained a week.")]
    pieces: Annotated[IntervalAnswer | None, Field(description="Null where ideal times are not verified.")]
    kwh: Annotated[
        IntervalAnswer | None, Field(description="Saved a week, of the metric `energy`, which gains no minutes.")
    ]
    guards: dict[str, IntervalAnswer]
    controls: dict[str, float]
    season: IntervalAnswer | None
    least: float | None
    days_needed: int | None
    days: list[int]
    dropped: list[int]
    setups_per_100h: list[float]
    changed_on: str | None
    changed_early: bool
    series: SeriesAnswer | None


class LaterAnswer(TypedDict):
    """Looked at again."""

    months: int
    held: str
    verdict: VerdictAnswer


class ActionAnswer(TypedDict):
    """An action."""

    id: str
    site: str
    machines: list[str]
    machine_names: list[Name]
    finding: str
    what: str
    method: str
    cause: str
    owner: str
    cost: float | None
    currency: str
    state: Annotated[str, Field(description="draft, registered, working, measuring, judged, standardised or given_up.")]
    state_name: Name
    exploratory: Annotated[bool, Field(description="A frozen plan was changed, or frozen too late: for ever.")]
    created: str
    created_by: str
    changed: str
    note: str
    plan: PlanAnswer
    told: ToldAnswer | None
    frozen: list[FrozenAnswer]
    judged: str | None
    verdict: VerdictAnswer | None
    first_verdict: Annotated[
        VerdictAnswer | None, Field(description="Of the plan that was registered first, which the total counts.")
    ]
    later: list[LaterAnswer]


class NoteAnswer(TypedDict):
    """A line of the history."""

    at: str
    who: str
    kind: str
    text: str


class FileAnswer(TypedDict):
    """A file."""

    id: str
    at: str
    who: str
    name: str
    media_type: str
    size: int


class ActionDetailAnswer(ActionAnswer):
    """An action with its history, its files, and what was measured so far."""

    history: list[NoteAnswer]
    files: list[FileAnswer]
    progress: SeriesAnswer | None


class TotalAnswer(TypedDict):
    """What all judged actions brought together, failures included."""

    minutes: IntervalAnswer
    shown_only: Annotated[float, Field(description="Of those that succeeded alone, which says too much.")]
    counts: dict[str, int]
    exploratory: int
    open: int


class ActionsAnswer(TypedDict):
    """Actions, the newest first, and their total."""

    rows: list[ActionAnswer]
    total: TotalAnswer


def actions(center: CenterState, viewer: Viewer, kept: Sequence[KeptAction], whole: GainTotal) -> ActionsAnswer:
    """The answer. Raises `UnknownSite`."""
    return {
        "rows": [action(center, viewer, item) for item in kept],
        "total": {
            "minutes": {"value": round(whole.minutes, 1), "low": round(whole.low, 1), "high": round(whole.high, 1)},
            "shown_only": round(whole.shown_only, 1),
            "counts": whole.counts,
            "exploratory": whole.exploratory,
            "open": whole.open,
        },
    }


def action(center: CenterState, viewer: Viewer, item: KeptAction) -> ActionAnswer:
    """One action. Raises `UnknownSite` for a site that the viewer may not see."""
    zone, record = zone_of(center, viewer, item.site), item.record
    state = record.state(site_today(center, item.site))
    names = _names(center, item.site, record.plan.machines)
    described = [site_machine(center.ledger_cache.sites, item.site, name) for name in record.plan.machines]
    return {
        "id": item.id,
        "site": item.site,
        "machines": list(record.plan.machines),
        "machine_names": [dict(known.name) if known else {} for known in described],
        "finding": record.finding,
        "what": record.terms.what,
        "method": record.terms.method,
        "cause": record.terms.cause,
        "owner": record.terms.owner,
        "cost": record.terms.cost,
        "currency": record.terms.currency,
        "state": state,
        "state_name": {lang: say(f"action_state.{state}", lang) for lang in LANGUAGES},
        "exploratory": record.exploratory,
        "created": iso(item.created_ns, zone),
        "created_by": item.created_by,
        "changed": iso(item.changed_ns, zone),
        "note": record.note,
        "plan": plan_answer(record.plan, names),
        "told": told_answer(record.told),
        "frozen": [{"at": iso(one.at_ns, zone), "by": one.by, "digest": one.digest} for one in record.registered],
        "judged": iso(record.judged_ns, zone) if record.judged_ns else None,
        "verdict": _verdict(record.plan, record.verdict, names),
        "first_verdict": _verdict(record.registered[0].plan, record.first, names) if record.registered else None,
        "later": [
            {"months": one.months, "held": one.held, "verdict": shown}
            for one in record.later
            if (shown := _verdict(record.plan, one.verdict, names))
        ],
    }


def detail(
    center: CenterState,
    viewer: Viewer,
    item: KeptAction,
    notes: Sequence[ActionNote],
    files: Sequence[ActionFile],
) -> ActionDetailAnswer:
    """One action with its history and files. Raises `UnknownSite`."""
    zone = zone_of(center, viewer, item.site)
    return {
        **action(center, viewer, item),
        "history": [{"at": iso(one.at_ns, zone), "who": one.who, "kind": one.kind, "text": one.text} for one in notes],
        "files": [
            {
                "id": one.id,
                "at": iso(one.at_ns, zone),
                "who": one.who,
                "name": one.name,
                "media_type": one.media_type,
                "size": one.size,
            }
            for one in files
        ],
        "progress": _series(item.record.progress),
    }


def flat(row: ActionAnswer) -> dict[str, Any]:
    """An action as a row of a table for other programs."""
    whole: Mapping[str, Any] = row
    plan, verdict = whole["plan"], whole["verdict"]
    kept = ("id", "site", "machines", "finding", "what", "owner", "cost", "currency", "state", "exploratory")
    out = {name: whole[name] for name in kept}
    out |= {name: plan[name] for name in ("metric", "part", "controls", "expected_min")}
    ends = [f"{window}_{end}" for window in ("before", "work", "after") for end in ("from", "to")]
    out |= {name: plan[name] for name in ends}
    out["registered_at"] = whole["frozen"][0]["at"] if whole["frozen"] else None
    out["digest"] = whole["frozen"][-1]["digest"] if whole["frozen"] else None
    out["result"] = verdict["result"] if verdict else None
    for name in ("change", "minutes", "pieces", "kwh"):
        limits = verdict[name] if verdict else None
        out |= {name if end == "value" else f"{name}_{end}": limits and limits[end] for end in ("value", "low", "high")}
    return out


def plan_answer(plan: GainPlan, names: Mapping[str, Mapping[str, str]]) -> PlanAnswer:
    """What is measured. names: of products and reasons by language."""
    return {
        "metric": plan.metric,
        "part": plan.part,
        "name": {lang: metric_text(plan.metric, plan.part, lang, names[lang]) for lang in LANGUAGES},
        "better": METRICS[plan.metric].better,
        "before_from": plan.before.first.isoformat(),
        "before_to": plan.before.last.isoformat(),
        "work_from": plan.work.first.isoformat(),
        "work_to": plan.work.last.isoformat(),
        "after_from": plan.after.first.isoformat(),
        "after_to": plan.after.last.isoformat(),
        "settle_days": plan.settle_days,
        "controls": list(plan.controls),
        "mix": plan.mix,
        "expected_min": plan.expected_min,
        "fresh": plan.is_fresh,
    }


def told_answer(told: Detectable | None) -> ToldAnswer | None:
    """What a plan can show; None where there is no history."""
    if told is None:
        return None
    return {
        "effect": told.effect if math.isfinite(told.effect) else None,
        "minutes": told.minutes if math.isfinite(told.minutes) else None,
        "level": told.level,
        "expected": told.expected,
        "sees_expected": told.sees_expected,
        "enough_days": told.enough,
        "days_before": told.days[0],
        "days_after": told.days[1],
        "history": told.history,
        "controls": told.controls,
    }


def _verdict(
    plan: GainPlan, verdict: GainVerdict | None, names: Mapping[str, Mapping[str, str]]
) -> VerdictAnswer | None:
    if verdict is None:
        return None
    effect = verdict.effect
    out: VerdictAnswer = {
        "result": verdict.result,
        "name": {lang: say(f"action_result.{verdict.result}", lang) for lang in LANGUAGES},
        "says": {},
        "why": list(verdict.why),
        "why_says": {lang: " ".join(why_text(key, lang) for key in verdict.why) for lang in LANGUAGES},
        "before": effect.before if effect else None,
        "after": effect.after if effect else None,
        "raw": effect.raw if effect else None,
        "change": _interval(effect.change if effect else None),
        "minutes": _interval(verdict.minutes),
        "pieces": _interval(verdict.pieces),
        "kwh": _interval(verdict.kwh),
        "guards": {name: shown for name, item in verdict.guards.items() if (shown := _interval(item))},
        "controls": dict(effect.controls) if effect else {},
        "season": _interval(verdict.season),
        "least": verdict.least,
        "days_needed": verdict.days_needed,
        "days": list(verdict.days),
        "dropped": list(verdict.dropped),
        "setups_per_100h": list(verdict.setups),
        "changed_on": _day(verdict.timing.day) if verdict.timing else None,
        "changed_early": verdict.timing.is_early if verdict.timing else False,
        "series": _series(verdict.series),
    }
    out["says"] = {lang: verdict_text(plan.metric, plan.part, out, lang, names[lang]) for lang in LANGUAGES}
    return out


def _interval(item: Interval | None) -> IntervalAnswer | None:
    return None if item is None else {"value": item.value, "low": item.low, "high": item.high}


def _series(item: DaySeries | None) -> SeriesAnswer | None:
    if item is None:
        return None
    return {
        "day": [_day(day) for day in item.day],
        "value": list(item.value),
        "control": list(item.control),
        "after_from": _day(item.after_from),
    }


def _day(number: int) -> str:
    return (EPOCH + timedelta(number)).isoformat()


def date_of(text: str) -> date:
    """A date of an answer."""
    return date.fromisoformat(text)


def _names(center: CenterState, site: str, machines: Sequence[str]) -> dict[str, dict[str, str]]:
    """Names of products and reasons of the machines' site bodies, by language."""
    out: dict[str, dict[str, str]] = {lang: {} for lang in LANGUAGES}
    for machine in machines:
        body = center.ledger_cache.sites.body_of(site, machine)
        if body is None:
            continue
        named = {key: product.name for key, product in body.products.items()}
        named |= {key: reason.name for key, reason in body.reasons.items()}
        for key, name in named.items():
            for lang in LANGUAGES:
                if name.get(lang):
                    out[lang][key] = str(name[lang])
    return out
