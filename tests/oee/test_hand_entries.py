"""Rejects and rework that people enter: an entry is its period's count, laid over the pieces of the period."""

import pytest
from driving import GAP, say
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_machine import TOTAL, T, machine, minute, ran

from oee.kpi.entries import MoreThanMade, more_than_made
from oee.kpi.kpi import compute
from oee.model.machine import OPERATOR, Pieces

ENTERED = machine(pieces=Pieces(TOTAL, reject=OPERATOR))
TEN = {"d.total": [(0, 0), *((t, t // 12) for t in range(12, 121, 12))]}


def test_rejects_entered_by_hand_make_the_period_judged():
    """Design, Spreading: laid over the pieces of the period, largest remainder, earliest first."""
    sums = ran(180, TEN, ENTERED, said=[say(1, T, T + 120, "rejects", "3")]).sums()
    assert (sums.get("pieces_judged"), sums.get("pieces_good"), sums.get("pieces_process_reject")) == (9, 6, 3)


def test_a_zero_entered_by_hand_counts():
    sums = ran(180, TEN, ENTERED, said=[say(1, T, T + 121, "rejects", "0")]).sums()
    assert (sums.get("pieces_judged"), sums.get("pieces_good")) == (10, 10)


def test_an_entry_supersedes_those_inside_it():
    said = [
        say(1, T, T + 60, "rejects", "4"),
        say(2, T, T + 121, "rejects", "1"),
    ]
    sums = ran(180, TEN, ENTERED, said=said).sums()
    assert (sums.get("pieces_judged"), sums.get("pieces_process_reject")) == (10, 1)


def test_rejects_of_a_period_without_pieces_fall_into_its_last_minute():
    said = [say(1, T, T + 180, "rejects", "2")]
    told = ran(240, {"d.total": [(0, 0)]}, ENTERED, said=said)
    assert told.sums(start=T + 120, end=T + 180).get("pieces_process_reject") == 2


def test_largest_remainder_earliest_first():
    """Design, Spreading: laid into minutes. Three rejects over minutes of 4 and 5 pieces are 1.33 and 1.67. Laid over
    single pieces they all fall on the first three: a shift's rejects would always look like start-up rejects."""
    told = ran(180, TEN, ENTERED, said=[say(1, T, T + 120, "rejects", "3")])
    assert [minute(told, n).get("pieces_process_reject", 0) for n in range(3)] == [1, 2, 0]
    assert [minute(told, n).get("pieces_judged", 0) for n in range(3)] == [4, 5, 0]


def test_a_remainder_that_ties_goes_to_the_earlier_minute():
    rows = {"d.total": [(0, 0), (10, 2), (70, 4)]}
    told = ran(180, rows, ENTERED, said=[say(1, T, T + 120, "rejects", "1")])
    assert [minute(told, n).get("pieces_process_reject", 0) for n in range(2)] == [1, 0]


def test_pieces_outside_the_period_stay_unjudged():
    told = ran(180, TEN, ENTERED, said=[say(1, T + 60, T + 110, "rejects", "1")])
    sums = told.sums()
    assert (sums["pieces_total"], sums["pieces_judged"], sums["pieces_good"]) == (10, 5, 4)
    assert compute(sums).values["quality"] == pytest.approx(0.8)


def test_rework_is_not_good():
    said = [say(1, T, T + 121, "rejects", "2"), say(2, T, T + 121, "rework", "1")]
    sums = ran(180, TEN, ENTERED_REWORK, said=said).sums()
    found = [sums.get(f"pieces_{name}", 0) for name in ("judged", "good", "rework", "process_reject")]
    assert found == [10, 7, 1, 2]


ENTERED_REWORK = machine(pieces=Pieces(TOTAL, reject=OPERATOR, rework=OPERATOR))


def test_an_entry_taken_back_leaves_its_pieces_unjudged():
    said = [say(1, T, T + 121, "rejects", "2"), say(2, T, T + 121, "rejects", "", supersedes="d0001")]
    sums = ran(180, TEN, ENTERED, said=said).sums()
    assert (sums["pieces_total"], sums.get("pieces_judged", 0), sums.get("pieces_process_reject", 0)) == (10, 0, 0)


def test_an_entry_corrected():
    said = [say(1, T, T + 121, "rejects", "2"), say(2, T, T + 121, "rejects", "5", supersedes="d0001")]
    assert ran(180, TEN, ENTERED, said=said).sums()["pieces_process_reject"] == 5


def test_an_entry_of_one_product_is_laid_over_its_pieces_only():
    made = machine(pieces=Pieces(TOTAL, reject=OPERATOR), product_tag="d.product")
    rows = TEN | {"d.product": [(0, "p"), (60, "q")]}
    told = ran(180, rows, made, said=[say(1, T, T + 121, "rejects", "2", product="q")])
    p, q = told.sums(product="p"), told.sums(product="q")
    assert (p["pieces_total"], p.get("pieces_judged", 0)) == (5, 0)
    assert (q["pieces_total"], q["pieces_judged"], q["pieces_process_reject"]) == (5, 5, 2)
    assert q["ideal_process_reject_us"] == 6_000_000


def test_pieces_and_rejects_of_an_entry_add_up_in_every_minute():
    told = ran(180, TEN, ENTERED, said=[say(1, T, T + 121, "rejects", "7")])
    for row in told.rows.values():
        causes = [row.get(f"pieces_{name}", 0) for name in ("good", "rework", "startup_reject", "process_reject")]
        assert row.get("pieces_judged", 0) == sum(causes)
        assert row.get("pieces_good", 0) >= 0


@pytest.mark.parametrize("cuts", [[30], [60, 90], [115, 150], range(10, 180, 10)])
def test_an_entry_known_from_the_start_is_the_same_in_blocks(cuts):
    said = [say(1, T, T + 100, "rejects", "3")]
    assert ran(180, TEN, ENTERED, said=said, cuts=cuts).rows == ran(180, TEN, ENTERED, said=said).rows


@pytest.mark.parametrize("cuts", [[30], [60, 90], range(10, 180, 10)])
def test_an_entry_across_an_outage_is_the_same_in_blocks(cuts):
    rows = {"d.total": [(0, 0), (10, 3), (40, 6), (50, GAP), (70, 9), (90, 12)]}
    said = [say(1, T, T + 100, "rejects", "3")]
    assert ran(180, rows, ENTERED, said=said, cuts=cuts).rows == ran(180, rows, ENTERED, said=said).rows


@pytest.mark.parametrize("cuts", [[], [30], [60, 90], range(10, 180, 10)])
def test_an_entry_that_begins_before_the_first_sample_is_that_of_all_pieces_since(cuts):
    """Whoever starts a gateway in the middle of a shift enters the rejects of the shift."""
    said = [say(1, T - 3600, T + 121, "rejects", "3")]
    told = ran(180, TEN, ENTERED, said=said, cuts=cuts)
    sums = told.sums()
    assert (sums["pieces_judged"], sums["pieces_good"], sums["pieces_process_reject"]) == (10, 7, 3)
    assert told.rows == ran(180, TEN, ENTERED, said=[say(1, T, T + 121, "rejects", "3")]).rows


def test_an_entry_that_ends_before_the_first_sample_is_of_nothing():
    said = [say(1, T - 3600, T, "rejects", "3")]
    assert ran(180, TEN, ENTERED, said=said).rows == ran(180, TEN, ENTERED).rows


@settings(max_examples=25, deadline=None)
@given(counts=st.lists(st.integers(0, 3), max_size=4), rejects=st.integers(0, 9), rework=st.integers(0, 4))
def test_an_entry_is_doubted_exactly_where_quality_would_be_below_zero(counts, rejects, rework):
    """Whoever enters it is asked before it counts, by the rule that flags the numbers afterwards."""
    total = [(0, 0), *((30 * n + 10, sum(counts[: n + 1])) for n in range(len(counts)))]
    first = say(1, T, T + 121, "rework", str(rework))
    second = say(2, T, T + 121, "rejects", str(rejects))
    before = ran(180, {"d.total": total}, ENTERED_REWORK, said=[first]).sums()
    doubt = more_than_made("rejects", second.value, before)
    after = ran(180, {"d.total": total}, ENTERED_REWORK, said=[first, second]).sums()
    assert (doubt is not None) == (after.get("pieces_good", 0) < 0 and rejects > 0)
    assert doubt is None or doubt == MoreThanMade(sum(counts), rejects + rework)


def test_what_is_no_entry_of_pieces_is_not_doubted():
    none = {"pieces_total": 0}
    assert more_than_made("reason", "9", none) is None
    assert more_than_made("rejects", "", none) is None  # it withdraws
    assert more_than_made("rejects", "0", none) is None
    assert more_than_made("rejects", "1", none) == MoreThanMade(0, 1)
    assert more_than_made("rejects", "1", {"pieces_unwatched": 1}) is None
