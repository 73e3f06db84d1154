"""Each rule finds what was planted and nothing where nothing was; a rule without cause, null or texts does not pass."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from histories import CALENDAR, DAY_NS, KEYS, NULL, PLANTED, START_NS, history, nulls

from oee.advice.catalogue import contrasts, lost_minutes, rules, watched
from oee.advice.finding import Finding, Gain, within_what_was_lost, worth_saying
from oee.advice.trust import too_fast, trust
from oee.advice.window import machine_window, stop_columns
from oee.model.facts import FACT, NO_FACTS, Stop, join, select
from oee.model.states import State
from words import LANGUAGES
from words.catalogue import catalogue, say

PARTS = ("name", "question", "says", "doubt", "countermeasure")


@pytest.fixture(scope="module")
def planted():
    """{rule: its contrasts in the history with its cause}."""
    return {key: rules()[key].find(history(plan, 1)) for key, plan in PLANTED.items()}


@pytest.fixture(scope="module")
def null_windows():
    """{weeks: histories with nothing planted}, for as many weeks as a rule looks at (a year is half a year here)."""
    return {8: nulls(8, range(100, 108)), 12: nulls(12, range(200, 204)), 52: nulls(26, range(300, 304))}


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
        assert 0 <= finding.gain.low_min < finding.gain.high_min
        assert finding.gain.high_min <= sum(lost[name] for name in finding.claims)
        assert finding.evidence.n > 0
        assert finding.evidence.series


@pytest.mark.parametrize("key", sorted(PLANTED))
def test_what_is_found_can_be_said(planted, key):
    named = {"slot": "advice_slot", "answer": "advice_answer", "shape": "advice_shape"}
    for finding in planted[key]:
        for lang in LANGUAGES:
            names = {k: say(f"{named[k]}.{v}", lang) if k in named else v for k, v in finding.names.items()}
            assert say(f"advice.{key}.says", lang, **finding.figures, **names)


@pytest.mark.parametrize("key", sorted(PLANTED))
def test_nothing_is_found_where_nothing_is(null_windows, key):
    """All contrasts of all null histories are one nightly run, as at the center."""
    looked = [finding for window in null_windows[rules()[key].weeks] for finding in rules()[key].find(window)]
    assert looked
    assert [(finding.key, dict(finding.figures)) for finding in watched(looked)] == []


def test_p_values_of_null_histories_are_not_too_small(null_windows):
    looked = [finding for rule in rules().values() for w in null_windows[rule.weeks] for finding in rule.find(w)]
    p = np.array([finding.p for finding in looked if finding.p is not None])
    assert len(p) >= 60
    assert (p < 0.01).mean() <= 0.04


def test_a_mix_that_changes_is_no_drift():
    """Product B runs at another pace against its ideal time than A; only how much of each is made changes."""
    windows = [_slower_b(history(replace(NULL, weeks=12, mix_shift=True), seed)) for seed in range(3)]
    assert [finding.key for w in windows for finding in watched(rules()["speed_drift"].find(w))] == []


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
    assert contrasts(window, trust(window, holes=1), 8) == []
    lost = window.minutes.copy()
    lost[: len(lost) // 10] = 0
    assert trust(replace(window, minutes=lost)).why_not == ("coverage",)
    assert "more_than_scheduled" in trust(replace(window, minutes=window.minutes * 2)).why_not
    assert "too_short" in trust(history(replace(NULL, weeks=2), 4)).why_not


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
