"""What an action brought: worked examples by way of plan and verdict, rules of honesty, the life of an action."""

import json
import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np
import pytest
from examples import examples
from histories import CALENDAR, DAY_NS, NULL, START_NS, history
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_days import FIRST, after_of, measured
from test_statistics import (
    BUSY_AFTER,
    BUSY_BEFORE,
    CONTROL_AFTER,
    CONTROL_BEFORE,
    GOOD_AFTER,
    GOOD_BEFORE,
    SETUPS_AFTER,
    SETUPS_BEFORE,
    exactly,
    moods,
    of_days,
)

from oee.advice.gain import action
from oee.advice.gain.action import ActionRecord, ActionTerms, NotNow, due, judged, total
from oee.advice.gain.detectable import Detectable, detectable, least_fall
from oee.advice.gain.effect import Interval, ratio_effect, timing
from oee.advice.gain.measured import (
    EPOCH,
    NO_EVENTS,
    DayRatios,
    MeasuredEvents,
    MeasuredPair,
    measure,
    span_ns,
    together,
    worked_days,
)
from oee.advice.gain.metrics import METRICS, attacked
from oee.advice.gain.plan import Days, GainPlan, complaints, digest, plain_plan, plan_of
from oee.advice.gain.verdict import GainVerdict, judge
from oee.advice.gain.written import action_of, plain_action
from oee.advice.window import machine_window, part_of
from oee.advice.written import NewerFormat
from oee.model.facts import FACT

PLAN = GainPlan(
    "van-long",
    ("m-1",),
    "oee",
    "",
    Days(date(2026, 2, 2), date(2026, 2, 28)),
    Days(date(2026, 3, 2), date(2026, 3, 3)),
    Days(date(2026, 3, 7), date(2026, 4, 4)),
)
TERMS = ActionTerms("Danh mục kiểm tra đầu ca", "Lan")


OWN = MeasuredPair(measured(GOOD_BEFORE, BUSY_BEFORE), after_of(GOOD_AFTER, BUSY_AFTER))
CONTROL = measured(*CONTROL_BEFORE), after_of(*CONTROL_AFTER)


def test_e1_alone_is_likely_at_most():
    verdict = judge(PLAN, OWN)
    assert (verdict.effect.before, verdict.effect.after) == (exactly(0.594828), exactly(0.661661))
    change = verdict.effect.change
    assert (change.value, change.low, change.high) == (exactly(0.066833), exactly(0.052393), exactly(0.081273))
    assert verdict.effect.omega == exactly(0.000162)
    assert (verdict.result, verdict.why) == ("likely", ("no_control",))
    a_week = sum(BUSY_AFTER) / 2
    assert verdict.minutes.value == pytest.approx(change.value * a_week)
    assert verdict.minutes.low == pytest.approx(change.low * a_week)
    assert verdict.pieces is None
    assert judge(PLAN, OWN, verified_ideals=True).pieces.value == pytest.approx(verdict.minutes.value * 6 * 0.98)
    assert verdict.guards["good"].value == pytest.approx((sum(GOOD_AFTER) - sum(GOOD_BEFORE)) / 12 * 6)


def test_e2_a_control_makes_it_verified_and_smaller():
    verdict = judge(PLAN, replace(OWN, controls={"m-2": CONTROL}))
    change = verdict.effect.change
    assert (change.value, change.low, change.high) == (exactly(0.045636), exactly(0.035438), exactly(0.055833))
    assert verdict.effect.controls == {"m-2": exactly(0.021197)}
    assert (verdict.result, verdict.why) == ("verified", ())
    assert all(value is not None for value in verdict.series.control)
    stale = replace(PLAN, chosen=PLAN.before)
    assert judge(stale, replace(OWN, controls={"m-2": CONTROL})).why == ("chosen_days",)
    mirrored = MeasuredPair(OWN.after, OWN.before, {"m-2": CONTROL[::-1]})
    assert judge(PLAN, mirrored).result == "worse"


def of_twelve(*totals):
    """Totals of products as twelve days that each differ a little, but add up to the totals."""
    shares = np.array([0.24, 0.26, 0.23, 0.27] * 3) / 3
    return np.array([t * shares for t in totals])


def test_e3_the_mix_hid_a_gain():
    pair = MeasuredPair(
        measured(of_twelve(4320, 2200), of_twelve(6000, 4000), products=("A", "B")),
        after_of(of_twelve(1776, 4640), of_twelve(2400, 8000), products=("A", "B")),
    )
    verdict = judge(PLAN, pair)
    assert verdict.effect.raw == exactly(-0.0350769231)
    assert (verdict.effect.before, verdict.effect.after) == (exactly(0.62), exactly(0.6458823529))
    assert verdict.effect.change.value == exactly(0.0258823529)
    assert "mix_sign" in verdict.why
    assert judge(replace(PLAN, mix=False), pair).effect.change.value == exactly(-0.0350769231)
    other = replace(pair.after, ratios=replace(pair.after.ratios, products=("C", "D")))
    assert judge(PLAN, replace(pair, after=other)).why == ("mix",)


def changeovers(minutes, first, group="A→B"):
    days = first + np.arange(len(minutes)) % 12
    return MeasuredEvents(np.array(minutes, float), days, (group,) * len(minutes))


SETUP = replace(PLAN, metric="setup")


def test_e4_changeovers_became_shorter():
    pair = MeasuredPair(
        measured([1] * 12, [2] * 12, events=changeovers(SETUPS_BEFORE, FIRST)),
        after_of([1] * 12, [2] * 12, events=changeovers(SETUPS_AFTER, FIRST + 60), weeks=10 / 9),
    )
    pair = replace(pair, **{name: replace(getattr(pair, name), ratios=None) for name in ("before", "after")})
    verdict = judge(SETUP, pair)
    change = verdict.effect.change
    assert (change.value, change.low, change.high) == (-23, -35, -16)
    assert (verdict.minutes.value, verdict.minutes.low) == (pytest.approx(9 * 23), pytest.approx(9 * 16))
    assert (verdict.result, verdict.effect.n_before, verdict.effect.n_after) == ("likely", 12, 10)
    gone = replace(pair.after, events=replace(pair.after.events, group=("C→D",) * 10))
    assert judge(SETUP, replace(pair, after=gone)).result == "unknown"
    assert judge(SETUP, replace(pair, before=replace(pair.before, events=NO_EVENTS))).why == ("few_events",)


def test_changeovers_are_compared_with_those_of_the_same_pair():
    """Both pairs became 10 minutes shorter; that the long one is made more often now would hide it."""
    rng = np.random.default_rng(2)
    short, long = 30 + rng.normal(0, 3, 40), 80 + rng.normal(0, 3, 40)

    def events(first, few, many, less):
        minutes = np.r_[short[:few], long[:many]] - less
        days = first + np.arange(len(minutes)) % 12
        return MeasuredEvents(minutes, days, ("A→B",) * few + ("B→C",) * many)

    before = replace(measured([1] * 12, [2] * 12, events=events(FIRST, 30, 10, 0)), ratios=None)
    after = replace(after_of([1] * 12, [2] * 12, events=events(FIRST + 60, 10, 30, 10)), ratios=None)
    change = judge(SETUP, MeasuredPair(before, after)).effect.change
    assert change.low < -10 < change.high < -7
    raw = judge(replace(SETUP, mix=False), MeasuredPair(before, after)).effect.change
    assert raw.value > 20


@pytest.mark.parametrize(
    ("before", "after", "points"), [(6, 6, 2.73), (12, 12, 1.93), (24, 24, 1.23), (48, 48, 0.81), (24, 12, 1.57)]
)
def test_e5_what_can_be_seen_is_told_beforehand(before, after, points):
    """By the variance of E1: both windows as one history that has no step in it."""
    verdict = judge(PLAN, OWN)
    steady = np.array(GOOD_AFTER) - verdict.effect.change.value * np.array(BUSY_AFTER)
    for history_of in (OWN.before, replace(measured(steady, BUSY_AFTER))):
        told = detectable(replace(PLAN, expected_min=300), history_of, {}, (before, after))
        assert told.minutes == pytest.approx(told.effect * history_of.ratios.den.sum() / 2)
        assert told.history == 12
    pooled = np.mean([detectable(PLAN, item, {}, (before, after)).effect ** 2 for item in (OWN.before, OWN.after)])
    assert 100 * math.sqrt(pooled) == pytest.approx(points, abs=0.005)


def test_more_days_are_offered_where_the_expected_gain_cannot_be_seen():
    told = detectable(replace(PLAN, expected_min=100), OWN.before, {}, (12, 12))
    assert told.sees_expected is False
    assert 12 < told.enough < 24
    longer = detectable(replace(PLAN, expected_min=100), OWN.before, {}, (told.enough, told.enough))
    assert longer.sees_expected is True
    shorter = detectable(replace(PLAN, expected_min=100), OWN.before, {}, (told.enough - 1, told.enough - 1))
    assert shorter.sees_expected is False
    assert detectable(PLAN, OWN.before, {}, (12, 12)).sees_expected is None
    with_control = detectable(PLAN, OWN.before, {"m-2": CONTROL[0]}, (12, 12))
    assert with_control.controls == 1
    assert with_control.effect < told.effect, "days that both have in common vary less"
    assert detectable(PLAN, measured([1, 2, 3], [4, 5, 6]), {}, (12, 12)).effect == math.inf


FAILURES = replace(PLAN, metric="failures")


def failing(count, hours, first):
    events = MeasuredEvents(np.full(count, 30.0), first + np.arange(count) * 12 // max(count, 1), ("",) * count)
    return replace(measured([1] * 12, [2] * 12, first=first, events=events, hours=hours), ratios=None)


def test_e10_a_fall_by_two_thirds_is_not_yet_shown_and_it_says_when_it_can_be():
    pair = MeasuredPair(failing(14, 700, FIRST), failing(5, 680, FIRST + 60))
    verdict = judge(FAILURES, pair)
    change = verdict.effect.change
    assert (change.value, change.low, change.high) == (exactly(0.367647), exactly(0.103635), exactly(1.080165))
    assert verdict.result == "likely", "90 % only"
    assert verdict.why == ("no_control", "ninety")
    wider = MeasuredPair(failing(14, 700, FIRST), failing(6, 680, FIRST + 60))
    verdict = judge(FAILURES, wider)
    assert verdict.result == "not_shown"
    assert verdict.days_needed > 12
    more = verdict.days_needed / 12
    later = MeasuredPair(failing(14, 700, FIRST), failing(round(6 * more), 680 * more, FIRST + 60))
    assert judge(FAILURES, later).effect.change.high == pytest.approx(1, abs=0.05)
    assert judge(FAILURES, MeasuredPair(failing(9, 700, FIRST), failing(0, 680, FIRST + 60))).why == ("few_events",)
    none = judge(FAILURES, MeasuredPair(failing(14, 700, FIRST), failing(0, 680, FIRST + 60)))
    assert (none.effect.change.value, none.result) == (0, "likely")


def test_e6_repeats_are_no_failures_of_their_own():
    """A machine that fails again within 8 operating hours did not wear: it was not repaired."""
    whole = history(replace(NULL, weeks=12, failures_per_h=1 / 30, repeat=0.6), 5)
    failed, repaired = (measure(whole, metric, "") for metric in ("failures", "repair"))
    assert 10 < len(failed.events.minutes) < len(repaired.events.minutes)
    assert failed.unit_h.sum() == pytest.approx(
        sum(whole.column(f"{name}_ms").sum() for name in ("running", "minor_stop", "setup")) / 3.6e6
    )


def test_e9_few_failures_show_only_a_complete_end():
    """Nine failures in 600 h have limits of 35 to 146 h: a fall must be large to be seen."""
    assert least_fall(9, 9) == math.inf
    assert 0.6 < least_fall(14, 14) < 0.9
    assert least_fall(100, 100) < least_fall(20, 20) < least_fall(14, 14)


def test_weeks_that_differ_more_than_chance_widen_the_interval():
    steady = MeasuredPair(failing(24, 700, FIRST), failing(8, 680, FIRST + 60))
    burst = replace(steady.before.events, day=np.full(24, FIRST + 3))
    clustered = replace(steady, before=replace(steady.before, events=burst))
    narrow, wide = (judge(FAILURES, item).effect.change for item in (steady, clustered))
    assert wide.value == narrow.value
    assert wide.low < narrow.low < narrow.high < wide.high


# rules of honesty


def test_what_cannot_be_compared_is_not_judged():
    few = MeasuredPair(measured(GOOD_BEFORE[:11], BUSY_BEFORE[:11]), OWN.after)
    assert judge(PLAN, few).why == ("few_days",)
    assert judge(PLAN, OWN, not_comparable=("changed",)).why == ("changed",)
    untrusted = replace(OWN, after=replace(OWN.after, why_not=("coverage",)))
    assert (judge(PLAN, untrusted).result, judge(PLAN, untrusted).why) == ("unknown", ("coverage",))
    unjudged = replace(OWN, before=replace(OWN.before, ratios=None, oee=None))
    assert judge(PLAN, unjudged).why == ("unjudged",)
    assert judge(PLAN, untrusted).series == judge(PLAN, OWN).series


def test_a_loss_that_fell_while_the_oee_fell_is_no_gain():
    fewer = np.array(GOOD_AFTER) - 150
    after = replace(after_of(fewer, BUSY_AFTER), ratios=DayRatios(("A",), np.full((1, 12), 20.0), OWN.after.ratios.den))
    before = replace(OWN.before, ratios=DayRatios(("A",), np.full((1, 12), 60.0), OWN.before.ratios.den))
    loss = replace(PLAN, metric="loss", part="breakdown")
    verdict = judge(loss, MeasuredPair(before, after, {"m-2": CONTROL}))
    assert verdict.result == "worse"
    assert "guard_oee" in verdict.why


def test_a_stable_season_is_as_good_as_a_control():
    same = measured(GOOD_BEFORE, BUSY_BEFORE), after_of(GOOD_BEFORE[::-1], BUSY_BEFORE[::-1])
    verdict = judge(PLAN, OWN, season=same)
    assert (verdict.result, verdict.why) == ("verified", ())
    assert verdict.season.low < 0 < verdict.season.high
    assert judge(PLAN, OWN, season=(OWN.before, OWN.after)).result == "likely"


def test_a_control_with_other_days_is_left_out():
    late = measured(*CONTROL_BEFORE, first=FIRST + 6), CONTROL[1]
    verdict = judge(PLAN, replace(OWN, controls={"m-2": CONTROL, "m-3": late}))
    assert verdict.effect.left_out == ("m-3",)
    assert "control_left_out" in verdict.why
    assert verdict.effect.change == judge(PLAN, replace(OWN, controls={"m-2": CONTROL})).effect.change


def test_a_change_that_began_before_the_work_is_said():
    rng = np.random.default_rng(8)
    busy = np.full(24, 900.0)
    good = 900 * (0.6 + rng.normal(0, 0.01, 24) + np.where(np.arange(24) < 10, 0, 0.1))
    before, after = measured(good, busy), measured(good + 90, busy, first=FIRST + 24)
    found = timing(
        before,
        replace(after, ratios=DayRatios(("A",), good[None, -1:] + 0 * busy, after.ratios.den)),
        (),
        1e-4,
        FIRST + 26,
    )
    assert found.day == FIRST + 10
    assert found.since_work == -16
    assert found.is_early


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"machines": ()}, "machines"),
        ({"metric": "luck"}, "metric"),
        ({"metric": "loss", "part": "running"}, "part"),
        ({"metric": "edge", "part": ""}, "part"),
        ({"before": Days(date(2026, 2, 20), date(2026, 2, 28))}, "before"),
        ({"work": Days(date(2026, 2, 28), date(2026, 3, 3))}, "work"),
        ({"settle_days": 9}, "after"),
        ({"controls": ("m-1",)}, "controls"),
        ({"controls": ("a", "b", "c", "d")}, "controls"),
        ({"expected_min": -1.0}, "expected"),
        ({"after": Days(date(2026, 3, 7), date(2026, 12, 4))}, "long"),
        ({"before": Days(date(2023, 2, 2), date(2023, 2, 28))}, "old"),
    ],
)
def test_a_plan_that_says_nothing_is_refused(change, complaint):
    assert complaints(PLAN) == []
    assert complaint in complaints(replace(PLAN, **change))


def test_a_plan_keeps_its_digest_and_every_change_changes_it():
    again = plan_of(json.loads(json.dumps(plain_plan(PLAN))))
    assert (again, digest(again)) == (PLAN, digest(PLAN))
    changes = [
        {"metric": "speed"},
        {"after": PLAN.after.moved(1)},
        {"controls": ("m-2",)},
        {"mix": False},
        {"chosen": PLAN.before},
        {"version": 2},
    ]
    assert len({digest(replace(PLAN, **change)) for change in changes} | {digest(PLAN)}) == 7


def test_every_rule_has_something_to_be_measured_by():
    from oee.advice.catalogue import rules

    for rule in rules().values():
        metric, part = attacked(rule.key, ("machine",), frozenset({"setup"}))
        assert complaints(replace(PLAN, metric=metric, part=part)) == [], rule.key
    assert attacked("slow_start", ("after_break",), frozenset()) == ("edge", "after_break")
    assert attacked("changeover_tail", ("A", "B"), frozenset()) == ("setup", "A→B")
    assert attacked("unheard_of", (), frozenset({"starved"})) == ("loss", "starved")
    assert attacked("unheard_of", (), frozenset({"starved", "setup"})) == ("oee", "")
    assert set(METRICS) >= {"oee", "loss"}


# the life of an action


def at(day):
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 10**9


BEFORE_WORK, MEASURING = at(date(2026, 3, 1)), at(date(2026, 3, 20))
TOLD = Detectable(0.02, 90.0, 0.6, 0.03, (24, 25), 30, 48, 0)
GOOD_VERDICT = judge(PLAN, replace(OWN, controls={"m-2": CONTROL}))
DRAFT = ActionRecord(TERMS, PLAN)


def test_what_is_registered_passes_through_its_states_and_is_judged_once():
    record = action.registered(DRAFT, TOLD, "minh", BEFORE_WORK)
    assert not record.exploratory
    assert record.registered[0].digest == digest(PLAN)
    days = [date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 6), date(2026, 3, 7), date(2026, 4, 30)]
    assert [record.state(day) for day in days] == ["registered", "working", "working", "measuring", "measuring"]
    assert due(record, PLAN.after.last + timedelta(2)) == []
    (what,) = due(record, PLAN.after.last + timedelta(3))
    done = judged(record, what, GOOD_VERDICT, 5)
    assert (done.stage, done.judged_ns, done.counted) == ("judged", 5, GOOD_VERDICT)
    assert judged(done, what, replace(GOOD_VERDICT, result="worse"), 6) == done
    assert [item.months for item in due(done, date(2026, 12, 31))] == [3, 6]
    three = due(done, date(2026, 7, 10))[0]
    later = judged(done, three, replace(GOOD_VERDICT, result="not_shown"), 7)
    assert [(item.months, item.held) for item in later.later] == [(3, "faded")]
    assert [item.months for item in due(later, date(2026, 12, 31))] == [6]
    assert len(PLAN.check_window(3)) == len(PLAN.after)
    assert due(replace(done, verdict=replace(GOOD_VERDICT, result="worse")), date(2026, 12, 31)) == []
    assert action.standardised(done, "WI-7 rev. 3").stage == "standardised"


def test_a_frozen_plan_cannot_be_changed_without_becoming_exploratory_for_ever():
    record = action.registered(DRAFT, TOLD, "minh", BEFORE_WORK)
    longer = replace(PLAN, after=Days(PLAN.after.first, PLAN.after.last + timedelta(7)))
    with pytest.raises(NotNow, match="frozen"):
        action.edited(record, TERMS, longer)
    assert action.edited(record, replace(TERMS, owner="Hoa"), PLAN).plan == PLAN
    with pytest.raises(NotNow, match="not_draft"):
        action.registered(record, TOLD, "minh", MEASURING)
    with pytest.raises(NotNow, match="same_plan"):
        action.revised(record, PLAN, TOLD, "minh", MEASURING)
    changed = action.revised(record, longer, TOLD, "minh", BEFORE_WORK + 1)
    assert changed.exploratory
    assert [item.plan for item in changed.registered] == [PLAN, longer]
    back = action.revised(changed, PLAN, TOLD, "minh", BEFORE_WORK + 2)
    assert back.exploratory, "going back does not undo it"
    whole = date(2026, 12, 31)
    first = next(item for item in due(changed, whole) if item.number == 0)
    assert first.plan == PLAN
    bad = judged(changed, first, replace(GOOD_VERDICT, result="worse"), 1)
    both = judged(bad, next(item for item in due(bad, whole) if item.number == 1), GOOD_VERDICT, 2)
    assert (both.verdict.result, both.counted.result, both.exploratory) == ("verified", "worse", True)


def test_a_plan_that_is_registered_while_it_is_measured_is_exploratory():
    assert action.registered(DRAFT, TOLD, "minh", MEASURING).exploratory
    assert not action.registered(DRAFT, TOLD, "minh", at(PLAN.after.first) - 1).exploratory
    assert action.registered(DRAFT, TOLD, "minh", at(PLAN.after.first)).exploratory


def test_giving_up_does_not_hide_a_failure():
    record = action.given_up(action.registered(DRAFT, TOLD, "minh", BEFORE_WORK), "hết tiền")
    (what,) = due(record, date(2026, 5, 1))
    done = judged(record, what, replace(GOOD_VERDICT, result="worse"), 1)
    assert (done.stage, done.counted.result) == ("given_up", "worse")
    assert due(action.given_up(DRAFT, "x"), date(2026, 5, 1)) == []
    for step, code in (
        (lambda: action.given_up(record, "x"), "over"),
        (lambda: action.given_up(DRAFT, " "), "no_note"),
        (lambda: action.standardised(DRAFT, "x"), "not_judged"),
        (lambda: action.revised(DRAFT, PLAN, None, "m", 1), "not_registered"),
    ):
        with pytest.raises(NotNow, match=code):
            step()


def test_an_effect_on_the_days_it_was_chosen_by_is_not_fresh():
    assert PLAN.is_fresh
    assert not replace(PLAN, chosen=Days(date(2026, 1, 1), PLAN.before.first)).is_fresh
    assert replace(PLAN, chosen=Days(date(2026, 1, 1), date(2026, 2, 1))).is_fresh
    assert replace(PLAN, chosen=Days(date(2026, 3, 1), date(2026, 3, 5))).is_fresh, "older history"


def done(minutes, result="verified", exploratory=False):
    limits = None if minutes is None else Interval(minutes, minutes - 30, minutes + 40)
    verdict = GainVerdict(result, (), minutes=limits)
    record = replace(action.registered(DRAFT, TOLD, "m", BEFORE_WORK), stage="judged", verdict=verdict)
    return replace(record, registered=record.registered * 2, first=verdict) if exploratory else record


def test_the_total_counts_failures_too():
    found = total(
        [
            done(100.0),
            done(-40.0, "worse"),
            done(15.0, "not_shown", exploratory=True),
            done(None, "unknown"),
            DRAFT,
            action.registered(DRAFT, TOLD, "m", BEFORE_WORK),
        ]
    )
    assert (found.minutes, found.shown_only) == (75, 100)
    assert (found.low, found.high) == (pytest.approx(75 - 30 * 3**0.5), pytest.approx(75 + 40 * 3**0.5))
    assert found.counts == {"verified": 1, "likely": 0, "not_shown": 1, "worse": 1, "unknown": 1}
    assert (found.exploratory, found.open) == (1, 1)
    assert total([]).minutes == 0


@given(st.booleans(), st.floats(0, 1e9), st.none() | st.floats(0, 1e9))
def test_what_is_written_is_read_again(exploratory, minutes, cost):
    record = replace(done(minutes, exploratory=exploratory), terms=replace(TERMS, cost=cost))
    record = replace(record, later=(action.Later(3, "held", GOOD_VERDICT),), progress=GOOD_VERDICT.series)
    record = replace(record, told=replace(TOLD, effect=math.inf))
    plain = json.loads(json.dumps(plain_action(record), allow_nan=False))
    assert action_of(plain) == record
    with pytest.raises(NewerFormat, match="update"):
        action_of(plain | {"format": 2})


# out of a machine's columns


def window_of(plan, seed, weeks):
    """A history and the days of these weeks, of two weeks before as context."""
    whole = history(plan, seed)
    first, last = (date(2026, 1, 5) + timedelta(7 * week) for week in weeks)
    low, high = span_ns(CALENDAR, Days(first, last - timedelta(1)))
    return part_of(whole, low, high)


@pytest.mark.parametrize("metric", sorted(METRICS))
def test_each_metric_is_computed_from_facts_and_stops(metric):
    part = {"loss": "breakdown/jam", "edge": "shift_start"}.get(metric, "")
    window = window_of(replace(NULL, weeks=8, failures_per_h=1 / 10), 1, (1, 7))
    found = measure(window, metric, part)
    assert len(found.day) == 36 == worked_days(CALENDAR, Days(date(2026, 1, 12), date(2026, 2, 22)))
    assert found.why_not == ()
    assert found.weeks == pytest.approx(window.weeks)
    if METRICS[metric].kind == "ratio":
        value = found.ratios.num.sum() / found.ratios.den.sum()
        low, high = {
            "edge": (-5, 5),
            "loss": (0.01, 0.2),
            "minor": (0.01, 0.2),
            "reject": (0.019, 0.021),
            "energy": (0.02, 0.06),
        }.get(metric, (0.5, 1))
        assert low < value < high
    else:
        assert len(found.events.minutes) == len(found.events.day) == len(found.events.group) > 10
        assert np.isin(found.events.day, found.day).all()


def with_power(window, power_kw):
    return replace(window, beside=replace(window.beside, power_kw=power_kw))


def test_energy_is_that_of_all_hours_and_belongs_to_the_product_that_was_made():
    window = window_of(replace(NULL, weeks=5), 2, (1, 4))
    power = window.beside.power_kw
    found = measure(window, "energy", "").ratios
    assert found.products == ("A", "B")
    assert found.num.sum() == pytest.approx(power.sum() / 60, rel=1e-9), "every minute is somebody's"
    sums = window.facts.sums.sum(axis=0)
    assert found.den.sum() == sums[FACT["pieces_judged"]] - sums[FACT["pieces_process_reject"]]
    a_alone = with_power(window, np.where(window.product == 0, power, 0.0))
    assert measure(a_alone, "energy", "").ratios.num[1].sum() == 0
    assert measure(with_power(window, None), "energy", "").ratios is None


def test_a_day_of_which_power_is_hardly_known_is_left_out_and_a_short_gap_is_as_the_rest():
    window = window_of(replace(NULL, weeks=5), 2, (1, 4))
    power = np.full(len(window.product), 3.0)
    whole = measure(with_power(window, power), "energy", "").ratios
    power[5 * 1440 : 5 * 1440 + 60] = np.nan
    power[9 * 1440 : 9 * 1440 + 600] = np.nan
    holed = measure(with_power(window, power), "energy", "").ratios
    kept = holed.den.sum(axis=0) > 0
    assert (~kept).sum() == 1
    assert holed.num.sum(axis=0)[kept] == pytest.approx(whole.num.sum(axis=0)[kept])
    assert (holed.num[:, ~kept] == 0).all()


def test_power_that_is_switched_off_is_told_in_kwh_a_week_and_promises_no_minutes():
    plan = replace(PLAN, metric="energy", part="", before=Days(date(2026, 1, 12), date(2026, 2, 7)))
    plan = replace(plan, work=Days(date(2026, 2, 8), date(2026, 2, 8)), settle_days=0)
    plan = replace(plan, after=Days(date(2026, 2, 9), date(2026, 3, 7)), expected_min=60.0)
    windows = [window_of(replace(NULL, weeks=10, idle_kw=kw), 3, of) for kw, of in ((4.0, (1, 5)), (1.0, (5, 9)))]
    before, after = (measure(window, "energy", "") for window in windows)
    verdict = judge(plan, MeasuredPair(before, after), verified_ideals=True)
    idle = windows[1].beside.power_kw == 1.0
    true_kwh = 3.0 * idle.sum() / 60 / after.weeks
    assert verdict.result == "likely", verdict.why
    assert verdict.kwh.low < true_kwh < verdict.kwh.high
    assert verdict.kwh.low > 0.5 * true_kwh
    assert (verdict.minutes, verdict.pieces) == (None, None)
    told = detectable(plan, before, {}, (24, 24))
    assert told.effect < before.ratios.num.sum() / before.ratios.den.sum() / 4
    assert (told.minutes, told.sees_expected) == (math.inf, None)
    silent = judge(plan, MeasuredPair(replace(before, ratios=None), replace(after, ratios=None)))
    assert (silent.result, silent.why) == ("unknown", ("no_power",))
    record = replace(done(0.0), verdict=verdict, first=verdict)
    assert action_of(json.loads(json.dumps(plain_action(record), allow_nan=False))) == record
    assert total([record]).minutes == 0


def test_what_an_earlier_version_wrote_has_no_energy():
    plain = json.loads(json.dumps(plain_action(done(5.0)), allow_nan=False))
    del plain["verdict"]["kwh"]
    assert action_of(plain) == done(5.0)


def test_time_of_a_reason_is_that_of_its_state_if_there_is_no_other():
    window = window_of(replace(NULL, weeks=8, failures_per_h=1 / 10), 1, (1, 7))
    by_state, by_reason = (measure(window, "loss", part).ratios for part in ("breakdown", "breakdown/jam"))
    assert by_reason.num.sum() == pytest.approx(by_state.num.sum(), rel=0.01)
    assert measure(window, "loss", "breakdown/nobody").ratios.num.sum() == 0


@settings(max_examples=examples(20, deep=100))
@given(st.integers(0, 2**32))
def test_the_order_of_rows_and_any_cut_of_corrections_change_nothing(seed):
    """Rows in another order, and some of them cut into a first guess and its correction."""
    rng = np.random.default_rng(seed)
    whole = _whole()
    order = rng.permutation(len(whole.facts))
    facts = whole.facts
    columns = {name: getattr(facts, name)[order] for name in type(facts).__dataclass_fields__}
    part = rng.integers(0, 1000, columns["sums"].shape)
    first = replace(facts, **columns | {"sums": columns["sums"] - part})
    correction = replace(facts, **columns | {"sums": part})
    window = machine_window(
        "m-1", CALENDAR, [correction, first], whole.stops, START_NS, START_NS + whole_weeks * 7 * DAY_NS
    )
    for metric in ("oee", "minor", "edge"):
        again = _verdict(window, metric)
        assert again.effect == _verdict_of_whole(metric).effect
        assert again.minutes == _verdict_of_whole(metric).minutes


whole_weeks = 8


@cache
def _whole():
    return history(replace(NULL, weeks=whole_weeks), 3)


@cache
def _verdict_of_whole(metric):
    return _verdict(_whole(), metric)


def _verdict(window, metric):
    plan = replace(PLAN, metric=metric, part="shift_start" if metric == "edge" else "")
    sides = []
    for weeks in ((0, 4), (4, 8)):
        first, last = (date(2026, 1, 5) + timedelta(7 * week) for week in weeks)
        sides.append(measure(part_of(window, *span_ns(CALENDAR, Days(first, last - timedelta(1)))), metric, plan.part))
    return judge(plan, MeasuredPair(*sides))


def test_several_machines_are_one_sum():
    parts = [measure(history(replace(NULL, weeks=4), seed), "oee", "") for seed in (1, 2)]
    both = together(parts)
    assert both.ratios.num.sum() == pytest.approx(sum(part.ratios.num.sum() for part in parts))
    assert both.busy_min.sum() == pytest.approx(sum(part.busy_min.sum() for part in parts))
    assert together(parts[:1]) is parts[0]
    some = [measure(history(replace(NULL, weeks=4), seed), "setup", "") for seed in (1, 2)]
    assert {group.partition(":")[0] for group in together(some).events.group} == {"0", "1"}


# what intervals are worth: the generator of days that resemble the one before


def covers(rng, repetitions, t, rho, controls=0, season=0.0, effect=0.0):
    """Share of verdicts whose interval contains the true effect, and share that declares a gain. With controls half of each
    machine's mood is that of all.
    """
    common = moods(rng, repetitions, 2 * t, rho) if controls else None
    own, *others = (of_days(rng, repetitions, 2 * t, rho, common) for _ in range(1 + controls))
    covered = declared = 0
    for i in range(repetitions):
        pairs = {str(k): halves(other, i, t, season) for k, other in enumerate(others)}
        found = ratio_effect(*halves(own, i, t, season + effect), pairs, mix=True)
        covered += found.change.low <= effect <= found.change.high
        declared += found.change.low > 0
    return covered / repetitions, declared / repetitions


def halves(days, i, t, change):
    n, d = days[0][i], days[1][i]
    return measured(n[:t], d[:t]), after_of(n[t:] + change * d[t:], d[t:])


QUICK = [(24, 0.3, 0.92, 0.98)]
SLOW = [(t, rho, 0.925, 0.975) for t in (18, 24, 48) for rho in (0.0, 0.3, 0.5)] + [(24, 0.7, 0.895, 0.95)]


@pytest.mark.parametrize(("t", "rho", "low", "high"), QUICK)
def test_intervals_cover_as_often_as_they_say_in_short(t, rho, low, high):
    covered, declared = covers(np.random.default_rng(5), 600, t, rho)
    assert low <= covered <= high
    assert declared < 0.06


@pytest.mark.slow
@pytest.mark.parametrize(("t", "rho", "low", "high"), SLOW)
def test_intervals_cover_as_often_as_they_say_at_length(t, rho, low, high):
    covered, _ = covers(np.random.default_rng(5), 3000, t, rho)
    assert low <= covered <= high


@pytest.mark.slow
def test_controls_take_away_a_season():
    """Four points come with the season, on all machines: alone a gain is declared ten times too often."""
    assert covers(np.random.default_rng(6), 2000, 24, 0.3, 1, 0.04)[0] > 0.925
    rng = np.random.default_rng(6)
    alone = covers(rng, 2000, 24, 0.3, season=0.04)[1]
    assert 0.15 < alone < 0.45
    for controls in (1, 3):
        covered, declared = covers(rng, 2000, 24, 0.3, controls, 0.04)
        assert declared == pytest.approx(0.03, abs=0.015)
        assert 0.925 <= covered <= 0.965
    seen = [covers(rng, 1000, 24, 0.3, controls, 0.04, 0.05)[1] for controls in (1, 3)]
    assert seen == [pytest.approx(0.38, abs=0.06), pytest.approx(0.51, abs=0.06)]


@pytest.mark.slow
def test_the_least_effect_told_beforehand_is_seen_four_times_of_five():
    """By the variance of many histories of 48 days."""
    rng = np.random.default_rng(9)
    history_of = of_days(rng, 300, 48, 0.3)
    told = [detectable(PLAN, measured(n, d), {}, (24, 24)).effect ** 2 for n, d in zip(*history_of, strict=True)]
    effect = math.sqrt(np.mean(told))
    assert 0.04 < effect < 0.09
    seen = covers(rng, 2000, 24, 0.3, effect=effect)[1]
    assert seen == pytest.approx(0.8, abs=0.04)


@pytest.mark.slow
def test_the_worst_days_are_no_baseline():
    """Sixty machines, the five worst of twelve days are improved by doing nothing: on the days that chose them a gain is
    declared, on fresh ones it is not.
    """
    rng = np.random.default_rng(31)
    t, chosen, fresh = 12, [], []
    for _ in range(200):
        level = 0.6 + 0.05 * rng.standard_normal((60, 1))
        n, d = of_days(rng, 60, 3 * t, 0.5, level=level)
        for i in np.argsort(n[:, :t].sum(axis=1) / d[:, :t].sum(axis=1))[:5]:
            after = after_of(n[i, 2 * t :], d[i, 2 * t :])
            for out, part in ((chosen, slice(0, t)), (fresh, slice(t, 2 * t))):
                out.append(ratio_effect(measured(n[i, part], d[i, part]), after, {}, mix=True).change)
    assert np.mean([item.value for item in chosen]) == pytest.approx(0.025, abs=0.008)
    assert np.mean([item.value for item in fresh]) == pytest.approx(0, abs=0.006)
    assert np.mean([item.low > 0 for item in chosen]) == pytest.approx(0.092, abs=0.03)
    assert np.mean([item.low > 0 for item in fresh]) == pytest.approx(0.032, abs=0.015)


@pytest.mark.slow
def test_looking_until_it_pleases_declares_gains_that_are_none():
    """Nothing changed: a fixed window declares a gain in some 3 %, the first of daily looks that shows one in more."""
    rng = np.random.default_rng(12)
    n, d = of_days(rng, 1000, 48, 0.3)
    fixed = daily = 0
    for i in range(1000):
        looks = [
            ratio_effect(measured(n[i, :24], d[i, :24]), after_of(n[i, 24:end], d[i, 24:end]), {}, mix=True).change.low
            > 0
            for end in range(36, 49)
        ]
        fixed += looks[-1]
        daily += any(looks)
    assert fixed / 1000 == pytest.approx(0.028, abs=0.015)
    assert daily / 1000 > 1.8 * fixed / 1000


def test_days_since_1970_are_dates():
    assert EPOCH + timedelta(FIRST) == date(2026, 2, 16)
