"""Each rule finds what was planted and nothing where nothing was; a rule without cause, null or texts does not pass."""

import re
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise, permutations

import numpy as np
import pytest
from histories import CALENDAR, DAY_NS, KEYS, NULL, PLANTED, START_NS, history, nulls, recorded
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from oee.advice.catalogue import contrasts, lost_minutes, rules, significant, watched
from oee.advice.finding import Finding, Gain, within_what_was_lost, worth_saying
from oee.advice.measures.repairs import repairs, under_observation, without_repeats
from oee.advice.rules import ideal_wrong
from oee.advice.rules.changeover_sequence import best_order
from oee.advice.rules.cyclic_stop import best_interval
from oee.advice.rules.long_repair import (
    LEAST_CONCENTRATION,
    LEAST_SURE_CONCENTRATION,
    concentrated,
    concentration,
    share_of_longest,
)
from oee.advice.statistics.failures import crow_amsaa, crow_amsaa_observed
from oee.advice.statistics.ratios import one_window, slot_test, thirds_trend
from oee.advice.trust import too_fast, trust
from oee.advice.window import hourly_window, machine_window, stop_columns
from oee.model.facts import FACT, MINUTE_NS, NO_FACTS, Stop, join, select, text_column
from oee.model.states import State
from words import LANGUAGES
from words.catalogue import catalogue
from words.findings import finding_part

PARTS = ("name", "question", "says", "doubt", "countermeasure")


@pytest.fixture(scope="module")
def planted():
    """{rule: its contrasts in the history with its cause}."""
    return {key: rules()[key].find(history(plan, 1)) for key, plan in PLANTED.items()}


@pytest.fixture(scope="module")
def null_windows():
    """{weeks: histories with nothing planted}, for as many weeks as a rule looks at (a year is half a year here)."""
    return {8: nulls(8, range(100, 108)), 12: nulls(12, range(200, 204)), 52: nulls(26, range(300, 304))}


NULLS_OF = {"changeover_sequence": lambda: nulls(8, range(400, 406), products="ABCD")}
"""Null histories of rules that need more than the plain ones have: here four products without families."""


def test_every_rule_has_a_planted_cause_and_texts_in_both_languages():
    assert set(PLANTED) == set(rules())
    wanted = {f"advice.{key}.{part}" for key in rules() for part in PARTS}
    assert {key for key in catalogue() if key.startswith("advice.")} == wanted
    assert {rule.weeks for rule in rules().values()} <= {8, 12, 52}


@pytest.mark.parametrize("key", sorted(PLANTED))
def test_a_planted_cause_is_found_with_its_key_and_a_gain_that_was_lost(planted, key):
    found = watched(planted[key])
    assert found
    assert all(KEYS.get(key, lambda _: True)(finding.key) for finding in found)
    lost = lost_minutes(history(PLANTED[key], 1))
    for finding in within_what_was_lost(found, lost):
        assert finding.rule == key
        assert finding.version == rules()[key].version
        if rules()[key].in_minutes and not rules()[key].about_data:
            assert 0 <= finding.gain.low_min < finding.gain.high_min
        assert finding.gain.high_min <= sum(lost[name] for name in finding.claims)
        assert finding.evidence.n > 0
        assert finding.evidence.series


@pytest.mark.parametrize("key", sorted(PLANTED))
def test_what_is_found_can_be_said(planted, key):
    for finding in planted[key]:
        for lang in LANGUAGES:
            text = finding_part("says", key, finding.key, finding.figures, finding.names, lang)
            assert len(text) > 20
            assert not re.search(r"[{}_]|  | [.:;,]", text), text


@pytest.mark.parametrize("key", sorted(PLANTED))
def test_nothing_is_found_where_nothing_is(null_windows, key):
    """All contrasts of all null histories are one nightly run, as at the center."""
    windows = NULLS_OF[key]() if key in NULLS_OF else null_windows[rules()[key].weeks]
    looked = [finding for window in windows for finding in rules()[key].find(window)]
    assert looked
    assert [(finding.key, dict(finding.figures)) for finding in watched(looked)] == []


def test_p_values_of_null_histories_are_not_too_small(null_windows):
    looked = [finding for rule in rules().values() for w in null_windows[rule.weeks] for finding in rule.find(w)]
    p = np.array([finding.p for finding in looked if finding.p is not None])
    assert len(p) >= 60
    assert (p < 0.01).mean() <= 0.04


AGAIN = {
    "micro_cluster": lambda s, _: {"ratio": slot_test(s["hits"], s["hours"], s["rest_hits"], s["rest_hours"]).ratio},
    "slow_start": lambda s, _: {"lost_min": one_window(s["lost_min"], np.ones(len(s["lost_min"]))).value},
    "early_end": lambda s, _: {"low_min": one_window(s["lost_min"], np.ones(len(s["lost_min"]))).low},
    "changeover_tail": lambda s, _: {"median_min": np.median(s["setup_min"]), "mean_min": np.mean(s["setup_min"])},
    "wear_out": lambda s, _: {"beta": crow_amsaa_observed(s["begin_h"], s["end_h"]).beta_unbiased},
    "repeat_failure": lambda s, n: {"repeats": sum(s["repeated"]), "n": n},
    "long_repair": lambda s, _: {
        "share": share_of_longest(np.array([s["repair_min"]]))[0],
        "concentration": concentration(np.array([s["repair_min"]]))[0],
    },
    "best_practice": lambda s, n: {
        "gap": np.average(s["gap"], weights=s["weight"]),
        "low": one_window(np.multiply(s["gap"], s["weight"]), s["weight"]).low,
        "days": n,
    },
    "changeover_sequence": lambda s, n: {"saving_min": np.mean(s["saving_min"]), "n": n},
    "ideal_wrong": lambda s, n: {"beaten": np.mean(np.array(s["rate"]) > 1.02), "best": np.percentile(s["rate"], 90)},
    "no_reason": lambda s, n: {"share": sum(s["bare_min"]) / sum(s["total_min"]), "n": n},
    "startup_reject": lambda s, _: {"ratio": slot_test(s["hits"], s["pieces"], s["rest_hits"], s["rest_pieces"]).ratio},
    "reject_spread": lambda s, n: {"gap": np.average(s["gap"], weights=s["weight"]), "days": n},
    "bottleneck": lambda s, n: {"lead": np.average(s["gap"], weights=s["weight"]), "days": n},
    "cyclic_stop": lambda s, _: dict(
        zip(("z", "interval"), best_interval(np.array(s["position"]), whole=bool(s["whole"][0])), strict=False)
    ),
    "idle_energy": lambda s, _: {
        "kwh_a_week": 7 * np.mean(s["kwh"]),
        "share": 7 * np.mean(s["kwh"]) / s["used_a_week"][0],
    },
    "counter_suspect": lambda s, n: {"n": n},
    "common_stop": lambda s, n: {"n": len(s["at_s"])},
    "unscheduled": lambda s, n: {"hours": np.mean(s["hours"])} if "hours" in s else {"n": len(s["at_s"])},
    "speed_drift": lambda s, _: {
        "slower": np.expm1(thirds_trend(np.multiply(s["index"], s["running_ms"]), s["running_ms"]).value)
    },
}
"""Figures of each rule computed again from nothing but the series of its evidence."""


@pytest.mark.parametrize("key", sorted(PLANTED))
def test_evidence_gives_the_same_numbers_again(planted, key):
    assert planted[key]
    for finding in planted[key]:
        again = AGAIN[key](finding.evidence.series, finding.evidence.n)
        assert again == {name: pytest.approx(finding.figures[name], rel=1e-9) for name in again}
        assert len(finding.evidence.stops) <= 10


def test_a_mix_that_changes_is_no_drift():
    """Product B runs at another pace against its ideal time than A; only how much of each is made changes."""
    windows = [_slower_b(history(replace(NULL, weeks=12, mix_shift=True), seed)) for seed in range(3)]
    assert [finding.key for w in windows for finding in watched(rules()["speed_drift"].find(w))] == []


def test_the_mix_of_that_test_does_change():
    """Else it could not fail: without regard to products the same windows drift."""
    window = _slower_b(history(replace(NULL, weeks=12, mix_shift=True), 0))
    pooled = replace(window.facts, product=text_column("A", len(window.facts)))
    assert watched(rules()["speed_drift"].find(replace(window, facts=pooled)))


def _slower_b(window):
    sums = window.facts.sums.copy()
    sums[window.facts.product == "B", FACT["ideal_total_us"]] //= 2
    return replace(window, facts=replace(window.facts, sums=sums))


def test_any_order_of_rows_and_corrections_gives_the_same_findings():

    window = history(PLANTED["slow_start"], 2)
    facts, order = window.facts, np.random.default_rng(1).permutation(len(window.facts))
    half = replace(facts, sums=facts.sums // 3)
    rest = replace(facts, sums=facts.sums - half.sums)
    mixed = join([select(rest, order), half])
    stops = window.stops
    again = machine_window("m-1", CALENDAR, mixed, stops, window.start_ns, window.end_ns)
    for key in ("slow_start", "micro_cluster", "changeover_tail"):
        assert rules()[key].find(again) == rules()[key].find(window)


def test_odd_days_are_left_out():
    window = history(replace(NULL, weeks=6), 3)
    assert window.dropped == ()

    day = int(window.stretches.date[0])
    silent = select(window.facts, window.facts.business_date != day + 8)
    rest = {  # a holiday from the third Thursday to the next Monday, five days
        date(2026, 1, 22) + timedelta(days=d): () for d in range(5)
    }
    calendar = replace(CALENDAR, exceptions=rest)
    gone = [day + 17 + d for d in range(5)]
    silent = select(silent, ~np.isin(silent.business_date, gone))
    cut = machine_window("m-1", calendar, silent, window.stops, window.start_ns, window.end_ns)
    assert cut.dropped == (day + 8, day + 22, day + 23)
    assert cut.end_ns - cut.start_ns == 6 * 7 * DAY_NS
    assert cut.worked_days == 6 * 6 - 4 - 3


def test_a_machine_that_cannot_be_trusted_gets_no_advice():
    window = history(replace(NULL, weeks=4, late_min=12), 4)
    fine = trust(window)
    assert fine.why_not == ()
    assert {finding.rule for finding in contrasts(window, fine, 8)} >= {"slow_start", "micro_cluster"}
    assert trust(window, holes=1).why_not == ("holes",)
    assert trust(window, open_findings=frozenset({"unscheduled", "slow_start"})).why_not == ("unscheduled",)
    assert all(rules()[finding.rule].about_data for finding in contrasts(window, trust(window, holes=1), 8))
    lost = window.minutes.copy()
    lost[: len(lost) // 10] = 0
    assert trust(replace(window, minutes=lost)).why_not == ("coverage",)
    assert "more_than_scheduled" in trust(replace(window, minutes=window.minutes * 2)).why_not
    assert "too_short" in trust(history(replace(NULL, weeks=2), 4)).why_not


def test_an_ideal_time_that_nobody_comes_near_is_doubted():
    (a, b) = rules()["ideal_wrong"].find(history(replace(NULL, ideal_factor=0.9), 1))
    assert [item.names["verdict"] for item in (a, b)] == ["too_short", "too_short"]
    assert a.figures["ideal_s"] == pytest.approx(9, rel=0.05)
    assert a.figures["fastest_s"] == pytest.approx(10 / 0.92, rel=0.05)


def test_shifts_that_stand_without_a_reason_are_missing_exceptions():
    found = rules()["unscheduled"].find(history(replace(NULL, standing_shifts=4), 1))
    assert [(item.key, item.passes, item.figures["n"]) for item in found] == [
        (("outside",), False, 0),
        (("standing_shifts",), True, 4),
    ]
    assert trust(history(NULL, 1), open_findings=frozenset({found[1].rule})).why_not == ("unscheduled",)


@given(st.lists(st.sampled_from("ABCD"), min_size=2, max_size=6), st.integers(0, 1000))
def test_the_best_order_is_the_best_of_all(lots, seed):
    lots = [name for k, name in enumerate(lots) if k == 0 or lots[k - 1] != name]
    rng = np.random.default_rng(seed)
    means = {(a, b): float(rng.uniform(1, 50)) for a in "ABCD" for b in "ABCD" if a != b and rng.random() < 0.8}
    means |= {pair: 30.0 for pair in pairwise(lots) if pair not in means}

    def cost(order):
        return sum(means.get(pair, np.inf) for pair in pairwise(order))

    every = [(lots[0], *rest) for rest in permutations(lots[1:])]
    found = best_order(lots, means)
    assert sorted(found) == sorted(lots)
    assert found[0] == lots[0]
    assert cost(found) == pytest.approx(min(cost(order) for order in every))


def test_a_product_that_is_too_fast_has_a_wrong_ideal_time():
    facts = history(replace(NULL, weeks=3), 5).facts
    assert too_fast(facts) == frozenset()
    sums = facts.sums.copy()
    sums[facts.product == "A", FACT["ideal_total_us"]] *= 2
    assert too_fast(replace(facts, sums=sums)) == {"A"}


def test_stops_are_the_newest_revisions_and_closed():
    def stop(start, end, revision, number="1"):
        return Stop("m-1", number, start, end, State.BREAKDOWN, "", "plc", "", "", revision)

    columns = stop_columns(
        [stop(5, 9, 1), stop(5, 7, 2), stop(1, None, 1, "2"), stop(3, 3, 4, "3"), stop(2, 4, 1, "4")]
    )
    assert columns.start_ns.tolist() == [2, 5]
    assert columns.end_ns.tolist() == [4, 7]


def _broken(*stops):
    """Repairs in three weeks that ran whenever nothing is said; stops: (first hour, hours, reason) after Monday 6:00."""
    hour = 3600 * 10**9
    window = history(replace(NULL, weeks=3, minor_per_h=1e-6, failures_per_h=1e-9, setups_a_week=0), 1)
    begin = START_NS + 6 * hour
    rows = [
        Stop(
            "m-1",
            str(i),
            begin + round(at * hour),
            begin + round((at + long) * hour),
            State.BREAKDOWN,
            why,
            "plc",
            "",
            "",
            1,
        )
        for i, (at, long, why) in enumerate(stops)
    ]
    minutes = window.minutes.copy()
    for row in rows:
        minutes[(row.start_ns - START_NS) // MINUTE_NS : (row.end_ns - START_NS) // MINUTE_NS] = 0
    return replace(window, stops=stop_columns(rows), minutes=minutes)


def test_a_breakdown_that_the_end_of_a_shift_suspends_is_one_repair_of_scheduled_time():
    """From Monday 20:00 to 22:00 and from Tuesday 6:00 to 7:00, the break of Monday evening before both."""
    past = repairs(_broken((14, 2, "jam"), (24, 1, "jam"), (26, 0.5, "belt")))
    assert len(past) == 2
    assert past.repair_min.tolist() == [180, 30]
    assert past.reason.tolist() == ["jam", "belt"]
    assert past.at_h[1] - past.at_h[0] == pytest.approx(1, abs=0.05)


def test_a_repair_over_a_break_counts_without_it():
    past = repairs(_broken((3, 3, "")))
    assert past.repair_min.tolist() == [150]
    assert past.at_h[0] == pytest.approx(3, abs=0.05)


def test_an_overhaul_begins_the_clock_anew():
    window = _broken((2, 0.1, ""), (30, 0.1, ""), (60, 0.1, ""))
    since = START_NS + 24 * 3600 * 10**9
    past = repairs(window, since)
    assert len(past) == 2
    assert past.total_h < repairs(window).total_h
    assert past.at_h[0] == pytest.approx(5.5, abs=0.1)  # the break of half an hour is no operation


def test_repeats_are_not_taken_for_wear():
    """Half of all failures come back within hours, and none of them more often as time goes by."""
    windows = [history(replace(PLANTED["repeat_failure"], failures_per_h=1 / 50), seed) for seed in range(6)]
    looked = [finding for window in windows for finding in rules()["wear_out"].find(window)]
    assert looked
    assert [finding.figures["beta"] for finding in watched(looked)] == []
    assert all(finding.names["answer"] != "wear_out" for finding in looked if not finding.passes)
    assert without_repeats(np.array([1.0, 3, 10, 30, 37, 46])).tolist() == [1, 30, 46]


def test_repeats_of_a_machine_that_wears_are_worth_what_they_cost_now():
    """Half a year ago nothing failed; the average of that time would be little more than half of it."""
    for seed in (1, 2):
        whole = history(replace(NULL, weeks=26, failures_per_h=1 / 50, repeat=0.5, wear_beta=3.0), seed)
        (found,) = rules()["repeat_failure"].find(whole)
        times = np.array(found.evidence.series["at_s"])
        recent = (times >= whole.end_ns / 1e9 - 56 * 86_400).sum()
        assert recent / 8 > 1.7 * len(times) / whole.weeks
        seen = found.figures
        high = stats.binomtest(int(seen["repeats"]), int(seen["n"])).proportion_ci().high - seen["expected"] / seen["n"]
        assert found.gain.high_min == pytest.approx(0.8 * high * recent / 8 * seen["repair_min"])
        assert found.passes
        assert worth_saying(found, 4860)


def test_a_failure_hides_what_comes_within_eight_hours():
    begin, end = under_observation(np.array([1.0, 3, 10, 30, 37, 46]), 60)
    assert list(zip(begin.tolist(), end.tolist(), strict=True)) == [(0, 1), (18, 30), (45, 46), (54, 60)]
    begin, end = under_observation(np.array([1.0, 55]), 60)
    assert list(zip(begin.tolist(), end.tolist(), strict=True)) == [(0, 1), (9, 55), (60, 60)]


def test_failures_that_come_often_hide_no_wear_and_chance_is_not_taken_for_it():
    """At random every twelve hours, half of them come back; and a rate that grows from nothing to one in eight hours."""
    rng, total_h = np.random.default_rng(12), 1200.0
    by_chance, wearing, thinned = [], [], []
    for _ in range(1000):
        at_h = rng.uniform(0, total_h, rng.poisson(100))
        again = at_h[rng.random(len(at_h)) < 0.5]
        at_h = np.sort(np.concatenate([at_h, again + rng.uniform(0.2, 4, len(again))]))
        by_chance.append(crow_amsaa_observed(*under_observation(at_h[at_h < total_h], total_h)).p_wear_out)
        growing = total_h * np.sort(rng.random(75)) ** 0.5
        wearing.append(crow_amsaa_observed(*under_observation(growing, total_h)).beta_unbiased)
        thinned.append(crow_amsaa(without_repeats(growing), total_h).beta_unbiased)
    assert 0.035 < np.mean(np.array(by_chance) < 0.05) < 0.065
    assert np.mean(wearing) == pytest.approx(2, abs=0.05)
    assert np.mean(thinned) < 1.7


def test_a_machine_that_drifts_has_no_wrong_ideal_time(monkeypatch):
    """It was near its ideal time once; in the last weeks of half a year it is not, and no shift is."""
    plan = replace(NULL, weeks=26, slower_a_day=0.0008)
    facts, stops = recorded(plan, 3)
    end_ns = START_NS + 26 * 7 * DAY_NS
    window = machine_window("m-1", CALENDAR, facts, stops, end_ns - 56 * DAY_NS, end_ns)
    find = rules()["ideal_wrong"].find
    assert [item.passes for item in find(window)] == [False, False]
    monkeypatch.setattr(ideal_wrong, "LEAST_SLOWER", 1.0)
    assert [item.names["verdict"] for item in find(window)] == ["too_short", "too_short"]


def test_half_of_the_error_is_for_rules_about_rare_events():
    """A tenth of the tests is about them: the same p is kept of one of these and not of another."""
    rest = [("repeat_failure", 0.9, True)] * 9 + [("slow_start", 0.9, True)] * 89
    for rule, kept in (("wear_out", True), ("early_end", False)):
        beside = ("slow_start" if rule == "wear_out" else "wear_out", 0.9, True)
        assert significant([(rule, 0.002, True), beside, *rest]) == [kept] + [False] * 99
    for rule in ("wear_out", "slow_start"):  # of one kind alone nothing is weighed
        assert significant([(rule, 0.0004, True), *[(rule, 0.9, True)] * 99])[0]
        assert not significant([(rule, 0.0006, True), *[(rule, 0.9, True)] * 99])[0]


@pytest.mark.parametrize(
    ("n", "sd", "least", "most"), [(18, 1.6, 0.9, 1), (35, 1.6, 0.95, 1), (18, 0.5, 0, 0), (35, 0.5, 0, 0)]
)
def test_long_repairs_are_found_on_nine_machines_of_ten_and_ordinary_ones_on_none(n, sd, least, most):
    """With as many failures as three and six months bring. The scatter is that of the planted and of the null history."""
    rng = np.random.default_rng(7)
    judged = [concentrated(20 * np.exp(sd * rng.standard_normal(n))) for _ in range(200)]
    found = np.mean([value > LEAST_CONCENTRATION and sure > LEAST_SURE_CONCENTRATION for value, sure in judged])
    assert least <= found <= most


def test_repairs_that_end_at_random_are_rarely_called_concentrated():
    rng = np.random.default_rng(8)
    judged = [concentrated(rng.exponential(20, 35)) for _ in range(200)]
    assert np.mean([value for value, _ in judged]) == pytest.approx(0.5, abs=0.02)
    assert np.mean([value > LEAST_CONCENTRATION and sure > LEAST_SURE_CONCENTRATION for value, sure in judged]) < 0.3


def test_concentration_is_that_of_its_definition():
    minutes = np.array([[3.0, 1, 8, 5], [2, 2, 2, 2], [0, 0, 0, 9]])
    pairs = [np.abs(np.subtract.outer(row, row)).sum() / (2 * 4 * 3 * row.mean()) for row in minutes]
    assert concentration(minutes) == pytest.approx(pairs)
    assert pairs[1:] == [0, 1]


def _finding(high, *claims):
    return Finding("r", 1, "m", (), True, None, {}, Gain(high / 2, high), frozenset(claims), None)


def test_gains_never_exceed_what_was_lost():
    lost = {"setup": 100.0, "minor_stop": 50.0}
    one, two = within_what_was_lost([_finding(90, "setup"), _finding(300, "minor_stop")], lost)
    assert (one.gain, two.gain) == (Gain(45, 80), Gain(40, 40))
    both = within_what_was_lost([_finding(80, "setup"), _finding(80, "setup")], lost)
    assert [finding.gain for finding in both] == [Gain(20, 40)] * 2
    assert within_what_was_lost([], lost) == []
    assert not worth_saying(_finding(10), 10_000)
    assert worth_saying(_finding(31), 10_000)
    assert worth_saying(_finding(10), 1_000)


def test_no_p_is_kept_without_its_threshold():
    sure = replace(_finding(1, "setup"), p=1e-9)
    assert watched([sure, replace(sure, passes=False), replace(sure, p=0.9)]) == [sure]


def test_an_empty_window_says_nothing():
    window = history(replace(NULL, weeks=1), 1)

    empty = machine_window("m-1", CALENDAR, NO_FACTS, stop_columns([]), START_NS, window.end_ns)
    nothing = machine_window("m-1", CALENDAR, NO_FACTS, stop_columns([]), START_NS, START_NS)
    for rule in rules().values():
        assert rule.find(empty) == []
        assert rule.find(nothing) == []
    assert lost_minutes(nothing) == {}


def test_facts_in_parts_give_the_same_window():
    whole = history(replace(NULL, weeks=3), 6)
    facts = whole.facts
    order = np.random.default_rng(1).permutation(len(facts))
    parts = [select(facts, order[k::3]) for k in range(3)]
    again = machine_window("m-1", CALENDAR, iter(parts), whole.stops, whole.start_ns, whole.end_ns)
    assert np.array_equal(again.minutes, whole.minutes)
    assert again.products == whole.products
    assert rules()["slow_start"].find(again) == rules()["slow_start"].find(whole) != []


@pytest.mark.parametrize("key", ["wear_out", "repeat_failure", "long_repair"])
def test_a_year_of_hours_says_what_its_minutes_say(key):
    whole = history(replace(PLANTED[key], weeks=20), 3)
    facts = whole.facts
    hours = replace(facts, minute_ns=facts.minute_ns // (60 * MINUTE_NS) * (60 * MINUTE_NS))
    again = hourly_window("m-1", CALENDAR, hours, whole.stops, whole.start_ns, whole.end_ns)
    past, past_of_hours = repairs(whole), repairs(again)
    assert past_of_hours.id.tolist() == past.id.tolist()
    assert np.abs(past_of_hours.at_h - past.at_h).max() < 0.5
    assert past_of_hours.total_h == pytest.approx(past.total_h, rel=1e-3)
    assert (again.weeks, again.worked_days, again.dropped) == (whole.weeks, whole.worked_days, whole.dropped)
    pairs = zip(rules()[key].find(whole), rules()[key].find(again), strict=True)
    for finding, of_hours in pairs:
        assert of_hours.figures == {name: pytest.approx(value, rel=0.02) for name, value in finding.figures.items()}
