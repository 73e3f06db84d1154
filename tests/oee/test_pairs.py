"""Pairs (footwear: the unit is the pair, a mismatch waits): left and right counters as one total."""

from dataclasses import replace

from driving import GAP
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_machine import machine, ran

from oee.model.machine import Counter, CountGap, Pieces

PAIRS = machine(pieces=Pieces(left=Counter("d.left", 16, max_per_s=10), right=Counter("d.right", 16, max_per_s=10)))
S = 1_000_000_000

steps = st.lists(st.tuples(st.sampled_from(("left", "right")), st.integers(1, 20), st.integers(1, 5)), max_size=40)
cuts = st.lists(st.integers(0, 900), max_size=6)


def recorded(made, *, start=0):
    """Columns of both counters from steps `(side, seconds since the step before, counts)`, and when the last is over."""
    now, rows, count = 0, {"left": [(0, start)], "right": [(0, start)]}, {"left": start, "right": start}
    for side, wait, number in made:
        now += wait
        count[side] = (count[side] + number) % 65_536
        rows[side].append((now, count[side]))
    return {f"d.{side}": found for side, found in rows.items()}, now + 1


def made_by(steps, side):
    return sum(number for its, _, number in steps if its == side)


@settings(max_examples=examples(60), deadline=None)
@given(steps, st.sampled_from((0, 65_530)))
def test_pairs_are_the_smaller_count(steps, start):
    """However they come, and over a counter's end: every pair once, nothing else."""
    rows, end = recorded(steps, start=start)
    told = ran(end, rows, PAIRS)
    pairs = min(made_by(steps, "left"), made_by(steps, "right"))
    assert told.sums().get("pieces_total", 0) == told.sums().get("cycles", 0) == pairs


@settings(max_examples=examples(60), deadline=None)
@given(steps, cuts)
def test_however_time_is_cut(steps, cuts):
    rows, end = recorded(steps)
    assert ran(end, rows, PAIRS, cuts=cuts, through_bytes=True).rows == ran(end, rows, PAIRS).rows


@settings(max_examples=examples(30), deadline=None)
@given(steps)
def test_left_and_right_are_alike(steps):
    rows, end = recorded(steps)
    mirrored = {"d.left": rows["d.right"], "d.right": rows["d.left"]}
    assert ran(end, mirrored, PAIRS).rows == ran(end, rows, PAIRS).rows


def test_a_pair_is_made_when_its_later_half_is():
    """Five left ones in the first minute, their right ones in the second: pairs of the second."""
    rows = {
        "d.left": [(0, 0), *((10 * n, n) for n in range(1, 6))],
        "d.right": [(0, 0), *((60 + 10 * n, n) for n in range(1, 5))],
    }
    told = ran(120, rows, PAIRS)
    assert told.sums(end=None, start=None)["pieces_total"] == 4
    assert [row.get("pieces_total", 0) for _, row in sorted(told.rows.items())] == [0, 4]
    assert ran(120, rows, PAIRS, cuts=[90]).rows == told.rows


def test_who_waits_is_carried_on():
    """Three left ones without right ones are remembered over a settled time, as bytes too."""
    rows = {"d.left": [(0, 0), (10, 2), (20, 5)], "d.right": [(0, 0), (10, 2), (200, 5)]}
    told = ran(150, {name: [row for row in found if row[0] < 150] for name, found in rows.items()}, PAIRS)
    assert told.sums()["pieces_total"] == 2
    late = ran(300, rows, PAIRS, cuts=[30, 150], through_bytes=True)
    assert late.sums()["pieces_total"] == 5


def test_a_pair_across_an_outage_is_unwatched():
    """The right counter was silent for a minute: what it brings back was made while nobody watched."""
    rows = {
        "d.left": [(0, 0), (10, 1), (30, 2), (90, 4)],
        "d.right": [(0, 0), (10, 1), (20, GAP), (80, 3), (100, 4)],
    }
    sums = ran(120, rows, PAIRS).sums()
    assert (sums["pieces_total"], sums["pieces_unwatched"]) == (3, 1)
    assert ran(120, rows, PAIRS, cuts=[50, 95]).sums() == sums


def test_a_machine_that_makes_one_side_only_stands_still():
    """State from gaps between pairs: with the left sole jammed, no pair comes, however many right ones do."""
    made = replace(PAIRS, rules=(), gap=CountGap(2.5, 10 * S))
    rows = {
        "d.left": [(0, 0), *((n, n) for n in range(1, 31)), *((n, n - 60) for n in range(91, 121))],
        "d.right": [(0, 0), *((n, n) for n in range(1, 121))],
    }
    told = ran(121, rows, made)
    assert told.times() == {"running": 61, "minor_stop": 60}
    assert told.sums()["pieces_total"] == 60


def test_nothing_is_seen_while_one_side_is_silent():
    """Performance asks nothing of time in which a pair could not have been seen."""
    rows = {"d.left": [(0, 0), (10, 1)], "d.right": [(0, 0), (10, 1), (30, GAP)]}
    sums = ran(60, rows, PAIRS).sums()
    assert (sums["running_ms"], sums["running_ideal_known_ms"]) == (60_000, 30_000)


def test_rejects_of_pairs():
    """Rejects are counted in pairs."""
    made = replace(PAIRS, pieces=replace(PAIRS.pieces, reject=Counter("d.reject", 16, max_per_s=10)))
    rows = {"d.left": [(0, 0), (10, 5)], "d.right": [(0, 0), (12, 5)], "d.reject": [(0, 0), (20, 1)]}
    sums = ran(60, rows, made).sums()
    assert (sums["pieces_total"], sums["pieces_judged"], sums["pieces_good"], sums["pieces_process_reject"]) == (
        5,
        5,
        4,
        1,
    )
