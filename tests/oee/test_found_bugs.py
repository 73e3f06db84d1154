"""Bugs that the tests once found, each with the smallest input that showed it."""

from dataclasses import replace

import pytest
from driving import BAD, GAP, S, as_series, ns, say
from plain_machine import EVERY, FULL, RULES, VN, H, T, machine, ran

from oee.engine import step as engine
from oee.engine.counters import CounterState, count
from oee.kpi.kpi import compute
from oee.model.calendars import Calendar, Shift
from oee.model.machine import OPERATOR, Counter, CountGap, Pieces

TAGGED = machine(product_tag="d.product")
DAY_SHIFT = Calendar(VN, (Shift("day", EVERY, 8 * H, 8 * H + 140),))


def test_a_change_across_a_bad_product_reading_is_the_same_in_blocks():
    """Product p, the register bad, pieces, a stop, product q: a changeover; in two blocks it is none."""
    rows = {
        "d.run": [(0, True), (100, False)],
        "d.total": [(0, 0), *((t, t) for t in range(1, 90))],
        "d.product": [(0, "p"), (20, BAD), (150, "q")],
    }
    whole, blocks = ran(200, rows, TAGGED), ran(200, rows, TAGGED, cuts=[60])
    assert whole.times() == {"running": 89, "setup": 111}
    assert blocks.times() == whole.times()


def test_a_change_across_a_time_without_declared_product_is_the_same_in_blocks():
    """The same where people say the product: p for 20 s, nothing, q at 150 s."""
    made = machine(product_tag=OPERATOR)
    said = [say(1, T, T + 20, "product", "p"), say(2, T + 150, None, "product", "q")]
    rows = {"d.run": [(0, True), (100, False)], "d.total": [(0, 0), *((t, t) for t in range(1, 90))]}
    whole, blocks = ran(200, rows, made, said=said), ran(200, rows, made, said=said, cuts=[60])
    assert whole.times() == {"running": 89, "setup": 111}
    assert blocks.times() == whole.times()


def test_count_gaps_of_a_product_without_ideal_time_are_the_same_in_blocks():
    """Without an ideal time a gap's stop begins with the piece itself, where the engine may have settled."""
    made = machine(gap=CountGap(2.5, 5 * S), product="new")
    rows = {"d.total": [(0, 0), (6, 1), (12, 2), (18, 3)]}
    whole, blocks = ran(20, rows, made), ran(20, rows, made, cuts=[15])
    assert len(whole.stops) == 1
    assert [(s.start_ns, s.end_ns) for s in blocks.stops] == [(s.start_ns, s.end_ns) for s in whole.stops]
    assert blocks.rows == whole.rows


def test_the_first_set_up_of_a_day_lasts_to_the_first_piece():
    """A stop with a product change before the first piece ever: running without a piece is still set-up."""
    rows = {"d.run": [(0, False), (60, True)], "d.total": [(0, 0)], "d.product": [(0, "p"), (30, "q")]}
    assert ran(100, rows, TAGGED).times() == {"setup": 100}


def test_a_stale_reason_code_names_no_stop():
    """Design, Freshness: a tag that nobody confirms is unknown. Code 7, its device lost, and only then a stop."""
    made = machine(pieces=Pieces(), reason_tag="x.code", reason_map={"7": "jam"})
    told = ran(300, {"d.run": [(0, True), (100, False), (150, True)], "x.code": [(0, 7), (20, GAP)]}, made)
    assert [s.reason for s in told.stops] == [""]


def test_next_stop_waits_also_after_a_bad_reading():
    """`product_change: next_stop`; p, a bad reading, q, all while it runs: q from the stop on."""
    made = replace(TAGGED, product_change="next_stop")
    rows = {"d.run": [(0, True), (60, False)], "d.total": [(0, 0)], "d.product": [(0, "p"), (10, BAD), (20, "q")]}
    told = ran(90, rows, made)
    assert told.sums(product="p").get("running_ms") == 60_000
    assert "running_ms" not in told.sums(product="q")


def test_an_outage_begins_before_the_spike_within_it():
    """Lost at 1 s, a spike, lost again at 27 s, back at 64 s: the pieces were made since 1 s."""
    rows = [(0, 10), (1, GAP), (2, 30_000), (27, GAP), (64, 20)]
    found, _ = count(Counter("c", 16, max_per_s=4), CounterState(), as_series(rows))
    assert found.count.tolist() == [10]
    assert found.lost_ns.tolist() == [1 * S]


def test_a_spike_after_a_long_standstill():
    """MTConnect adapter #24 after two hours without a piece. Samples travel on change, so the last row is old although
    the value was confirmed every second: 100 counts/s times 7,200 s allow a step of 597,999."""
    rows = [(0, 2000), (7200, 599_999), (7201, 2000), (7202, 2001)]
    found, _ = count(Counter("c", 32, max_per_s=100, poll_ns=5 * S), CounterState(), as_series(rows))
    assert int(found.count.sum()) == 1


def test_no_counter_is_no_output_of_zero():
    """ALMUS, domain rule: reported zero output is OEE 0, unreported is null."""
    told = ran(60, {}, machine(pieces=Pieces()))
    result = compute(told.sums(), scheduled_ms=60_000)
    assert (result.values["performance"], result.values["oee"]) == (None, None)


@pytest.mark.parametrize("cuts", [[], [80]], ids=["whole", "in blocks"])
def test_two_set_ups_with_one_good_piece_between_are_two(cuts):
    """p to q, one good q at 70 s, then q to p: the first ends where the second begins, and each has its own product."""
    rows = {
        "d.run": [(0, True), (30, False), (60, True), (75, False), (110, True)],
        "d.total": [(0, 0), (20, 1), (70, 2), (120, 3)],
        "d.product": [(0, "p"), (40, "q"), (90, "p")],
    }
    told = ran(150, rows, TAGGED, cuts=cuts)
    assert [(s.state.word, s.product, s.to_product) for s in told.stops] == [("setup", "p", "q"), ("setup", "q", "p")]
    assert (told.sums()["stops"], told.sums()["stops_ms"]) == (2, 100_000)


def test_a_change_that_waits_for_the_next_stop_outlasts_a_gap_of_its_register():
    """q is told while p still runs, the register falls silent, then the machine stops: in two blocks q was forgotten."""
    made = machine(product_tag="d.product", product_change="next_stop", pieces=Pieces())
    rows = {
        "d.run": [(0, True), (50, False), (60, True)],
        "d.product": [(0, "p"), (10, "q"), (45, GAP), (55, "q")],
    }
    whole, blocks = ran(120, rows, made), ran(120, rows, made, cuts=[60])
    assert whole.times(product="q") == {"setup": 10, "running": 60}
    assert blocks.rows == whole.rows


@pytest.mark.parametrize("calendar", [FULL, DAY_SHIFT], ids=["always scheduled", "with time outside"])
def test_a_breakdown_over_two_set_ups_is_one(calendar):
    """An alarm lasts from 30 s to 110 s; p gives way to q, one good q at 70 s, q gives way to p: one failure, whether or
    not the window has time outside shifts."""
    rows = {
        "d.run": [(0, True), (30, False), (110, True)],
        "d.alarm": [(0, 0), (30, 1), (110, 0)],
        "d.total": [(0, 0), (20, 1), (70, 2), (120, 3)],
        "d.product": [(0, "p"), (40, "q"), (90, "p")],
    }
    told = ran(150, rows, machine(rules=RULES, product_tag="d.product", calendar=calendar))
    assert (told.sums()["failures"], told.sums()["failures_ms"]) == (1, 80_000)


def test_a_later_loss_of_a_minute_that_is_settled_in_part_gets_a_number_of_its_own():
    """A stop within the minute in which time is settled, nothing lost after it; then a changeover is declared there."""
    rows = {"d.run": [(T, True), (T + 62, False), (T + 70, True)], "d.total": [(T + t, t) for t in range(81)]}
    samples = {tag: as_series(found) for tag, found in rows.items()}
    first = engine.step(machine(), engine.start(), samples, (), ns(T + 120), ns(T + 120))
    said = [say(1, T + 90, T + 121, "changeover", "x")]
    second = engine.step(machine(), first.state, {}, said, ns(T + 180), ns(T + 180))
    numbers = [
        pair for found in (first, second) for pair in zip(found.losses.minute_ns.tolist(), found.losses.n.tolist())
    ]
    assert first.settled_ns == ns(T + 80)
    assert len(numbers) == len(set(numbers)) == 3
