"""Which target counts, and what targets come to over a period."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oee.kpi.targets import KINDS, RATIOS, Slice, Target, aim, counting, over_period

DAY = date(2026, 3, 2)
HERE = {"line": "stamping", "machine": "press-1", "product": "7", "day": DAY}
places = st.sampled_from([("", ""), ("stamping", ""), ("", "press-1"), ("moulding", ""), ("", "press-2")])
targets = st.builds(
    lambda place, product, since, source, value: Target({"oee": value}, *place, product, since, source),
    places,
    st.sampled_from(["", "7", "8"]),
    st.none() | st.dates(DAY - timedelta(days=3), DAY + timedelta(days=3)),
    st.sampled_from(["site", "center"]),
    st.floats(0.01, 1),
)


def slice_of(ms, *, machine="press-1", product="", day=DAY, share=1.0):
    return Slice("stamping", machine, product, day, ms, share)


def test_the_more_specific_counts_then_the_centers_then_the_later():
    site = Target({"oee": 0.5})
    line = Target({"oee": 0.55}, line="stamping")
    machine = Target({"oee": 0.6}, machine="press-1", since=date(2026, 1, 1))
    later = Target({"oee": 0.62}, machine="press-1", since=date(2026, 2, 1))
    told = Target({"oee": 0.58}, machine="press-1", source="center")
    product = Target({"oee": 0.7}, machine="press-1", product="7")
    future = Target({"oee": 0.9}, machine="press-1", product="7", since=date(2026, 3, 3))
    everywhere = Target({"oee": 0.99}, source="center")
    order = [site, everywhere, line, machine, later, told, product]
    for count in range(1, len(order) + 1):
        assert counting([*order[:count], future], "oee", **HERE) is order[count - 1]
    assert aim([future], "oee", **HERE) is None
    assert aim([Target({"pieces": 5})], "oee", **HERE) is None


@given(st.lists(targets, max_size=6), st.randoms(use_true_random=False))
def test_the_order_in_which_targets_are_told_decides_only_between_equals(some, random):
    mixed = [*some]
    random.shuffle(mixed)
    first, second = counting(some, "oee", **HERE), counting(mixed, "oee", **HERE)
    assert (first is None) == (second is None)
    if first and second:
        assert (first.line, first.machine, first.product, first.since, first.source) == (
            second.line, second.machine, second.product, second.since, second.source,
        )  # fmt: skip


@given(st.floats(0.01, 1), st.lists(st.floats(1, 1e9), min_size=1, max_size=9), st.sampled_from(RATIOS))
def test_a_target_that_does_not_change_is_its_own_mean(value, lengths, kind):
    found = over_period({"press-1": [Target({kind: value})]}, kind, [slice_of(ms) for ms in lengths])
    assert found.value == pytest.approx(value)
    assert (found.due, found.sources) == (None, {"site"})


def test_a_target_that_changes_is_weighted_by_planned_time():
    known = {"press-1": [Target({"oee": 0.5}), Target({"oee": 0.8}, since=date(2026, 3, 3), source="center")]}
    found = over_period(known, "oee", [slice_of(3_600_000), slice_of(7_200_000, day=date(2026, 3, 3))])
    assert found.value == pytest.approx((0.5 * 1 + 0.8 * 2) / 3)
    assert found.sources == {"site", "center"}


def test_pieces_of_a_shift_are_those_of_the_part_that_was_planned():
    known = {"press-1": [Target({"pieces": 400, "takt_s": 60})], "press-2": [Target({"pieces": 100, "takt_s": 30})]}
    slices = [
        slice_of(3_600_000, share=0.25),
        slice_of(7_200_000, share=1),
        slice_of(3_600_000, machine="press-2", share=0.5),
    ]
    assert over_period(known, "pieces", slices).due == pytest.approx(400 * 1.25 + 50)
    takt = over_period(known, "takt_s", slices)
    assert takt.due == pytest.approx(60 + 120 + 120)
    assert takt.value == pytest.approx(14_400 / 300), "the time for which one piece was asked"


@pytest.mark.parametrize("kind", KINDS)
def test_time_without_a_target_leaves_the_period_without_one(kind):
    known = {"press-1": [Target({kind: 0.5}, since=date(2026, 3, 3))]}
    later = slice_of(5, day=date(2026, 3, 3))
    assert over_period(known, kind, [slice_of(1), later]) is None
    assert over_period(known, kind, [slice_of(0), later]) is not None
    assert over_period(known, kind, [later, slice_of(5, machine="press-2", day=date(2026, 3, 3))]) is None
    assert over_period(known, kind, []) is None


@given(st.lists(st.tuples(st.sampled_from(["7", "8"]), st.floats(0.0, 1.0)), min_size=1, max_size=8))
def test_dividing_a_slice_changes_nothing(parts):
    known = {
        "press-1": [Target({"pieces": 10, "oee": 0.4}, product="7"), Target({"pieces": 20, "oee": 0.6}, product="8")]
    }
    whole = [slice_of(1000 * share, product=product, share=share) for product, share in parts]
    halves = [item._replace(ms=item.ms / 2, shift_share=item.shift_share / 2) for item in whole for _ in range(2)]
    for kind in ("oee", "pieces"):
        first, second = over_period(known, kind, whole), over_period(known, kind, halves)
        assert (first is None) == (second is None)
        if first:
            assert first.value == pytest.approx(second.value)
