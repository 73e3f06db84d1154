"""The waterfall sums exactly, the six big losses are those of published examples, the Pareto ranks what was lost."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oee.kpi.kpi import FORMULAS, compute
from oee.kpi.losses import BIG_LOSSES, TOTALS, six_big_losses, waterfall
from oee.kpi.pareto import pareto
from oee.model.facts import FACT_COLUMNS, STATE_COLUMNS, Facts, Losses, make_table
from oee.model.states import CalendarClass, State
from words.catalogue import catalogue

MIN = 60_000
SCHEDULED, BREAK, OUTSIDE = CalendarClass
amounts = st.integers(-(10**12), 10**12)
rows = st.fixed_dictionaries(dict.fromkeys(FACT_COLUMNS, amounts))


def steps(fall):
    """Each total with the losses taken from it."""
    found = []
    for row in fall.rows:
        if not row.group:
            found.append((row, []))
        else:
            assert row.of == found[-1][0].key
            found[-1][1].append(row)
    return found


@given(
    st.dictionaries(st.sampled_from(list(CalendarClass)), rows),
    st.none() | amounts,
    st.none() | amounts,
    st.none() | amounts,
    st.sampled_from(FORMULAS),
)
def test_every_total_is_the_one_before_less_its_losses_exactly(sums, scheduled_ms, all_ms, break_ms, formula):
    fall = waterfall(sums, scheduled_ms, all_ms, formula, break_ms=break_ms)
    chain = steps(fall)
    for (total, lost), (following, _) in pairwise(chain):
        assert total.us - sum(row.us for row in lost) == following.us
        assert total.pieces - sum(row.pieces or 0 for row in lost) == following.pieces
    keys = [total.key for total, _ in chain]
    begin = "busy" if scheduled_ms is None else "scheduled" if all_ms is None else "all_time"
    assert keys == list(TOTALS[TOTALS.index(begin) :])
    assert chain[-1][1] == []
    assert all(type(row.us) is int for row in fall.rows)


@given(rows, amounts, st.sampled_from(FORMULAS))
def test_totals_are_the_terms_of_the_kpis(sums, scheduled_ms, formula):
    sums |= {name: abs(sums[name]) + 1 for name in STATE_COLUMNS}
    sums |= {f"{name}_ideal_known_ms": sums[f"{name}_ms"] for name in ("running", "minor_stop")}
    fall = waterfall({SCHEDULED: sums}, scheduled_ms, None, formula)
    values = compute(sums, scheduled_ms=scheduled_ms, formula=formula).values
    busy, operating, net = (fall.row(key).us for key in ("busy", "operating", "net_operating"))
    assert values["availability"] == pytest.approx(operating / busy)
    assert values["performance"] == pytest.approx(net / operating)


def vorne():
    """W1, "Calculating OEE" (Vorne): shift 480 min, breaks 60, downtime 47, ideal 1 s, 19,271 pieces, 423 rejects."""
    return {
        "breakdown_ms": 47 * MIN,
        "running_ms": 373 * MIN,
        "running_ideal_known_ms": 373 * MIN,
        "pieces_total": 19_271,
        "pieces_judged": 19_271,
        "pieces_good": 18_848,
        "pieces_process_reject": 423,
        "ideal_total_us": 19_271_000_000,
        "ideal_judged_us": 19_271_000_000,
        "ideal_good_us": 18_848_000_000,
        "ideal_process_reject_us": 423_000_000,
    }


def test_vornes_example():
    fall = waterfall({SCHEDULED: vorne()}, 420 * MIN, 480 * MIN, break_ms=60 * MIN)
    minutes = {row.key: round(row.us / 6e7, 2) for row in fall.rows if row.us}
    assert minutes == {
        "all_time": 480, "break": 60, "scheduled": 420, "planned_busy": 420, "busy": 420, "breakdown": 47,
        "operating": 373, "slow_cycles": 51.82, "net_operating": 321.18, "process_reject": 7.05,
        "fully_productive": 314.13,
    }  # fmt: skip
    assert fall.row("fully_productive").pieces == 18_848
    assert fall.flags == ()


@pytest.mark.parametrize("formula", FORMULAS)
def test_six_big_losses_of_a_published_package(formula):
    """W8, README of the Python package `oee`: 480 planned, 80 down (30 of it set-up), ideal 0.5 min, 700 made, 60
    process and 40 start-up rejects: 50 / 30 / 50 (minor stops and speed) / 30 / 20, together 180 min."""
    sums = {
        "unplanned_stop_ms": 20 * MIN,
        "starved_ms": 30 * MIN,
        "setup_ms": 30 * MIN,
        "minor_stop_ms": 10 * MIN,
        "minor_stop_ideal_known_ms": 10 * MIN,
        "running_ms": 390 * MIN,
        "running_ideal_known_ms": 390 * MIN,
        "pieces_total": 700,
        "pieces_good": 600,
        "pieces_process_reject": 50,
        "pieces_rework": 10,
        "pieces_startup_reject": 40,
        "ideal_total_us": 350 * MIN * 1000,
        "ideal_good_us": 300 * MIN * 1000,
        "ideal_process_reject_us": 25 * MIN * 1000,
        "ideal_rework_us": 5 * MIN * 1000,
        "ideal_startup_reject_us": 20 * MIN * 1000,
    }
    big = six_big_losses(waterfall({SCHEDULED: sums}, 480 * MIN, 480 * MIN, formula))
    assert [(loss.number, loss.key, loss.us / 6e7, loss.pieces) for loss in big] == [
        (1, "breakdown", 50, None),
        (2, "setup", 30, None),
        (3, "minor_stop", 10, None),
        (4, "reduced_speed", 40, None),
        (5, "process_reject", 30, 60),
        (6, "startup_reject", 20, 40),
    ]
    assert big[2].group == ("performance" if formula == "nakajima" else "availability")
    assert sum(loss.us for loss in big) == 180 * MIN * 1000


def test_an_ideal_time_that_is_too_long_shows():
    sums = vorne() | {"ideal_total_us": 400 * MIN * 1000}
    fall = waterfall({SCHEDULED: sums}, 420 * MIN, 480 * MIN)
    assert fall.row("slow_cycles").us == -27 * MIN * 1000
    assert fall.flags == ("slow_cycles_negative",)


def test_silence_is_unknown_and_more_than_planned_is_flagged():
    assert waterfall({}, 420 * MIN, 480 * MIN).row("unknown").us == 420 * MIN * 1000
    assert waterfall({SCHEDULED: vorne()}, 400 * MIN, 480 * MIN).flags == ("more_than_scheduled",)


def test_work_outside_the_schedule_is_seen_but_in_no_factor():
    beyond = {"running_ms": 5 * MIN, "minor_stop_ms": MIN, "pieces_total": 250, "pieces_unwatched": 3}
    fall = waterfall({SCHEDULED: vorne(), OUTSIDE: beyond, BREAK: {"pieces_total": 7}}, 420 * MIN, 480 * MIN)
    assert fall.running_unscheduled_us == 6 * MIN * 1000
    assert fall.row("not_scheduled").pieces == 260
    assert fall.row("all_time").pieces == 19_271 + 260
    assert fall.row("fully_productive").us == waterfall({SCHEDULED: vorne()}, None, None).row("fully_productive").us


def test_rows_of_a_table_do_as_well_as_names():
    row = np.array([vorne().get(name, 0) for name in FACT_COLUMNS], np.int64)
    assert waterfall({SCHEDULED: row}, 1, 2) == waterfall({SCHEDULED: vorne()}, 1, 2)


def test_what_is_not_there_is_named():
    with pytest.raises(KeyError, match=r"no row 'scheduled'; it has busy, breakdown"):
        waterfall({}, None, None).row("scheduled")
    with pytest.raises(ValueError, match="formula 'oee'"):
        waterfall({}, None, None, "oee")


def test_every_step_has_its_name():
    falls = [waterfall({}, 1, 2), *(waterfall({}, 1, 2, formula, break_ms=1) for formula in FORMULAS)]
    keys = {row.key for fall in falls for row in fall.rows}
    assert {key for key in catalogue() if key.startswith("waterfall.")} == {f"waterfall.{key}" for key in keys}
    groups = {row.group for fall in falls for row in fall.rows if row.group}
    assert all(f"loss_group.{group}" in catalogue() for group in groups)
    assert all(f"loss.{key}" in catalogue() for key, _ in BIG_LOSSES)
    assert {"flag.slow_cycles_negative", "flag.more_than_scheduled"} <= set(catalogue())


def lost(*rows):
    """`(machine, product, state, reason, ms, calendar)` as loss rows."""
    keys = [(m, 0, calendar, 0, "A", p, int(state), reason) for m, p, state, reason, _, calendar in rows]
    return make_table(Losses, keys, np.array([[ms, 0] for *_, ms, _ in rows], np.int64))


def made(*rows):
    """`(machine, product, sums)` as fact rows of scheduled time."""
    table = np.array([[sums.get(name, 0) for name in FACT_COLUMNS] for *_, sums in rows], np.int64)
    return make_table(Facts, [(m, 0, int(SCHEDULED), 0, "A", p) for m, p, _ in rows], table)


STOPS = lost(
    ("m1", "1", State.BREAKDOWN, "die-jam", 5000, SCHEDULED),
    ("m1", "2", State.BREAKDOWN, "die-jam", 3000, SCHEDULED),
    ("m2", "1", State.BREAKDOWN, "belt", 2000, SCHEDULED),
    ("m2", "1", State.STARVED, "", 2000, SCHEDULED),
    ("m2", "1", State.PLANNED_STOP, "", 9000, SCHEDULED),
    ("m2", "1", State.UNKNOWN, "", 9000, SCHEDULED),
    ("m2", "1", State.BREAKDOWN, "belt", 9000, OUTSIDE),
)
MADE = made(
    ("m1", "1", {"running_ideal_known_ms": 10_000, "ideal_total_us": 7_000_000}),
    ("m2", "1", {"ideal_process_reject_us": 5_000_500, "pieces_process_reject": 4}),
)


def test_losses_of_every_kind_in_one_order():
    found = pareto(STOPS, MADE)
    assert [(row.key, row.us, row.pieces) for row in found.rows] == [
        (("breakdown", "die-jam"), 8_000_000, 0),
        (("process_reject", ""), 5_000_500, 4),
        (("slow_cycles", ""), 3_000_000, 0),
        (("breakdown", "belt"), 2_000_000, 0),  # ties in the order of their keys
        (("starved", ""), 2_000_000, 0),
    ]
    assert found.us == 20_000_500
    assert [row.cumulative for row in found.rows][-1] == 1.0
    assert found.rows[0].share == 8_000_000 / 20_000_500
    assert sum(row.share for row in found.rows) == pytest.approx(1)


def test_losses_of_machines_products_and_shifts():
    assert [(row.key, row.us) for row in pareto(STOPS, MADE, ("machine",)).rows] == [
        (("m1",), 11_000_000),
        (("m2",), 9_000_500),
    ]
    assert [row.key for row in pareto(STOPS, MADE, ("product",)).rows] == [("1",), ("2",)]
    assert [row.us for row in pareto(STOPS, MADE, ("shift",)).rows] == [20_000_500]
    assert [row.us for row in pareto(STOPS, MADE, ()).rows] == [20_000_500]
    everything = pareto(STOPS, by=("state",), without=()).rows
    assert [row.key[0] for row in everything] == ["breakdown", "planned_stop", "unknown", "starved"]
    with pytest.raises(ValueError, match="'line'; there are state, reason"):
        pareto(STOPS, by=("line",))


def test_pieces_faster_than_ideal_are_flagged_and_come_last():
    quick = made(("m1", "1", {"running_ideal_known_ms": 1000, "ideal_total_us": 3_000_000}))
    found = pareto(STOPS, quick)
    assert found.flags == ("slow_cycles_negative",)
    last = found.rows[-1]
    assert (last.key, last.us, last.share, last.cumulative) == (("slow_cycles", ""), -2_000_000, None, None)
    assert found.rows[-2].cumulative == 1.0


def test_nothing_lost_is_an_empty_pareto():
    assert pareto(lost()).rows == ()


@given(st.permutations(range(7)), st.sampled_from([("state", "reason"), ("machine",), ("machine", "state")]))
def test_the_order_of_rows_does_not_matter(order, by):
    shuffled = lost(*[LOST_ROWS[i] for i in order])
    assert pareto(shuffled, MADE, by) == pareto(STOPS, MADE, by)


LOST_ROWS = [
    (m, p, State(code), reason, int(sums[0]), CalendarClass(calendar))
    for m, p, code, reason, sums, calendar in zip(
        STOPS.machine, STOPS.product, STOPS.state.tolist(), STOPS.reason, STOPS.sums, STOPS.calendar.tolist()
    )
]
