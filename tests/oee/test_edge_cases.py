"""Edge cases in which real systems went wrong, each naming the system: counters, silence, late rows, shifts and windows."""

from datetime import date

import pytest
from driving import BAD, GAP, as_series, drive, ns
from plain_machine import BREAK, DAY, EVERY, OUTSIDE, RULES, SCHEDULED, VN, H, T, breaks, machine, minute, ran

from oee.engine import step as engine
from oee.kpi.kpi import compute
from oee.model.calendars import Calendar, Shift
from oee.model.facts import MINUTE_NS
from oee.model.machine import Pieces
from oee.model.states import State

# Counters


@pytest.mark.parametrize(
    ("values", "made"),
    [
        ([30_000, 30_005, 3], 8),  # aviharos/oee, Flux increase(): a reset counts what came after it
        ([65_530, 65_535, 4], 10),  # Industrial Monitor Direct: 16 bits wrap after 18.2 h at 1 Hz
        ([2000, 59_999, 2002], 2),  # MTConnect adapter #24: up and back
        ([2000, 500, 502], 2),  # fanuc-driver #84: another program's count; 500 in 10 s is no reset
        ([7, 7, 7], 0),  # aviharos/oee: a phantom cycle from a constant
        ([500], 0),  # Flux: the first sample is a baseline
        ([0, 1], 1),
    ],
)
def test_counter_steps(values, made):
    told = ran(60, {"d.total": [(10 * n, value) for n, value in enumerate(values)]})
    assert told.sums().get("pieces_total", 0) == made


def test_parts_during_an_outage_are_kept_apart_and_spread():
    """VTScada, Flux: the delta covers the gap. It counts, but as unwatched, evenly over the outage's scheduled time."""
    told = ran(240, {"d.run": [(0, True), (60, GAP), (180, True)], "d.total": [(0, 0), (10, 4), (60, GAP), (180, 11)]})
    assert told.sums()["pieces_total"] == 4
    assert [minute(told, n).get("pieces_unwatched", 0) for n in range(4)] == [0, 4, 3, 0], "earliest first"
    assert told.sums()["ideal_unwatched_us"] == 7_000_000
    assert told.times() == {"running": 120, "unknown": 120}


def test_outage_pieces_fall_on_scheduled_time_only():
    calendar = Calendar(VN, (Shift("A", EVERY, 8 * H, 8 * H + 90), Shift("B", EVERY, 8 * H + 150, 16 * H)))
    told = ran(240, {"d.total": [(0, 0), (60, GAP), (180, 6)]}, machine(calendar=calendar))
    assert told.sums(calendar=OUTSIDE).get("pieces_unwatched", 0) == 0
    assert [minute(told, n).get("pieces_unwatched", 0) for n in range(4)] == [0, 3, 3, 0]


# Silence


def test_silence_is_unknown_from_the_last_confirmation_on():
    """Libre fills the last state through the loss, UMH extends it, Machinebeat #10 goes on publishing 0."""
    told = ran(600, {"d.run": [(0, True), (100, GAP), (400, False)]})
    assert told.times() == {"running": 100, "unknown": 300, "minor_stop": 200}


def test_no_data_is_neither_downtime_nor_zero():
    """Laravel MES plan, MolcaDx: missing is not zero. A, P, Q and OEE are null, coverage is 0, the bounds are open."""
    told = ran(600, {"d.run": [(0, GAP)], "d.total": [(0, GAP)]})
    result = compute(told.sums(), scheduled_ms=600_000)
    assert told.times() == {"unknown": 600}
    assert [result.values[name] for name in ("availability", "performance", "quality", "oee")] == [None] * 4
    assert set(result.why_null) >= {"availability", "performance", "quality", "oee"}
    assert (result.values["coverage"], result.values["oee_low"], result.values["oee_high"]) == (0, 0, 1)


def test_a_device_that_says_bad_is_unknown_too():
    assert ran(60, {"d.run": [(0, True), (20, BAD)]}).times() == {"running": 20, "unknown": 40}


# Late and repeated rows


def steps(made, batches):
    """Rows of `d.run` in batches `(until, rows)`, handed in with the step to `until` whatever their times."""
    state, sent = engine.start(), []
    for until, rows in batches:
        samples = {"d.run": as_series([(T + t, value) for t, value in rows])} if rows else {}
        found = engine.step(made, state, samples, (), ns(T + until), ns(T + until) - ns(T + until) % MINUTE_NS)
        state = found.state
        sent.append(found)
    return sent, state


def test_a_late_sample_splits_the_interval_that_holds_it():
    """Laravel MES plan, ThingsBoard #6295: 20 to 30 min late. What is not settled is corrected by a difference."""
    made = machine(pieces=Pieces())
    sent, state = steps(made, [(120, [(0, True), (60, False)]), (600, [(70, True), (80, False)]), (660, [])])
    first = sent[0].facts.column("running_ms").sum()
    assert first == 60_000
    assert sum(int(step.facts.column("running_ms").sum()) for step in sent) == 70_000
    assert state.late_rows == 0


def test_rows_for_settled_time_are_counted_and_not_used():
    made = machine(pieces=Pieces())
    sent, state = steps(made, [(600, [(0, True)]), (660, [(30, False)])])
    assert sent[0].settled_ns > ns(T + 30)
    assert state.late_rows == 1
    assert sum(int(step.facts.column("running_ms").sum()) for step in sent) == 660_000


def test_the_same_row_again_is_a_no_op():
    """aviharos treats each row as an event; a repeated state is no new state, a repeated row no new row."""
    once = ran(300, {"d.run": [(0, True), (100, False), (200, True)], "d.total": [(0, 0), (50, 5)]})
    again = ran(
        300,
        {
            "d.run": [(0, True), (1, True), (99, True), (100, False), (100, False), (150, False), (200, True)],
            "d.total": [(0, 0), (25, 0), (50, 5), (50, 5), (60, 5)],
        },
    )
    assert again.rows == once.rows
    assert [(s.start_ns, s.end_ns, s.state) for s in again.stops] == [
        (s.start_ns, s.end_ns, s.state) for s in once.stops
    ]


# Shifts and windows


NIGHT = Calendar(VN, (Shift("N", EVERY, 22 * H, 30 * H),))


def test_a_stop_over_midnight_and_two_shifts():
    """UMH #145, #146: a stop over several shifts looped; #85: the day was split at the window's start."""
    calendar = Calendar(VN, (Shift("B", EVERY, 14 * H, 22 * H), Shift("N", EVERY, 22 * H, 30 * H)))
    base = int(DAY.timestamp()) + 21 * H
    rows = {"d.run": [(base, True), (base + H // 2, False), (base + 4 * H, True)]}
    told = drive(machine(calendar=calendar, pieces=Pieces()), rows, base + 5 * H)
    assert told.times(shift="B") == {"running": 1800, "unplanned_stop": 1800}
    assert told.times(shift="N") == {"running": 3600, "unplanned_stop": 3 * 3600}
    days = {key[3] for key in told.rows}
    assert days == {(date(2026, 3, 2) - date(1970, 1, 1)).days}, "the night shift's small hours belong to Monday"
    assert (told.sums()["stops"], told.sums(shift="B")["stops"], told.sums(shift="B")["stops_ms"]) == (1, 1, 12_600_000)


def test_a_night_shift_has_planned_time():
    """ALMUS: 162,738 night rows with planned time 0."""
    base = int(DAY.timestamp()) + 23 * H
    told = drive(machine(calendar=NIGHT, pieces=Pieces()), {"d.run": [(base, True)]}, base + 2 * H)
    assert told.times(calendar=SCHEDULED, shift="N") == {"running": 2 * H}


def test_running_outside_the_schedule_is_kept_apart():
    """UMH leaves it in the shift, Odoo 197995 clips it to 0 minutes."""
    base = int(DAY.timestamp()) + 21 * H
    told = drive(machine(calendar=NIGHT, pieces=Pieces()), {"d.run": [(base, True)]}, base + 2 * H)
    assert told.times(calendar=OUTSIDE, shift="-") == {"running": H}
    assert told.times(calendar=SCHEDULED) == {"running": H}


def test_working_through_a_break_is_running_in_the_break():
    told = ran(300, {}, machine(calendar=breaks(60, 120), pieces=Pieces()))
    assert told.times(calendar=BREAK) == {"running": 60}
    assert told.times(calendar=SCHEDULED) == {"running": 240}


def test_a_break_suspends_a_stop():
    """A stop of 4 min with a break of 30 min inside is a minor one (limit 5 min), whole, in one piece."""
    told = ran(
        3600, {"d.run": [(0, True), (100, False), (2140, True)]}, machine(calendar=breaks(160, 1960), pieces=Pieces())
    )
    assert told.times(calendar=SCHEDULED) == {"running": 1560, "minor_stop": 240}
    assert told.times(calendar=BREAK) == {"minor_stop": 1800}
    assert (told.sums()["stops"], told.sums()["stops_ms"]) == (1, 240_000)


@pytest.mark.parametrize(("length", "state"), [(300, "minor_stop"), (300.001, "unplanned_stop"), (1, "minor_stop")])
def test_the_limit_of_a_minor_stop_is_inclusive(length, state):
    """MolcaDx includes its 300 s, the Laravel MES plan excludes its 60 s."""
    told = ran(900, {"d.run": [(0, True), (100, False), (100 + length, True)]}, machine(pieces=Pieces()))
    assert told.times()[state] == length


@pytest.mark.parametrize("start", [1, 30, 59.999, 61, 200])
def test_a_stop_is_judged_whole_whatever_window_is_asked_for(start):
    """UMH #17: zoom changes states; its first and last stops are never micro-stops. 5 min 1 s are no minor stop in any
    of the minutes that they touch."""
    told = ran(900, {"d.run": [(0, True), (start, False), (start + 301, True)]}, machine(pieces=Pieces()))
    assert "minor_stop_ms" not in told.sums()
    assert told.times()["unplanned_stop"] == 301


def test_the_end_of_the_schedule_ends_a_stop_but_only_suspends_a_breakdown():
    calendar = Calendar(VN, (Shift("A", EVERY, 8 * H, 9 * H), Shift("B", EVERY, 10 * H, 11 * H)))
    made = machine(calendar=calendar, rules=RULES, pieces=Pieces())
    stopped = {"d.run": [(0, True), (3400, False), (7400, True)], "d.alarm": [(0, 0)]}
    told = ran(3 * H, stopped, made)
    assert told.times(calendar=SCHEDULED)["minor_stop"] == 400, "200 s before and 200 s after are two stops"
    failed = {"d.run": [(0, True)], "d.alarm": [(0, 0), (3400, 5), (7400, 0)]}
    told = ran(3 * H, failed, made)
    assert (told.sums()["failures"], told.sums()["failures_ms"]) == (1, 400_000)
    assert told.sums(shift="A")["failures"] == 1, "MolcaDx: counted whole where it started"


def test_an_open_stop_is_told_and_counted_up_to_now():
    """Odoo: a log without an end counts 0, so a breakdown that lasts is invisible."""
    told = ran(900, {"d.run": [(0, True), (100, False)]}, machine(pieces=Pieces()))
    assert told.times() == {"running": 100, "unplanned_stop": 800}
    assert [(s.start_ns, s.end_ns) for s in told.stops] == [(ns(T + 100), None)]
    assert told.live.state == State.UNPLANNED_STOP
    assert told.live.since_ns == ns(T + 100)
    assert "stops" not in told.sums(), "counted when it has ended"


def test_a_stop_that_outgrows_the_limit_is_corrected():
    """Provisional: minor at first, then not; the sums of what was sent are those of the end."""
    rows = {"d.run": [(0, True), (100, False)]}
    told = ran(900, rows, machine(pieces=Pieces()), cuts=range(60, 900, 60))
    assert told.times() == {"running": 100, "unplanned_stop": 800}
    assert max(s.revision for s in told.stops) >= 1


def test_the_base_of_an_open_shift_is_the_time_that_has_passed():
    """SysOEE #40: a base of 12 h for a shift that had just begun."""
    told = ran(3600, {"d.run": [(0, True), (1800, False)]}, machine(pieces=Pieces()))
    assert compute(told.sums()).values["availability"] == 0.5
