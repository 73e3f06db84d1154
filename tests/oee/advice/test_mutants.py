"""A rule that is altered must be caught: in its sign, in a threshold, in what keeps it from taking one thing for another.

Each alteration is of the rule's own text. What catches it is what a rule is for: it finds what is planted, says nothing of
what is too small, and nothing where something else looks alike.
"""

import types
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from histories import KEYS, NULL, PLANTED, START_NS, history
from test_life import night, past

from oee.advice import catalogue, life, window
from oee.advice import rules as folder
from oee.advice.catalogue import rules, watched
from oee.advice.gain.effect import ratio_effect
from oee.advice.gain.measured import measure
from oee.advice.measures import edges
from oee.advice.measures.repairs import Repairs
from oee.model.facts import select, text_column

SMALL = {
    "micro_cluster": replace(NULL, minor_start_factor=1.3),
    "slow_start": replace(NULL, late_min=4),
    "early_end": replace(NULL, early_min=4),
    "changeover_tail": replace(NULL, setup_tail=0.05),
    "wear_out": replace(NULL, weeks=26, wear_beta=1.2),
    "repeat_failure": replace(NULL, weeks=26, failures_per_h=1 / 90, repeat=0.0),
    "long_repair": replace(NULL, weeks=26, repair_sd=0.8),
    "speed_drift": replace(NULL, weeks=12, slower_a_day=0.0002),
    "best_practice": replace(NULL, slower_b=0.04),
    "changeover_sequence": replace(NULL, products="ABCD", family_factor=1.2),
    "ideal_wrong": replace(NULL, ideal_factor=1.08),
    "no_reason": replace(NULL, withheld=0.2, failures_per_h=1 / 6),
    "unscheduled": replace(NULL, outside_h=1),
    "startup_reject": replace(NULL, startup_rejects=1.3),
    "reject_spread": replace(NULL, rejects_b=1.35),
    "bottleneck": replace(NULL, slow_station=0.02),
    "cyclic_stop": NULL,
    "idle_energy": replace(NULL, idle_kw=0.6),
    "counter_suspect": replace(NULL, lost_pulses=0.005),
    "common_stop": replace(NULL, common_a_week=0.15),
}
"""Each cause so small that nobody should hear of it."""
SIGN = {
    "micro_cluster": ("test.ratio >= LEAST_RATIO", "test.ratio <= LEAST_RATIO"),
    "slow_start": ("at_start=True", "at_start=False"),
    "early_end": ("at_start=False", "at_start=True"),
    "changeover_tail": ("a_week = len(done)", "sure = -sure; a_week = len(done)"),
    "wear_out": ("trend.p_wear_out < MOST_P and", "trend.p_growth < MOST_P and"),
    "repeat_failure": ("ratio >= LEAST_RATIO", "ratio <= 1"),
    "long_repair": ("value > LEAST_CONCENTRATION", "value < LEAST_CONCENTRATION"),
    "speed_drift": ("trend.value >= LEAST_DRIFT", "-trend.value >= LEAST_DRIFT"),
    "best_practice": ("gap -= np.divide(rest_made", "gap = -gap; gap += np.divide(rest_made"),
    "changeover_sequence": ("axis=1) >= LEAST_SAVING_MIN", "axis=1) <= -LEAST_SAVING_MIN"),
    "ideal_wrong": ("rate > BEATEN", "rate < BEATEN - 1"),
    "no_reason": ('stops.reason[rows] == ""', 'stops.reason[rows] != ""'),
    "unscheduled": ("outside_h >= LEAST_OUTSIDE_H", "outside_h < LEAST_OUTSIDE_H"),
    "startup_reject": ("slots == code", "slots != code"),
    "reject_spread": ("gap = own - rest", "gap = rest - own"),
    "bottleneck": (
        "estimate.value >= LEAST_LEAD and estimate.low > 0",
        "estimate.value <= -LEAST_LEAD and estimate.low < 0",
    ),
    "cyclic_stop": ("z > LEAST_Z", "z < LEAST_Z"),
    "idle_energy": ("np.nan_to_num(power) - off", "off - np.nan_to_num(power)"),
    "counter_suspect": ("share > MOST[sign]", "share < MOST[sign]"),
    "common_stop": ("n >= LEAST_EVENTS", "n <= LEAST_EVENTS"),
}
"""What turns each rule round; then it must not find what is planted, or not with its key."""
LOOSE = {
    "micro_cluster": [
        ("LEAST_RATIO: Final = 1.5", "LEAST_RATIO: Final = 1.0"),
        ("LEAST_LOW: Final = 1.2", "LEAST_LOW: Final = 1.0"),
    ],
    "changeover_tail": [
        ("LEAST_SPREAD: Final = 1.5", "LEAST_SPREAD: Final = 1.0"),
        ("LEAST_EXCESS_MIN: Final = 2.0", "LEAST_EXCESS_MIN: Final = -9"),
        ("LEAST_EXCESS_SHARE: Final = 0.05", "LEAST_EXCESS_SHARE: Final = -1"),
    ],
    "wear_out": [
        ("MOST_P: Final = 0.05", "MOST_P: Final = 1.0"),
        ("LEAST_BETA: Final = 1.4", "LEAST_BETA: Final = 0"),
        ("                trend.p_wear_out,", "                None,"),
    ],
    "repeat_failure": [
        ("LEAST_REPEATS: Final = 3", "LEAST_REPEATS: Final = 0"),
        ("LEAST_RATIO: Final = 2.0", "LEAST_RATIO: Final = 0"),
        ("            binomial_above(k, n, by_chance),", "            None,"),
    ],
    "long_repair": [
        ("LEAST_CONCENTRATION: Final = 0.54", "LEAST_CONCENTRATION: Final = 0.3"),
        ("LEAST_SURE_CONCENTRATION: Final = 0.42", "LEAST_SURE_CONCENTRATION: Final = 0.2"),
    ],
    "speed_drift": [("LEAST_DRIFT: Final = 0.015", "LEAST_DRIFT: Final = 0")],
    "best_practice": [
        ("LEAST_POINTS: Final = 0.04", "LEAST_POINTS: Final = 0"),
        ("LEAST_LOW: Final = 0.01", "LEAST_LOW: Final = -1"),
    ],
    "changeover_sequence": [("LEAST_SAVING_MIN: Final = 30.0", "LEAST_SAVING_MIN: Final = 0")],
    "ideal_wrong": [("BEATEN: Final = 1.02", "BEATEN: Final = 0.98")],
    "no_reason": [
        ("LEAST_SHARE: Final = 0.3", "LEAST_SHARE: Final = 0"),
        ("LEAST_MIN: Final = 60.0", "LEAST_MIN: Final = 0.0"),
    ],
    "unscheduled": [("LEAST_OUTSIDE_H: Final = 2.0", "LEAST_OUTSIDE_H: Final = 0.5")],
    "startup_reject": [
        ("LEAST_RATIO: Final = 1.5", "LEAST_RATIO: Final = 1"),
        ("LEAST_LOW: Final = 1.3", "LEAST_LOW: Final = 1"),
        ("LEAST_EXCESS_A_WEEK: Final = 5.0", "LEAST_EXCESS_A_WEEK: Final = 0"),
    ],
    "reject_spread": [
        ("LEAST_POINTS: Final = 0.01", "LEAST_POINTS: Final = 0"),
        ("LEAST_RATIO: Final = 1.5", "LEAST_RATIO: Final = 0"),
    ],
    "bottleneck": [
        ("LEAST_LEAD: Final = 0.03", "LEAST_LEAD: Final = -1"),
        ("estimate.low > 0", "estimate.low > -1"),
        ("LEAST_WEEKS: Final = 3", "LEAST_WEEKS: Final = 0"),
    ],
    "cyclic_stop": [
        ("LEAST_Z: Final = 7.0", "LEAST_Z: Final = 1.0"),
        ("LEAST_EXCESS: Final = 0.1", "LEAST_EXCESS: Final = 0.0"),
    ],
    "idle_energy": [
        ("LEAST_KWH_A_WEEK: Final = 10.0", "LEAST_KWH_A_WEEK: Final = 1"),
        ("LEAST_SHARE: Final = 0.1", "LEAST_SHARE: Final = 0"),
    ],
    "counter_suspect": [('"missing": 0.02', '"missing": 0.001')],
    "common_stop": [
        ("LEAST_EVENTS: Final = 3", "LEAST_EVENTS: Final = 1"),
        ("MOST_P: Final = 0.01", "MOST_P: Final = 1"),
        ("MOST_EXPECTED: Final = 0.5", "MOST_EXPECTED: Final = 1e9"),
        ("            p,\n", "            None,\n"),
    ],
}
"""What takes a rule's thresholds away; then it must speak of what is too small. Those of edges are the module's own."""


def altered(key, *changes):
    """The rule with its text changed."""
    source = (Path(folder.__file__).parent / f"{key}.py").read_text(encoding="utf-8")
    for old, new in changes:
        assert source.count(old) == 1, (key, old, source.count(old))
        source = source.replace(old, new)
    made = types.ModuleType(f"altered_{key}")
    exec(compile(source, f"altered {key}", "exec"), made.__dict__)  # the rule's own text
    return made.RULE


@cache
def window_of(plan, seed):
    return history(plan, seed)


def finds(rule, key):
    """Whether it finds what is planted for this rule, with its key and nothing that is none of it."""
    found = [item.key for item in watched(rule.find(window_of(PLANTED[key], 1)))]
    right = KEYS.get(key, lambda _: True)
    return bool(found) and all(right(item) for item in found)


def speaks(rule, plan, seeds=(1, 2, 3)):
    """Whether it says anything of these histories."""
    return any(watched(rule.find(window_of(plan, seed))) for seed in seeds)


@pytest.mark.parametrize("key", sorted(SIGN))
def test_a_rule_that_is_turned_round_does_not_find_what_is_planted(key):
    assert finds(rules()[key], key)
    assert not finds(altered(key, SIGN[key]), key)


@pytest.mark.parametrize("key", sorted(LOOSE))
def test_a_rule_without_thresholds_speaks_of_what_is_too_small(key):
    assert not speaks(rules()[key], SMALL[key])
    assert speaks(altered(key, *LOOSE[key]), SMALL[key])


@pytest.mark.parametrize("key", ["slow_start", "early_end"])
def test_edges_without_thresholds_speak_of_what_is_too_small(key, monkeypatch):
    assert not speaks(rules()[key], SMALL[key])
    monkeypatch.setattr(edges, "LEAST_MEAN_MIN", 0.0)
    monkeypatch.setattr(edges, "LEAST_LOW_MIN", 0.0)
    assert speaks(rules()[key], SMALL[key])


def test_every_rule_is_altered():
    assert set(SIGN) == set(SMALL) == set(rules()) == {*LOOSE, "slow_start", "early_end"}


# what keeps a rule from taking one thing for another

MIX = replace(NULL, weeks=12, mix_shift=True, unlike_b=0.12)


def test_drift_without_regard_to_products_takes_another_mix_for_it():
    change = ("        log -= np.average(log, weights=ms[enough])\n", "")
    assert not speaks(rules()["speed_drift"], MIX)
    assert speaks(altered("speed_drift", change), MIX)


def test_wear_with_repeats_takes_them_for_it(monkeypatch):
    """Failures at random, half of which come back within hours."""

    def alarms(rule):
        rng, found = np.random.default_rng(3), 0
        for _ in range(400):
            at_h = rng.uniform(0, 1990, 14)
            at_h = np.sort(np.concatenate([at_h, at_h[rng.random(14) < 0.5] + rng.uniform(0.2, 4)]))
            none = text_column("", len(at_h))
            failed = Repairs(at_h, np.ones(len(at_h)), none, none, np.zeros(len(at_h), np.int64), 2000.0)
            monkeypatch.setitem(rule.find.__globals__, "repairs", lambda *_, failed=failed: failed)
            found += any(item.passes for item in rule.find(window_of(SMALL["wear_out"], 1)))
        return found / 400

    change = (
        "begin_h, end_h = under_observation(np.maximum(past.at_h[wanted], _LEAST_H), past.total_h)",
        "end_h = np.append(at_h := past.at_h[wanted], past.total_h); begin_h = np.append(0.0, at_h)",
    )
    assert alarms(rules()["wear_out"]) <= 0.07
    assert alarms(altered("wear_out", change)) >= 0.085


@pytest.mark.parametrize("key", ["startup_reject", "reject_spread"])
def test_rejects_that_people_enter_are_taken_for_the_machine_s(key):
    by_hand = window_of(PLANTED[key], 1)
    by_hand = replace(by_hand, beside=replace(by_hand.beside, quality="operator"))
    change = ('window.beside.quality != "plc"', "False")
    assert rules()[key].find(by_hand) == []
    assert watched(altered(key, change).find(by_hand))


def test_common_stops_without_chance_are_found_where_nothing_is_common():
    change = ("return np.maximum(found, 1) / DRAWS", "return found * 0.0")
    assert not speaks(rules()["common_stop"], NULL)
    assert speaks(altered("common_stop", change), NULL)


def test_shifts_of_different_products_are_compared_without_regard_to_them():
    """Shift B makes the slower product only, and nothing else differs."""
    whole = window_of(replace(NULL, unlike_b=0.2), 1)
    made_by = (whole.facts.product == "B") == (whole.facts.shift == "B")
    rows = select(whole.facts, made_by | (whole.facts.business_date % 3 == 0))
    apart = replace(whole, facts=rows)
    change = ("place = (shift_at, product_at,", "place = (shift_at, 0 * product_at,")
    assert not watched(rules()["best_practice"].find(apart))
    assert watched(altered("best_practice", change).find(apart))


def test_without_odd_days_a_holiday_counts(monkeypatch):
    plan = replace(NULL, closed_week=3)
    assert len(history(plan, 1).dropped) == 2
    monkeypatch.setattr(window, "_odd_days", lambda stretches, *_: stretches.date[:0])
    assert len(history(plan, 1).dropped) == 0


def test_without_odd_days_a_holiday_is_taken_for_a_change(monkeypatch):
    """Nothing is different after a closed week but its first two days. The change that is measured is 0 on the average; with
    these days it is a sixth of all short stops.
    """

    def changes():
        out = []
        for seed in range(20):
            plan = replace(NULL, weeks=5, closed_week=2)
            whole = history(plan, seed)
            begin_ns, end_ns = (START_NS + week * 7 * window.DAY_NS for week in (2, 3))
            before, after = window.part_of(whole, START_NS, begin_ns), window.part_of(whole, end_ns, whole.end_ns)
            effect = ratio_effect(measure(before, "minor", ""), measure(after, "minor", ""), {}, mix=False)
            out.append(effect.change.value / effect.before)
        return np.mean(out), np.std(out, ddof=1) / np.sqrt(len(out))

    mean, error = changes()
    assert abs(mean) < 2.5 * error
    monkeypatch.setattr(window, "_odd_days", lambda stretches, *_: stretches.date[:0])
    mean, error = changes()
    assert mean > 2.5 * error


def test_without_confirmation_what_has_ended_is_told(monkeypatch):
    whole = past(replace(NULL, weeks=10, late_min=12, late_weeks=8), 3)

    def stage():
        records = []
        for week in (8, 9, 10):
            records, _ = night(whole, records, START_NS + week * 7 * window.DAY_NS)
        return {item.finding.identity: item.stage for item in records}["slow_start", ("shift_start",)]

    assert stage() == "lapsed"
    monkeypatch.setattr(life, "CONFIRMED_P", 1.1)
    assert stage() == "open"


def test_without_the_correction_for_many_tests_chance_is_watched(monkeypatch):
    """400 tests of nothing at 0.05 are 20."""
    tests = [("slow_start", float(p), True) for p in (np.arange(400) + 0.5) / 400]
    assert sum(catalogue.significant(tests)) == 0
    monkeypatch.setattr(catalogue, "benjamini_hochberg", lambda p, q: np.array(p) < q)
    assert sum(catalogue.significant(tests)) > 10
