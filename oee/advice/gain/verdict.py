"""The verdict about an action: what was shown, how much it is worth, and when more could be said. Pure."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np

from oee.advice.gain.detectable import least_fall, least_shift, shown_by
from oee.advice.gain.effect import (
    ChangeDate,
    Effect,
    Interval,
    Pair,
    daily,
    rate_effect,
    ratio_effect,
    shift_effect,
    timing,
)
from oee.advice.gain.measured import EPOCH, DayRatios, Measured, MeasuredPair
from oee.advice.gain.metrics import METRICS
from oee.advice.gain.plan import LEAST_DAYS, GainPlan
from oee.advice.statistics.ratios import detectable_effect

Result = Literal["verified", "likely", "not_shown", "worse", "unknown"]
"""verified: wholly on the good side, with controls or a stable season, guards hold; likely: the same without these, or with
90 % only; not_shown: the interval contains no change; worse: wholly on the bad side, or the OEE fell; unknown: cannot be
judged.
"""
GOOD: Final = ("verified", "likely")


@dataclass(frozen=True)
class DaySeries:
    """The picture: business dates [days since 1970-01-01], the metric of each and the mean of the controls (None without);
    of single events their dates and lengths. after_from: the first date of the window after.
    """

    day: tuple[int, ...]
    value: tuple[float, ...]
    control: tuple[float | None, ...]
    after_from: int


@dataclass(frozen=True)
class GainVerdict:
    """result; why: keys of `action_why.<key>`, what speaks against more or for nothing. minutes, pieces: gained a week, with
    their intervals; pieces None where ideal times are not verified. guards: change of the OEE and of good ideal minutes a
    week. season: the same weeks a year before. least: the least effect that could have been seen; days_needed: worked days
    after with which a change of this size would be shown, None if never. setups: changeovers per 100 h of B, before and after;
    days, dropped: worked and odd days of both windows.
    """

    result: Result
    why: tuple[str, ...]
    effect: Effect | None = None
    minutes: Interval | None = None
    pieces: Interval | None = None
    kwh: Interval | None = None
    guards: Mapping[str, Interval] = field(default_factory=dict)
    season: Interval | None = None
    timing: ChangeDate | None = None
    least: float | None = None
    days_needed: int | None = None
    setups: tuple[float, float] = (0.0, 0.0)
    days: tuple[int, int] = (0, 0)
    dropped: tuple[int, int] = (0, 0)
    series: DaySeries | None = None


def judge(
    plan: GainPlan,
    pair: MeasuredPair,
    *,
    season: Pair | None = None,
    verified_ideals: bool = False,
    not_comparable: tuple[str, ...] = (),
) -> GainVerdict:
    """The verdict of a plan on what was measured. season: the same machines and weeks a year before, None if not known;
    not_comparable: why the windows cannot be compared (`action_why.<key>`), empty if they can.
    """
    before, after = pair.before, pair.after
    seen = GainVerdict(
        "unknown",
        (),
        days=(len(before.day), len(after.day)),
        dropped=(before.dropped, after.dropped),
        setups=(_setups(before), _setups(after)),
        series=series(pair),
    )
    against = [*not_comparable, *dict.fromkeys((*before.why_not, *after.why_not))]
    if min(seen.days) < LEAST_DAYS:
        against.append("few_days")
    if METRICS[plan.metric].kind == "ratio" and (before.ratios is None or after.ratios is None):
        against.append("no_power" if METRICS[plan.metric].gains == "kwh" else "unjudged")
    effect = effect_of(plan, before, after, pair.controls) if not against else None
    if effect is None:
        return replace(seen, why=tuple(against) or (_nothing(plan, before),))
    minutes = _a_week(plan, effect, before, after)
    kwh = minutes if METRICS[plan.metric].gains == "kwh" else None
    guards = _guards(plan, pair)
    year_ago = effect_of(plan, *season, {}) if season else None
    result, why = _result(plan, effect, guards, year_ago)
    return replace(
        seen,
        result=result,
        why=why,
        effect=effect,
        minutes=None if kwh else minutes,
        kwh=kwh,
        pieces=minutes.scaled(_pieces(plan.metric, after)) if verified_ideals and not kwh else None,
        guards=guards,
        season=year_ago.change if year_ago else None,
        timing=_timing(plan, pair, effect),
        least=_least(plan, effect, before, after),
        days_needed=shown_by(plan, effect, before, after) if result == "not_shown" else None,
    )


def effect_of(plan: GainPlan, before: Measured, after: Measured, controls: Mapping[str, Pair]) -> Effect | None:
    """The change by the plan's metric."""
    kind = METRICS[plan.metric].kind
    if kind == "ratio":
        return ratio_effect(before, after, controls, mix=plan.mix)
    if kind == "shift":
        return shift_effect(before, after, controls, mix=plan.mix)
    return rate_effect(before, after, controls)


def _nothing(plan: GainPlan, before: Measured) -> str:
    """Why there is no effect although there are days."""
    if METRICS[plan.metric].kind == "ratio":
        return "mix"
    return "few_events" if METRICS[plan.metric].kind == "rate" or len(before.events.minutes) < 4 else "mix"


def _result(
    plan: GainPlan, effect: Effect, guards: Mapping[str, Interval], year_ago: Effect | None
) -> tuple[Result, tuple[str, ...]]:
    better = METRICS[plan.metric].better
    why: list[str] = []
    if effect.raw is not None and effect.raw * (effect.change.value - effect.null) < 0:
        why.append("mix_sign")
    if effect.left_out:
        why.append("control_left_out")
    if _is_beyond(effect.change, effect.null, -better):
        return "worse", tuple(why)
    good, nearly = (_is_beyond(item, effect.null, better) for item in (effect.change, effect.change_90))
    fell = [f"guard_{name}" for name, item in guards.items() if item.high < 0]
    if nearly and "guard_oee" in fell:
        return "worse", (*why, *fell)
    if not nearly:
        return "not_shown", tuple(why)
    stable = year_ago is not None and year_ago.change.low <= year_ago.null <= year_ago.change.high
    if not (effect.backed or stable):
        why.append("no_control" if not effect.controls else "control_moved")
    if not plan.is_fresh:
        why.append("chosen_days")
    if not good:
        why.append("ninety")
    why += fell  # fewer good minutes with the same OEE: another schedule, or fewer orders
    sure = good and not fell and plan.is_fresh and (effect.backed or stable)
    return "verified" if sure else "likely", tuple(why)


def _is_beyond(limits: Interval, null: float, side: int) -> bool:
    """Whether an interval lies wholly on this side of no change."""
    return limits.low > null if side > 0 else limits.high < null


def _a_week(plan: GainPlan, effect: Effect, before: Measured, after: Measured) -> Interval:
    """What the change is worth a week, in minutes or what else its metric `gains`."""
    metric, weeks = METRICS[plan.metric], after.weeks or 1.0
    if metric.kind == "ratio":
        den = after.ratios.den.sum() if after.ratios else 0.0
        return effect.change.scaled(metric.better * float(den) / weeks)
    if metric.kind == "shift":
        return effect.change.scaled(metric.better * effect.n_after / weeks)
    lengths = np.concatenate([before.events.minutes, after.events.minutes])
    expected = effect.before / 100 * float(after.unit_h.sum()) / weeks * float(lengths.mean())
    change = effect.change
    return Interval(1 - change.value, 1 - change.high, 1 - change.low).scaled(expected)


def _pieces(metric: str, after: Measured) -> float:
    """Good pieces that a gained minute brings at the pace and quality of the window after."""
    good, made, pieces = (float(column.sum()) for column in (after.good_min, after.made_min, after.pieces))
    running, minor = float(after.running_min.sum()), float(after.minor_min.sum())
    if not min(good, made, pieces, running) > 0:
        return 0.0
    a_minute = pieces / made  # of ideal time
    share = {"oee": 1.0, "reject": 1.0, "edge": 1.0, "speed": good / made, "minor": good / running}
    return a_minute * share.get(metric, good / (running + minor))


def _guards(plan: GainPlan, pair: MeasuredPair) -> dict[str, Interval]:
    """What must not fall: the OEE, and good ideal minutes a week."""
    out: dict[str, Interval] = {}
    if plan.metric != "oee" and (found := _guarded(pair, _as_oee, mix=plan.mix)):
        out["oee"] = found.change
    if found := _guarded(pair, _as_good, mix=False):
        a_week = len(pair.after.day) / (pair.after.weeks or 1.0)
        out["good"] = found.change.scaled(a_week)
    return out


def _guarded(pair: MeasuredPair, of: Callable[[Measured], Measured], *, mix: bool) -> Effect | None:
    controls = {name: (of(item[0]), of(item[1])) for name, item in pair.controls.items()}
    return ratio_effect(of(pair.before), of(pair.after), controls, mix=mix)


def _as_oee(item: Measured) -> Measured:
    return replace(item, ratios=item.oee)


def _as_good(item: Measured) -> Measured:
    made = item.good_min[None, :]
    return replace(item, ratios=DayRatios(("",), made, np.ones_like(made)) if item.oee is not None else None)


def _timing(plan: GainPlan, pair: MeasuredPair, effect: Effect) -> ChangeDate | None:
    if METRICS[plan.metric].kind != "ratio":
        return None
    used = [pair.controls[name] for name in effect.controls]
    return timing(pair.before, pair.after, used, effect.omega, (plan.work.first - EPOCH).days)


def _least(plan: GainPlan, effect: Effect, before: Measured, after: Measured) -> float | None:
    """The least effect that these windows could have shown; of rates as a share."""
    kind = METRICS[plan.metric].kind
    if kind == "ratio":
        least = detectable_effect(effect.omega, effect.n_before, effect.n_after, level=plan.level)
    elif kind == "rate":
        usual = effect.n_before / float(before.unit_h.sum()) * float(after.unit_h.sum())
        least = least_fall(effect.n_before, usual, plan.level)
    else:
        sd = float(before.events.minutes.std(ddof=1))
        least = least_shift(sd, effect.n_before, effect.n_after, plan.level)
    return least if math.isfinite(least) else None


def _setups(item: Measured) -> float:
    busy_h = float(item.busy_min.sum()) / 60
    return 100 * item.setups / busy_h if busy_h else 0.0


def series(pair: MeasuredPair) -> DaySeries:
    """What the picture of a measurement shows, as far as there are days."""
    parts = []
    for k, item in enumerate((pair.before, pair.after)):
        if item.ratios is None:
            beside = np.full(len(item.events.day), math.nan)
            parts.append((item.events.day, item.events.minutes, beside))
        else:
            parts.append(daily(item, [controls[k] for controls in pair.controls.values()]))
    day, value, control = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    first = int(parts[1][0][0]) if len(parts[1][0]) else int(day[-1]) + 1 if len(day) else 0
    return DaySeries(
        tuple(int(item) for item in day),
        tuple(float(item) for item in value),
        tuple(None if math.isnan(item) else float(item) for item in control),
        first,
    )
