"""What the benchmark shows: the rules by their examples, and attacks by whoever sees every table."""

from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oee.benchmark.disclosure import FEWEST_SITES, band, may_be_shown, quartiles
from oee.benchmark.table import ALL_TRADES, STEPS, CellKey, Contribution, members_of_year, shown_cells

ELEVEN = (0.38, 0.42, 0.47, 0.49, 0.51, 0.55, 0.58, 0.61, 0.66, 0.70, 0.79)
WEIGHTS = st.lists(st.integers(0, 10**9), max_size=30)


def sites(trade, values, *, weight_ms=1_000, kind="injection", measure="oee"):
    weights = weight_ms if isinstance(weight_ms, (list, tuple)) else [weight_ms] * len(values)
    return [
        Contribution(f"{trade}-{number}", trade, kind, measure, weight, value)
        for number, (value, weight) in enumerate(zip(values, weights, strict=True))
    ]


def shown(contributions, withdrawn=()):
    return shown_cells(contributions, {item.site for item in contributions}, withdrawn)


def key(trade=ALL_TRADES, kind="injection", measure="oee"):
    return CellKey(measure, kind, trade)


@pytest.mark.parametrize(
    ("weights", "safe"),
    [
        ((400, 300, 200, 60, 40, 30), True),
        ((900, 80, 10, 5, 5, 4), False),  # p %: all but two are 24, 15 % of the largest is 135
        ((700, 200, 60, 30, 20, 15), False),  # p % holds, but two have 88 % of the whole
        ((500, 500, 100, 90, 80), False),  # too few
        ((0, 0, 0, 0, 0, 0), False),
        ((100, 100, 100, 100, 100, -1), False),
    ],
)
def test_worked_examples_of_the_rules(weights, safe):
    assert may_be_shown(weights) is safe


def test_worked_example_of_the_quartiles():
    assert astuple(quartiles(ELEVEN)) == pytest.approx((0.46, 0.546667, 0.656667), abs=1e-6)
    assert astuple(quartiles(ELEVEN[::-1])) == astuple(quartiles(ELEVEN))


@given(WEIGHTS)
def test_the_order_of_the_weights_and_their_unit_do_not_matter(weights):
    safe = may_be_shown(weights)
    assert may_be_shown(weights[::-1]) is safe
    assert may_be_shown([weight * 60_000 for weight in weights]) is safe


@given(WEIGHTS)
def test_of_what_may_be_shown_no_member_can_tell_another_within_fifteen_percent(weights):
    """The second largest subtracts itself from the whole: what remains bounds the largest from above."""
    if may_be_shown(weights):
        largest, second = sorted(weights, reverse=True)[:2]
        assert (sum(weights) - second) - largest >= 0.15 * largest
        assert len(weights) >= FEWEST_SITES


@given(st.lists(st.floats(0, 1.2), min_size=FEWEST_SITES, max_size=40))
def test_quartiles_are_in_order_within_the_values_and_none_is_a_single_one(values):
    found, ordered = quartiles(values), np.sort(values)
    low, middle, high = astuple(found)
    assert ordered[0] - 1e-12 <= low <= middle + 1e-12 <= high + 2e-12 <= ordered[-1] + 3e-12
    for place in range(
        len(ordered)
    ):  # whichever site says nothing true, each quartile moves by a third of that at most
        moved = ordered.copy()
        moved[place] = 2.0
        assert all(
            abs(a - b) <= 2.0 / 3 + 1e-12 for a, b in zip(astuple(quartiles(moved)), astuple(found), strict=True)
        )


@pytest.mark.parametrize("values", [(0.5,) * 5, (0.5,) * 5 + (float("nan"),), (0.5,) * 6 + (float("inf"),)])
def test_too_few_values_or_none_are_refused(values):
    with pytest.raises(ValueError, match="finite"):
        quartiles(values)


def test_the_number_of_sites_is_a_band():
    assert [band(count) for count in (0, 5, 6, 9, 10, 19, 20, 500)] == [
        "",
        "",
        "6-9",
        "6-9",
        "10-19",
        "10-19",
        "20+",
        "20+",
    ]


def test_what_is_shown_is_rounded_to_a_point_or_a_minute():
    table = shown(
        [*sites("plastics", ELEVEN), *sites("plastics", [value * 100 for value in ELEVEN], measure="changeover_min")]
    )
    assert astuple(table[key("plastics")].quartiles) == (0.46, 0.55, 0.66)
    assert astuple(table[key("plastics", measure="changeover_min")].quartiles) == (46.0, 55.0, 66.0)
    assert table[key("plastics")].sites == "10-19"


def test_a_parent_needs_no_hidden_child_or_several_that_are_safe_together():
    large, three, four = ELEVEN, ELEVEN[:3], ELEVEN[:4]
    assert set(shown(sites("plastics", large))) == {key(), key("plastics")}
    alone = [*sites("plastics", large), *sites("rubber", three)]
    assert set(shown(alone)) == {key("plastics")}, "the parent minus its shown child would be the hidden one"
    assert set(shown([*alone, *sites("metal", three)])) == {key("plastics"), key()}, "two are hidden, six sites in all"
    few = [*sites("plastics", large), *sites("rubber", ELEVEN[:2]), *sites("metal", three)]
    assert set(shown(few)) == {key("plastics")}, "two are hidden, but of five sites"
    dominated = [*sites("plastics", large), *sites("rubber", three, weight_ms=[10**6, 1, 1]), *sites("metal", four)]
    assert set(shown(dominated)) == {key("plastics")}, "two are hidden, and one site dominates them"


def test_who_is_no_member_changes_nothing():
    members = sites("plastics", ELEVEN)
    joined = sites("rubber", ELEVEN)
    names = {item.site for item in members}
    assert shown_cells([*members, *joined], names) == shown_cells(members, names)


def test_membership_is_what_stood_when_the_years_first_table_was_made():
    assert members_of_year({"a": 10, "b": 20, "c": 21}, first_ns=20) == {"a", "b"}


def test_whoever_withdraws_takes_its_cells_along_for_the_rest_of_the_year():
    """The quarter before minus the quarter after would be its own figure."""
    all_sites = [*sites("plastics", ELEVEN), *sites("rubber", ELEVEN), *sites("rubber", ELEVEN, kind="press")]
    table = shown(all_sites, withdrawn={"plastics-0"})
    assert set(table) == {key("rubber"), key("rubber", kind="press"), key(kind="press")}


def test_a_site_has_one_trade():
    with pytest.raises(ValueError, match="'plastics-0' contributes twice"):
        shown([*sites("plastics", ELEVEN), replace(sites("plastics", ELEVEN)[0], trade="rubber")])


TRADES = ("plastics", "rubber", "metal", "garment")
WORLDS = st.lists(
    st.tuples(
        st.sampled_from(TRADES), st.sampled_from(("injection", "press")), st.integers(1, 10**6), st.floats(0.05, 1.0)
    ),
    max_size=60,
).map(
    lambda rows: [
        Contribution(f"s{number}", trade, kind, "oee", weight, value)
        for number, (trade, kind, weight, value) in enumerate(rows)
    ]
)


@given(WORLDS, st.randoms(use_true_random=False))
def test_hidden_values_can_be_swapped_without_anything_shown_changing(world, dice):
    """Whatever somebody computes from all tables together holds for every swap of what is hidden, so for no site of it."""
    table = shown(world)
    hidden = [item for item in world if CellKey("oee", item.kind, item.trade) not in table]
    for kind in ("injection", "press"):
        of_kind = [item for item in hidden if item.kind == kind]
        values = [item.value for item in of_kind]
        dice.shuffle(values)
        swapped = {item.site: replace(item, value=value) for item, value in zip(of_kind, values, strict=True)}
        assert shown([swapped.get(item.site, item) for item in world]) == table
        if of_kind and CellKey("oee", kind, ALL_TRADES) in table:
            assert len({item.trade for item in of_kind}) > 1
            assert may_be_shown([item.weight_ms for item in of_kind])
        elif of_kind:  # not in any sum: nothing shown depends on them at all
            gone = [replace(item, value=0.01) if item in of_kind else item for item in world]
            assert shown(gone) == table


@given(WORLDS)
def test_the_order_in_which_sites_are_given_does_not_matter(world):
    assert shown(world[::-1]) == shown(world)


@given(st.lists(st.floats(0.05, 1.0), min_size=FEWEST_SITES, max_size=30), st.floats(0.05, 1.0))
def test_two_quarters_of_a_year_do_not_tell_who_joined(values, joiner):
    before = sites("plastics", values)
    members = {item.site for item in before}
    after = [*before, Contribution("new", "plastics", "injection", "oee", 1_000, joiner)]
    assert shown_cells(after, members) == shown_cells(before, members)


def test_every_measure_has_a_step():
    for measure in STEPS:
        values = [value * (100 if measure == "changeover_min" else 1) for value in ELEVEN]
        assert key("plastics", measure=measure) in shown(sites("plastics", values, measure=measure))
