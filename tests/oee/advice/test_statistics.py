"""Shared statistics of advice: worked examples to 1e-6, SciPy's `stats` where it has the thing, and laws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from oee.advice.statistics.failures import (
    between_failures,
    binomial_above,
    crow_amsaa,
    crow_amsaa_observed,
    rate_ratio,
    repair_time,
)
from oee.advice.statistics.ranks import benjamini_hochberg, hodges_lehmann, resampled, theil_sen
from oee.advice.statistics.ratios import (
    change_point,
    detectable_effect,
    difference_in_differences,
    ewc_degrees,
    one_window,
    ratio,
    slot_test,
    standardised,
    thirds_trend,
    two_windows,
)

# busy minutes and ideal minutes of good pieces of twelve business days before and after; a control on the same dates
BUSY_BEFORE = [885, 890, 870, 900, 880, 905, 890, 860, 895, 885, 900, 875]
GOOD_BEFORE = [531, 552, 487, 567, 519, 570, 525, 456, 540, 531, 558, 490]
BUSY_AFTER = [890, 880, 900, 885, 895, 870, 905, 890, 875, 900, 885, 880]
GOOD_AFTER = [587, 563, 612, 584, 573, 565, 624, 596, 551, 621, 602, 572]
CONTROL_BEFORE = (
    [563, 580, 552, 569, 567, 575, 563, 531, 570, 585, 575, 546],
    [880, 885, 890, 875, 900, 885, 880, 870, 890, 900, 885, 880],
)
CONTROL_AFTER = (
    [584, 579, 590, 594, 560, 587, 593, 594, 572, 593, 596, 569],
    [885, 890, 880, 900, 875, 890, 885, 900, 880, 885, 890, 875],
)
BEFORE, AFTER = (GOOD_BEFORE, BUSY_BEFORE), (GOOD_AFTER, BUSY_AFTER)
SETUPS_BEFORE = [58, 64, 71, 55, 83, 62, 96, 60, 74, 67, 59, 110]
SETUPS_AFTER = [41, 38, 52, 44, 36, 49, 40, 61, 43, 39]


def exactly(value):
    return pytest.approx(value, abs=1e-6)


def test_e1_one_machine_before_and_after():
    found = two_windows(BEFORE, AFTER)
    assert ewc_degrees(12) == 2
    assert found.df == 4
    assert ratio(*BEFORE)[0] == exactly(0.594828)
    assert ratio(*AFTER)[0] == exactly(0.661661)
    assert (found.value, found.omega, found.se) == (exactly(0.066833), exactly(0.000162), exactly(0.005201))
    assert (found.low, found.high) == (exactly(0.052393), exactly(0.081273))


def test_e2_a_control_takes_away_what_was_everybodys():
    found = difference_in_differences(BEFORE, AFTER, [CONTROL_BEFORE], [CONTROL_AFTER])
    control = two_windows(CONTROL_BEFORE, CONTROL_AFTER)
    assert control.value == exactly(0.021197)
    assert (found.value, found.omega, found.se) == (exactly(0.045636), exactly(0.000081), exactly(0.003673))
    assert (found.low, found.high) == (exactly(0.035438), exactly(0.055833))


def of_four_days(*totals):
    """Totals of products as four days that each differ a little, but add up to the totals."""
    shares = np.array([0.24, 0.26, 0.23, 0.27])
    return np.array([total * shares for total in totals])


def test_e3_the_mix_hid_a_gain():
    before = of_four_days(4320, 2200), of_four_days(6000, 4000)
    after = of_four_days(1776, 4640), of_four_days(2400, 8000)
    found = standardised(before, after)
    assert found.raw == exactly(-0.0350769231)
    assert list(found.weights) == [exactly(0.4117647059), exactly(0.5882352941)]
    assert (found.before, found.after) == (exactly(0.62), exactly(0.6458823529))
    assert found.change.value == exactly(0.0258823529)
    assert found.mix == exactly(-0.0609592760)
    assert found.covered == 1


def test_e4_changeovers_became_shorter():
    found = hodges_lehmann(SETUPS_BEFORE, SETUPS_AFTER)
    assert (found.value, found.low, found.high, found.rank) == (-23, -35, -16, 30)
    assert found.p == pytest.approx(3.7e-5, abs=5e-7)
    gain = 9 * (np.mean(SETUPS_BEFORE) - np.mean(SETUPS_AFTER))
    assert gain == exactly(245.55)


def test_e4_excess_over_the_median():
    excess = resampled(SETUPS_BEFORE, lambda x: x.mean(1) - np.median(x, axis=1), draws=4000, seed=8)
    assert 9 * (np.mean(SETUPS_BEFORE) - np.median(SETUPS_BEFORE)) == exactly(54.75)
    assert (9 * np.quantile(excess, [0.1, 0.9])).tolist() == [exactly(10.5), exactly(82.5)]


@pytest.mark.parametrize(
    ("before", "after", "points"), [(6, 6, 2.73), (12, 12, 1.93), (24, 24, 1.23), (48, 48, 0.81), (24, 12, 1.57)]
)
def test_e5_detectable_effect(before, after, points):
    omega = two_windows(BEFORE, AFTER).omega
    assert 100 * detectable_effect(omega, before, after) == pytest.approx(points, abs=0.005)


def test_e6_wear_out():
    worn = crow_amsaa([103, 212, 291, 360, 415, 466, 508, 547, 580], 600)
    assert (worn.beta, worn.beta_unbiased) == (exactly(1.81774), exactly(1.615769))
    assert (worn.chi2, worn.df, worn.p_wear_out) == (exactly(9.902404), 18, exactly(0.064955))
    steady = crow_amsaa([40, 95, 180, 230, 310, 340, 430, 515, 560], 600)
    assert (steady.beta, steady.p_wear_out) == (exactly(1.059176), exactly(0.476505))


def test_wear_that_is_seen_all_the_time_is_that_of_e6():
    at_h = np.array([103.0, 212, 291, 360, 415, 466, 508, 547, 580])
    found = crow_amsaa_observed(np.append(0.0, at_h), np.append(at_h, 600.0))
    assert (found.beta, found.beta_unbiased) == (exactly(1.81774), exactly(1.615769))
    assert (found.chi2, found.df, found.p_wear_out) == (exactly(9.902404), 18, exactly(0.064955))
    assert crow_amsaa_observed([0.0, 5.0], [5.0, 9.0]) is None
    assert crow_amsaa_observed([5.0, 5.0, 7.0], [5.0, 7.0, 9.0]) is None


def test_e7_short_stops_come_at_the_start_of_a_shift():
    hits = [4, 1, 3, 2, 6, 0, 3, 5, 2, 4, 1, 3]
    rest = [19, 14, 22, 12, 27, 18, 13, 21, 16, 24, 9, 20]
    found = slot_test(hits, [0.5] * 12, rest, [7.0] * 12)
    assert (found.rate_slot, found.rate_rest) == (exactly(5.666667), exactly(2.559524))
    assert (found.ratio, found.low, found.high) == (exactly(2.213953), exactly(1.661301), exactly(2.950453))
    assert found.p == pytest.approx(3.9e-5, abs=5e-7)


def test_e8_many_tests():
    p = [0.0004, 0.019, 0.031, 0.22, 0.0031, 0.048, 0.51, 0.012, 0.74, 0.09]
    dropped = {0.22, 0.51, 0.74, 0.09}
    assert benjamini_hochberg(p, 0.10).tolist() == [value not in dropped for value in p]
    assert (
        benjamini_hochberg(p + [0.5] * 30, 0.10).tolist() == [value in {0.0004, 0.0031} for value in p] + [False] * 30
    )


@given(st.integers(1, 60), st.floats(0.1, 1e5))
def test_limits_of_repair_times_are_those_of_a_gamma_sum(n, total):
    found = repair_time(n, total)
    assert found.value == pytest.approx(total / n)
    # a sum of n exponential times of mean m is a gamma variable: at the limits the sum seen lies in a tail of 2.5 %
    assert stats.gamma(n, scale=found.low).sf(total) == pytest.approx(0.025, rel=1e-6)
    assert stats.gamma(n, scale=found.high).cdf(total) == pytest.approx(0.025, rel=1e-6)
    assert repair_time(0, total) is repair_time(n, 0) is None


def test_e9_time_between_failures():
    nine = between_failures(9, 600)
    assert (nine.value, nine.low, nine.high) == (
        pytest.approx(66.6667, abs=1e-4),
        pytest.approx(35.1189, abs=1e-4),
        pytest.approx(145.7948, abs=1e-4),
    )
    none = between_failures(0, 600)
    assert (none.value, none.high) == (None, None)
    assert none.low == pytest.approx(200.2849, abs=1e-4)
    assert between_failures(1, 600).value is None


def test_e10_a_fall_by_two_thirds_is_not_yet_shown():
    found = rate_ratio(14, 700, 5, 680)
    assert (found.value, found.low, found.high) == (exactly(0.367647), exactly(0.103635), exactly(1.080165))


# against SciPy


values = st.lists(st.integers(-40, 40), min_size=2, max_size=20)


@given(values, values)
def test_ranks_as_scipy_has_them(before, after):
    found = hodges_lehmann(before, after)
    scipys = stats.mannwhitneyu(after, before, alternative="two-sided", method="exact").pvalue
    assert found.value == np.median(np.subtract.outer(after, before))
    if not set(before) & set(after):
        assert found.p == pytest.approx(scipys, rel=1e-9)
    if found.low is not None:
        assert found.low <= found.value <= found.high
        assert len(before) * len(after) >= 2 * found.rank


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(-100, 100)), min_size=2, max_size=30))
def test_theil_sen_as_scipy_has_it(points):
    x, y = np.array([p[0] for p in points], float), np.array([p[1] for p in points])
    if len(set(x)) < 2:
        assert theil_sen(x, y) is None
    else:
        assert theil_sen(x, y) == pytest.approx(stats.theilslopes(y, x).slope, abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.01, 0.3))
def test_benjamini_hochberg_as_scipy_has_it(p, q):
    kept = benjamini_hochberg(p, q)
    adjusted = stats.false_discovery_control(p)
    clear = np.abs(adjusted - q) > 1e-9
    assert (kept == (adjusted <= q))[clear].all()


@given(st.integers(0, 30), st.integers(1, 30), st.floats(0.001, 0.999))
def test_binomial_as_scipy_has_it(k, n, p):
    assert binomial_above(k, n, p) == pytest.approx(stats.binom.sf(k - 1, n, p), rel=1e-8, abs=1e-15)


@given(st.integers(1, 60), st.floats(10, 1e4))
def test_limits_between_failures_are_poisson_limits(n, total):
    found = between_failures(n, total)
    assert stats.poisson.sf(n - 1, total / found.high) == pytest.approx(0.025, rel=1e-6)
    assert stats.poisson.cdf(n, total / found.low) == pytest.approx(0.025, rel=1e-6)


@given(st.integers(1, 40), st.integers(0, 40))
def test_rate_ratio_is_clopper_pearson(before, after):
    found = rate_ratio(before, 500, after, 250)
    limits = stats.binomtest(after, before + after).proportion_ci(0.95, method="exact")
    assert found.low == pytest.approx(limits.low / (1 - limits.low) * 2, rel=1e-6)
    assert found.high == pytest.approx(limits.high / (1 - limits.high) * 2, rel=1e-6)


# laws

days = st.integers(4, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(0, 900), min_size=n, max_size=n), st.lists(st.floats(1, 1000), min_size=n, max_size=n)
    )
)


@given(days)
def test_influence_sums_to_nothing_and_a_ratio_knows_no_order(window):
    value, u = ratio(*window)
    assert u.sum() == pytest.approx(0, abs=1e-6)
    backwards = ratio(window[0][::-1], window[1][::-1])
    assert backwards[0] == pytest.approx(value, rel=1e-12)
    assert backwards[1][::-1] == pytest.approx(u)


@given(days, days, st.floats(0.01, 100))
def test_units_do_not_matter(before, after, scale):
    found = two_windows(before, after)
    scaled = two_windows(*((np.array(n) * scale, np.array(d) * scale) for n, d in (before, after)))
    assert (scaled.value, scaled.se) == (
        pytest.approx(found.value, abs=1e-9),
        pytest.approx(found.se, rel=1e-6, abs=1e-9),
    )
    stretched = two_windows(*((np.array(n) * scale, d) for n, d in (before, after)))
    assert stretched.low == pytest.approx(found.low * scale, rel=1e-6, abs=1e-6)


@given(days, days)
def test_before_and_after_are_mirror_images(before, after):
    """Turning time round turns the sign: the cosines of a series read backwards have the same squares."""
    there, back = two_windows(before, after), two_windows(after, before)
    assert back.value == pytest.approx(-there.value, abs=1e-12)
    assert back.se == pytest.approx(there.se, rel=1e-9)
    turned = two_windows(*((n[::-1], d[::-1]) for n, d in (after, before)))
    assert turned.se == pytest.approx(there.se, rel=1e-6, abs=1e-12)
    assert there.p_above() + back.p_above() == pytest.approx(1, abs=1e-9)


@given(days, days)
def test_a_control_like_the_machine_leaves_nothing(before, after):
    found = difference_in_differences(before, after, [before], [after])
    assert (found.value, found.se) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-9))
    alone = difference_in_differences(before, after, [], [])
    assert alone == two_windows(before, after)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=30), st.integers(0, 29))
def test_a_smaller_p_never_loses_what_was_kept(p, which):
    kept = benjamini_hochberg(p)
    smaller = list(p)
    smaller[which % len(p)] /= 10
    assert (benjamini_hochberg(smaller) | ~kept).all()
    assert (benjamini_hochberg(p, 0.1) | ~kept).all()


@given(st.lists(st.floats(0.01, 599), min_size=2, max_size=30), st.floats(0.001, 1000))
def test_neither_unit_nor_order_changes_wear(times, scale):
    found, scaled = crow_amsaa(times, 600), crow_amsaa(np.array(times[::-1]) * scale, 600 * scale)
    assert scaled.beta == pytest.approx(found.beta, rel=1e-6)
    assert found.beta_unbiased == pytest.approx(found.beta * (found.n - 1) / found.n)
    assert found.p_wear_out + found.p_growth == pytest.approx(1)


def test_without_enough_data_nothing_is_said():
    three = ([1, 2, 3], [4, 5, 6])
    assert ratio([1], [0]) is None
    assert one_window(*three) is two_windows(three, three) is two_windows(([1] * 5, [0] * 5), BEFORE) is None
    assert difference_in_differences(BEFORE, AFTER, [([1], [0])], [CONTROL_AFTER]) is None
    assert thirds_trend([1] * 35, [2] * 35) is None
    assert slot_test([0, 0], [1, 1], [5, 5], [7, 7]) is slot_test([1], [1], [5], [7]) is None
    assert crow_amsaa([5], 10) is crow_amsaa([10, 10], 10) is None
    assert between_failures(3, 0) is rate_ratio(0, 5, 3, 5) is None
    assert hodges_lehmann([], [1]) is theil_sen([1, 1], [2, 3]) is None
    assert hodges_lehmann([1, 2], [3, 4]).low is None
    assert change_point([1] * 6, 1) is change_point([1] * 20, 0) is None
    assert detectable_effect(1, 3, 12) == math.inf
    assert len(resampled([], lambda x: x.mean(1))) == 0
    assert benjamini_hochberg([]).tolist() == []
    assert standardised((np.ones((1, 3)), np.ones((1, 3))), (np.ones((1, 3)), np.ones((1, 3)))) is None


def test_products_of_one_window_only_are_not_compared():
    ones, none = np.ones(6), np.zeros(6)
    common = np.array([ones, none]), np.array([ones * 9, none])
    some = np.array([ones, ones]), np.array([ones * 9, ones])
    assert standardised(common, some).weights.tolist() == [1, 0]
    much = np.array([ones, ones]), np.array([ones * 9, ones * 9])
    assert standardised(common, much) is None


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="failure times must lie in"):
        crow_amsaa([5, 601], 600)
    with pytest.raises(ValueError, match="same dates"):
        difference_in_differences(BEFORE, AFTER, [([1] * 5, [2] * 5)], [CONTROL_AFTER])
    with pytest.raises(ValueError, match="1 controls before, but 0 after"):
        difference_in_differences(BEFORE, AFTER, [CONTROL_BEFORE], [])


# what intervals are worth


def moods(rng, machines, t, rho):
    mood = rng.standard_normal((machines, t))
    for i in range(1, t):
        mood[:, i] = rho * mood[:, i - 1] + math.sqrt(1 - rho**2) * mood[:, i]
    return mood


def of_days(rng, machines, t, rho, common=None, level=0.60):
    """Busy and good ideal minutes, float64[machines, t]: days that resemble the day before, half days, breakdowns. common:
    mood that half of a machine's own comes from.
    """
    busy = (880 + 25 * rng.standard_normal((machines, t))) * np.where(rng.random((machines, t)) < 0.06, 0.5, 1.0)
    mood = moods(rng, machines, t, rho)
    if common is not None:
        mood = math.sqrt(0.5) * (common + mood)
    lost = np.where(rng.random((machines, t)) < 0.08, 0.10 * np.exp(0.6 * rng.standard_normal((machines, t))), 0)
    week = np.where(np.arange(t) % 6 == 0, -0.02, 0.0)
    share = np.clip(level + 0.055 * mood + week - np.minimum(lost, 0.4), 0, 1)
    return busy * share, busy


@pytest.mark.parametrize(("t", "rho", "low", "high"), [(24, 0.0, 0.925, 0.975), (24, 0.5, 0.915, 0.975), (48, 0.5, 0.915, 0.975), (24, 0.7, 0.88, 0.975)])  # fmt: skip
def test_intervals_cover_as_often_as_they_say(t, rho, low, high):
    """1,500 repetitions: the share has a standard error of 0.6 points, which the bounds allow for at the edge."""
    rng = np.random.default_rng(41)
    repetitions = 1500
    nb, db = of_days(rng, repetitions, t, rho)
    na, da = of_days(rng, repetitions, t, rho)
    covered = 0
    for i in range(repetitions):
        found = two_windows((nb[i], db[i]), (na[i], da[i]))
        covered += found.low <= 0 <= found.high
    assert low <= covered / repetitions <= high


def test_a_trend_is_found_and_seldom_imagined():
    rng = np.random.default_rng(29)
    t, rho, false, found = 48, 0.3, 0, 0
    for _ in range(600):
        e = rng.standard_normal(t)
        for i in range(1, t):
            e[i] = rho * e[i - 1] + math.sqrt(1 - rho**2) * e[i]
        null, drift = thirds_trend(1.5 * e, np.ones(t)), thirds_trend(1.5 * e + 0.2 * np.arange(t), np.ones(t))
        false += not null.low <= 0 <= null.high
        found += drift.low > 0
    assert false / 600 < 0.08
    assert found / 600 > 0.95


def test_a_change_is_dated():
    y = np.r_[np.zeros(20), np.ones(14)] + np.random.default_rng(3).normal(0, 0.2, 34)
    found = change_point(y, 0.04)
    assert abs(found.at - 20) <= 1
    assert found.size == pytest.approx(1, abs=0.2)
    assert found.t > 5
