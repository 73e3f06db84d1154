"""The comparison itself: it must be able to fail."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from demo import prove
from demo.proof import STATES, Figures, compare, count_transitions, measured_figures, truth_figures
from simulator.demo import factory

MS = dict.fromkeys(STATES, 0) | {"running": 50_000, "minor_stop": 10_000}
SAME = Figures(MS, 20, 19, 1.0, 0.7, 0.95, 0.665)


def judge(measured, *, truth=SAME, transitions=None, **more):
    counts = transitions or {"running": 2, "minor_stop": 2, "all": 2}
    return compare("m", truth, measured, transitions=counts, period_s=1.0, ideal_s=2.0, **more).complaints


def test_equal_figures_are_proof():
    assert judge(SAME) == ()


def test_one_piece_too_many_is_a_complaint():
    assert judge(replace(SAME, pieces=21)) == ("pieces: 21 measured, 20 true",)
    assert judge(replace(SAME, good=18)) == ("good pieces: 18 measured, 19 true",)


def test_a_state_may_differ_by_a_period_for_each_transition_and_no_more():
    near = replace(SAME, ms=MS | {"running": 48_000, "minor_stop": 12_000})
    far = replace(SAME, ms=MS | {"running": 47_700, "minor_stop": 12_300})
    assert judge(near) == ()
    assert len(judge(far)) == 2
    assert len(judge(near, transitions={"all": 0})) == 2


def test_states_that_cannot_be_told_apart_are_compared_together():
    swapped = replace(SAME, ms=MS | {"minor_stop": 0, "unplanned_stop": 10_000})
    assert judge(swapped)
    assert judge(swapped, together=[("minor_stop", "unplanned_stop")]) == ()


def test_a_stop_that_a_gap_cuts_is_not_told_from_running_by_a_counter_of_pulses_alone():
    states = [(0, "running"), (10, "minor_stop"), (40, "running")]
    cut, clear = [(20, 35)], [(42, 50)]
    plain, unseen = [("minor_stop", "unplanned_stop", "setup")], [("running", "minor_stop", "unplanned_stop", "setup")]
    found = {
        (by_pulses, where): prove._together(states, gaps, older=False, by_pulses=by_pulses)
        for by_pulses in (False, True)
        for where, gaps in (("cut", cut), ("clear", clear), ("none", []))
    }
    assert found == {
        (False, "cut"): plain, (False, "clear"): plain, (False, "none"): (),
        (True, "cut"): unseen, (True, "clear"): plain, (True, "none"): (),
    }  # fmt: skip
    assert prove._together(states, [], older=True, by_pulses=True) == unseen


def test_oee_has_a_tolerance_and_null_is_not_zero():
    """Half a point; a period for each time that busy time begins or ends; an ideal time for a piece on the other side."""
    assert judge(replace(SAME, oee=0.665 + 0.004)) == ()
    assert judge(replace(SAME, oee=0.665 + 0.006))
    assert judge(replace(SAME, oee=0.665 + 0.018), busy_edges=1) == ()
    assert judge(replace(SAME, oee=0.665 + 0.020), busy_edges=1)
    assert judge(replace(SAME, oee=0.665 + 0.033), piece_edges=1) == ()
    assert judge(replace(SAME, oee=0.665 + 0.034), piece_edges=1)
    assert judge(replace(SAME, oee=None))


@given(
    st.integers(0, 600_000),
    st.floats(0.3, 200),
    st.floats(0.1, 10),
    st.integers(0, 20),
    st.integers(0, 5),
    st.integers(0, 8),
    st.floats(0, 3),
)
def test_a_tolerance_under_which_nothing_could_fail_is_none(busy_ms, ideal_s, period_s, edges, pieces, unwatched, oee):
    truth = replace(SAME, ms=dict.fromkeys(STATES, 0) | {"running": busy_ms}, oee=oee)
    found = compare(
        "m", truth, replace(truth, unwatched=unwatched, oee=oee + 0.06), transitions={"all": 50}, period_s=period_s,
        ideal_s=ideal_s, unwatched_slack=8, busy_edges=edges, piece_edges=pieces,
    )  # fmt: skip
    if found.tolerance_oee is None:
        assert found.complaints == ()
        assert busy_ms < 2 * ideal_s * 1000 or edges or pieces or unwatched
    else:
        assert 0.005 <= found.tolerance_oee <= 0.05
        assert found.complaints, "six points off are always told"


def test_two_minutes_are_enough_for_every_machine_of_the_demo():
    """The slowest cycle of the demo's factory, without a gap; a minute is too short for it."""
    ideal_s = max(
        item.ideal_s for machine in factory(datetime(2026, 9, 21, tzinfo=UTC)).machines for item in machine.products
    )
    assert 30 < ideal_s < 60
    for busy_s, is_judged in ((60, False), (120, True)):
        truth = replace(SAME, ms=dict.fromkeys(STATES, 0) | {"running": busy_s * 1000}, pieces=1, good=1)
        found = compare("cnc", truth, truth, transitions={}, period_s=1.0, ideal_s=ideal_s)
        assert (found.tolerance_oee is not None) == is_judged


def test_without_pieces_nothing_is_good_or_bad():
    truth = replace(SAME, pieces=0, good=None)
    found = compare("m", truth, replace(truth, good=0), transitions={}, period_s=1.0, ideal_s=2.0)
    assert (found.complaints, found.measured.good) == ((), None)


def test_pieces_of_a_gap_must_be_unwatched():
    truth = replace(SAME, unwatched=5)
    assert judge(SAME, truth=truth)
    assert judge(replace(SAME, unwatched=4), truth=truth, unwatched_slack=1) == ()


@given(st.lists(st.sampled_from(["running", "setup", "blocked"])))
def test_every_transition_ends_one_state_and_begins_another(states):
    counts = count_transitions(states)
    total = counts.pop("all", 0)
    assert sum(counts.values()) == 2 * total


def test_truth_of_watched_parts_adds_up():
    def part(running_ms, pieces):
        sums = {
            "total": pieces,
            "good": pieces,
            "startup_reject": 0,
            "process_reject": 0,
            "ideal_total_us": pieces * 10**6,
            "ideal_good_us": pieces * 10**6,
        }
        ms = {"scheduled": {"running": running_ms, "offline": 500}}
        return {"ms": ms, "pieces": sums, "by_class": {"scheduled": sums}}

    found = truth_figures([part(10_000, 8), part(20_000, 16)], 5_000, part(40_000, 30))
    assert found.ms["running"] == 30_000
    assert found.ms["unknown"] == 6_000
    assert (found.pieces, found.unwatched) == (30, 6)
    assert (found.availability, found.performance, found.quality) == (1.0, 0.8, 1.0)


def test_measured_figures_keep_unknown_quality_apart_from_zero():
    zero = dict.fromkeys([*(f"{state}_ms" for state in STATES), "pieces_total", "pieces_judged", "pieces_good"], 0)
    zero |= {"pieces_unwatched": 0, "pieces_unwatched_good": 0}
    row = {"calendar": "scheduled", "sums": zero | {"pieces_total": 4}, "kpis": {"oee": None}}
    assert measured_figures([row]).good is None
    assert measured_figures([row | {"sums": zero}]).good == 0


def test_only_a_machine_of_several_cavities_may_lose_several_pieces_at_a_gap():
    """140 pieces of single cycles divide by four too; without pieces, or without a gap, nothing may differ."""
    made = {"pieces": {"total": 140}}
    assert [prove._slack(made | {"cavities": n}, gaps) for n, gaps in [(1, 1), (4, 1), (4, 3), (4, 0)]] == [2, 8, 24, 0]
    assert prove._slack({"pieces": {"total": 0}, "cavities": 4}, 2) == 0
