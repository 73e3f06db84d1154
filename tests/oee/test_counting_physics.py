"""Counters decide by what the machine can make: registers as real machines, gateways and PLCs show them.

A machine makes a piece in 10 s at best and says whether it runs; nobody has said `max_per_s`. What was made is known, so the
sum has one right value.
"""

from dataclasses import replace

import pytest
from driving import BAD, GAP
from plain_machine import PLAIN, ran

from oee.model.machine import Counter, CountGap, Ideal, Pieces, Product

TOTAL = Counter("d.total", 32, poll_ns=5 * 10**9, guessed=True)
MACHINE = replace(PLAIN, pieces=Pieces(TOTAL), products={"p": Product("p", (Ideal(10_000_000),))})


def counting(rows, made=MACHINE, run=((0, True),), end=None, **more):
    """Pieces, pieces of outages, and what was told, of a register's rows `(second, value)`."""
    end = end or max(t for t, _ in rows) + 1
    signals = {"d.run": list(run)} if made.rules else {}
    told = ran(end, signals | {"d.total": rows, **more.pop("also", {})}, made, **more)
    sums = told.sums()
    kinds = [item.kind for item in told.state.oddities]
    return sums.get("pieces_total", 0), sums.get("pieces_unwatched", 0), kinds


def steady(first, last, value, every=10, by=1):
    """A register that counts `by` every so many seconds after `first`, up to `last`."""
    return [(t, value + by * n) for n, t in enumerate(range(first + every, last + 1, every), 1)]


BEFORE = [(0, 5000), *steady(0, 600, 5000)]  # 60 pieces: 5060 at 600 s


def test_a_jump_that_no_machine_could_make_is_a_new_baseline():
    """130 in one second where a piece takes ten."""
    rows = [*BEFORE, (601, 5190), *steady(601, 700, 5190)]
    assert counting(rows) == (60 + 9, 0, ["jump"])


@pytest.mark.parametrize("value", [5190, 130, 9, 60_000])
def test_another_recipe_s_counter_after_a_changeover(value):
    """The machine stood for half an hour, so it made nothing, however well 130 pieces would fit into that time."""
    rows = [*BEFORE, (2400, value), *steady(2410, 3000, value)]
    run = ((0, True), (605, False), (2410, True))
    assert counting(rows, run=run) == (60 + 59, 0, ["jump"])


def test_and_back_to_the_first_recipe():
    rows = [*BEFORE, (1200, 700), *steady(1200, 1800, 700), (2400, 5060), *steady(2400, 3000, 5060)]
    run = ((0, True), (605, False), (1200, True), (1805, False), (2400, True))
    pieces, _, kinds = counting(rows, run=run)
    assert pieces == 60 + 60 + 60
    assert kinds == ["dip"]


@pytest.mark.parametrize("shown", [0, 4990, 5059, 2**32 - 1])
@pytest.mark.parametrize("after", [0, 3])
def test_a_restart_shows_zero_or_an_old_value_for_some_looks(shown, after):
    """Nothing is lost and nothing invented, whether or not pieces were made meanwhile."""
    rows = [*BEFORE, (605, shown), (635, 5060 + after), *steady(635, 700, 5060 + after)]
    pieces, away, (kind,) = counting(rows)
    assert (pieces, away, kind) == (60 + after + 6, 0, "dip" if shown == 0 else "spike")


@pytest.mark.parametrize("back", [170, 230])
def test_a_box_fills_while_the_register_shows_zero(back):
    """24 pieces to the box: after the dip there is as much time for a box as without it."""
    rows = [(0, 5000), (1, 0), (back, 5000), (240, 5024), (480, 5048)]
    assert counting(rows) == (48, 0, ["dip"])
    gone_on = [(0, 5000), (240, 5024), (241, 0), (482, 5048), (720, 5072)]
    assert counting(gone_on) == (72, 0, ["dip"])


def test_a_recording_without_a_row_for_an_hour_has_not_seen_the_register_elsewhere_for_an_hour():
    recorded = replace(MACHINE, pieces=Pieces(replace(TOTAL, recorded=True)))
    assert counting([(0, 5000), (1, 0), (3602, 5150)], recorded) == (150, 0, ["dip"])


def test_a_restart_shows_zero_and_then_an_old_value():
    rows = [*BEFORE, (605, 0), (615, 4900), (630, 5062), *steady(630, 700, 5062)]
    assert counting(rows) == (60 + 2 + 7, 0, ["dip", "dip"])


@pytest.mark.parametrize("reload", [5060, 5062, 5064])
def test_a_late_reload_does_not_count_twice_what_was_counted_from_zero(reload):
    """After a power cut the PLC counts from 0, two pieces, until it has loaded what it had kept."""
    rows = [*BEFORE, (605, GAP), (900, 0), (910, 1), (920, 2), (930, reload), *steady(930, 1000, reload)]
    watched, away, kinds = counting(rows)
    assert watched + away == 60 + max(2, reload - 5060) + 7
    assert kinds == ["dip"]


def test_a_reset_at_the_end_of_a_shift_counts_what_it_shows():
    rows = [*BEFORE, (605, 0), *steady(605, 700, 0)]
    assert counting(rows) == (60 + 9, 0, ["reset"])
    assert counting([*BEFORE, (610, 1), *steady(610, 700, 1)]) == (60 + 1 + 9, 0, ["reset"])


def test_a_reset_to_a_preset_is_a_new_baseline():
    rows = [*BEFORE, (605, 1000), *steady(605, 700, 1000)]
    assert counting(rows) == (60 + 9, 0, ["jump"])


@pytest.mark.parametrize("bits", [16, 32])
def test_a_counter_wraps(bits):
    made = replace(MACHINE, pieces=Pieces(replace(TOTAL, bits=bits)))
    top = 2**bits
    rows = [(0, top - 3), *[(t, v % top) for t, v in steady(0, 100, top - 3)]]
    assert counting(rows, made) == (10, 0, [])


def test_a_replaced_plc_counts_from_its_own_value():
    """Two hours without a connection in which 720 pieces were possible; the new one shows 31,000, then 240."""
    for value in (31_000, 4000):
        rows = [*BEFORE, (605, GAP), (7805, value), *steady(7805, 7900, value)]
        assert counting(rows) == (60 + 9, 0, ["jump"]), value


def test_an_outage_allows_what_could_be_made_in_it():
    rows = [*BEFORE, (605, GAP), (4205, 5060 + 340), *steady(4205, 4300, 5400)]
    assert counting(rows) == (60 + 9, 340, [])
    rows = [*BEFORE, (605, BAD), (4205, 5060 + 700), *steady(4205, 4300, 5760)]
    assert counting(rows) == (60 + 9, 0, ["jump"])


def test_a_register_set_back_in_an_outage_shows_what_was_made_since():
    rows = [*BEFORE, (605, GAP), (4205, 100), *steady(4205, 4300, 100)]
    assert counting(rows) == (60 + 9, 100, ["reset"])


# what must not be refused


@pytest.mark.parametrize("box", [6, 24, 150])
def test_a_box_counter(box):
    """It moves by a whole box, and stands in between, also while the machine starts and stops."""
    every = 10 * box
    rows = [(0, 700), *steady(0, 4 * every, 700, every, box)]
    assert counting(rows) == (4 * box, 0, [])
    run = [(0, True), (every // 2, False), (every // 2 + 1500, True)]
    late = [(0, 700), *((t + 1500, v) for t, v in rows[1:])]
    assert counting(late, run=run) == (4 * box, 0, [])


def test_a_mould_of_sixteen_cavities():
    """A count a piece, sixteen at once every 40 s; the ideal time is that of a piece. The first shot comes soon."""
    made = replace(MACHINE, products={"p": Product("p", (Ideal(2_500_000),))})
    assert counting([(0, 0), *steady(-35, 400, 0, 40, 16)], made) == (160, 0, [])
    tagged = replace(made, pieces=Pieces(TOTAL, cavities="d.cav"), products=made.products)
    assert counting([(0, 0), *steady(-35, 400, 0, 40)], tagged, also={"d.cav": [(0, 16)]}) == (160, 0, [])
    jump = [(0, 0), *steady(-35, 400, 0, 40), (401, 18)]
    assert counting(jump, tagged, also={"d.cav": [(0, 16)]}) == (160, 0, ["jump"])


def test_a_line_controller_copies_the_counter_once_a_minute():
    rows = [(0, 0), *steady(0, 1200, 0, 60, 6)]
    assert counting(rows) == (120, 0, [])


def test_a_burst_after_an_update_that_was_stuck():
    """The machine ran for ten minutes while the register stood; then it shows all of it at once, or some seconds after
    the machine has stopped."""
    rows = [*BEFORE, (1200, 5120), *steady(1200, 1300, 5120)]
    assert counting(rows) == (60 + 60 + 10, 0, [])
    run = ((0, True), (1195, False), (1230, True))
    assert counting([*BEFORE, (1215, 5120), *steady(1240, 1300, 5120)], run=run) == (60 + 60 + 6, 0, [])


def test_a_machine_in_manual_mode_counts_while_its_signals_show_it_stopped():
    rows = [*BEFORE, *steady(600, 3000, 5060)]
    assert counting(rows, run=((0, True), (605, False))) == (300, 0, [])


@pytest.mark.parametrize("too_long", [1, 2, 5, 20])
@pytest.mark.parametrize("spacing", [1, 10, 60, 300])
def test_an_ideal_time_that_is_too_long(too_long, spacing):
    """The register shows what the machine can do, whatever the ideal time says and however often somebody looks."""
    made = replace(MACHINE, products={"p": Product("p", (Ideal(2_000_000 * too_long),))})
    looks = [(t, t // 2) for t in range(0, 3601, spacing)]
    changes = [row for n, row in enumerate(looks) if n == 0 or row[1] != looks[n - 1][1]]
    pieces, _, kinds = counting(changes, made)
    assert pieces == 3600 // spacing * spacing // 2
    assert "pace" in kinds if kinds else True


def test_a_pace_that_was_seen_does_not_excuse_a_jump():
    made = replace(MACHINE, products={"p": Product("p", (Ideal(60_000_000),))})
    slow = [(0, 0), *steady(0, 1800, 0, 60, 30)]  # two seconds a piece
    assert counting([*slow, (1801, 2000), *steady(1801, 2000, 2000, 60, 30)], made)[0] == 900 + 90


def test_jumps_one_after_the_other_are_no_pace():
    rows = [*BEFORE, *((t, 5060 + 130 * n) for n, t in enumerate(range(601, 604), 1)), *steady(604, 700, 5450)]
    assert counting(rows)[0] == 60 + 9


def test_a_product_without_ideal_time_is_judged_by_the_fastest_of_the_others():
    made = replace(MACHINE, product_tag="d.product", products=MACHINE.products | {"q": Product("q")})
    rows = [*BEFORE, (601, 5190), *steady(601, 700, 5190)]
    assert counting(rows, made, also={"d.product": [(0, "q")]}) == (60 + 9, 0, ["jump"])


def test_a_said_rate_goes_before_the_ideal_time():
    said = replace(MACHINE, pieces=Pieces(replace(TOTAL, guessed=False, max_per_s=150)))
    assert counting([*BEFORE, (601, 5190)], said) == (60 + 130, 0, [])


def test_a_machine_known_by_its_counts_alone():
    """Nothing tells whether it ran, so it may have, for a quarter of an hour: after that no jump is excused."""
    made = replace(MACHINE, rules=(), gap=CountGap(2.5, 30 * 10**9))
    assert counting([*BEFORE, (601, 5190), *steady(601, 700, 5190)], made)[0] == 60 + 9
    assert counting([*BEFORE, *steady(9600, 9700, 5400)], made)[0] == 60 + 9
    assert counting([(0, 0), *steady(0, 960, 0, 240, 24)], made)[0] == 96


def test_of_a_single_bit_the_rising_edges_count():
    """A pulse goes back to 0 each time; that is no reset, and nothing to tell."""
    pulses = [(t, t // 5 % 2 == 1) for t in range(0, 101, 5)]
    assert counting(pulses, replace(MACHINE, pieces=Pieces(replace(TOTAL, bits=None)))) == (10, 0, [])
