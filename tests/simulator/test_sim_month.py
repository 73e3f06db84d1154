"""Thirty days of the demo factory: what the signals must be able to show, and what a factory looks like."""

from itertools import pairwise

import numpy as np
import pytest
from sim_moments import DAY, NOW_NS, S

from simulator.behaviour.segments import Kind
from simulator.plc.readings import changes
from simulator.plc.signals import PLCS

MACHINES = ("press-1", "cnc-1", "cnc-2", "inj-1", "pack-1", "sew-1")


def record(machine):
    return machine.segments(machine.start_ns, NOW_NS)


def stretches(machine):
    """Signal-wise stretches of running and of standing: (running, start, end), PLC away counting as neither."""
    rows = []
    for segment in record(machine):
        kind = "run" if segment.kind == Kind.RUN else "away" if segment.kind == Kind.OFFLINE else "stop"
        if rows and rows[-1][0] == kind:
            rows[-1][2] = segment.end_ns
        else:
            rows.append([kind, segment.start_ns, segment.end_ns])
    return rows


@pytest.mark.parametrize("name", MACHINES)
def test_stretches_follow_each_other_without_gap(month, name):
    for before, after in pairwise(record(month.machines[name])):
        assert before.end_ns == after.start_ns
        assert before.end_ns > before.start_ns


@pytest.mark.parametrize("name", MACHINES)
def test_every_run_and_every_stop_is_long_enough_for_a_poll_each_second(month, name):
    shortest = min(end - start for kind, start, end in stretches(month.machines[name])[1:-1])
    assert shortest >= 4 * S


@pytest.mark.parametrize("name", MACHINES)
def test_no_stop_is_too_close_to_the_minor_stop_limit(month, name):
    machine = month.machines[name]
    table = machine.timetable
    for segment in record(machine)[:-1]:
        if segment.kind != Kind.STOP:
            continue
        for start, end in table.sections(segment.start_ns, segment.end_ns):
            length = table.scheduled_before(end) - table.scheduled_before(start)
            assert abs(length - machine.limit_ns) >= 4 * S


def test_the_pulse_machine_shows_gaps_that_can_be_told_from_cycles(month):
    machine = month.machines["sew-1"]
    ideal = machine.ideal_ns[0]
    away = [(item.start_ns, item.end_ns) for item in record(machine) if item.kind == Kind.OFFLINE]
    done = np.concatenate([item.done_ns for item in record(machine)])
    for first, second in pairwise(done.tolist()):
        if any(start < second and first < end for start, end in away):
            continue
        gap = second - first
        assert gap <= 1.03 * ideal or gap >= max(2.5 * ideal, 30 * S) + 5 * S


def test_the_pulse_machine_stops_when_its_piece_is_due_and_restarts_with_it(month):
    machine = month.machines["sew-1"]
    for run, stop, after in zip(record(machine), record(machine)[1:], record(machine)[2:], strict=False):
        if (run.kind, stop.kind, after.kind) == (Kind.RUN, Kind.STOP, Kind.RUN):
            if len(run.done_ns):
                assert run.end_ns - run.done_ns[-1] == machine.ideal_ns[0]
            if after.end_ns <= NOW_NS:
                assert after.done_ns[0] == after.start_ns


@pytest.mark.parametrize("name", [name for name in MACHINES if name != "sew-1"])
def test_cycles_take_less_than_twice_the_ideal_time(month, name):
    machine = month.machines[name]
    product = 0
    for segment in record(machine):
        if segment.kind == Kind.RUN and len(segment.done_ns) > 1:
            assert np.diff(segment.done_ns).max() < 2 * machine.ideal_ns[product]
            assert np.diff(segment.done_ns).min() >= machine.ideal_ns[product]
        if segment.change:
            product = segment.change[1]


def test_a_changeover_changes_the_number_within_a_second_and_begins_with_rejects(month):
    for machine in month.machines.values():
        found = machine.changeovers_by(NOW_NS)
        done = np.concatenate([item.done_ns for item in record(machine)])
        bad = np.concatenate([item.rejects for item in record(machine)])
        for item in found[:-1]:
            assert 0 < item.change_ns - item.last_old_ns < S
            assert item.old != item.new
            low, high = np.searchsorted(done, [item.last_old_ns, item.first_good_ns], "right")
            assert (bad[low : high - 1] == machine.spec.cavities).all()
            assert bad[high - 1] < machine.spec.cavities
        assert len(found) > 5 or machine.spec.plc == "pulse"


@pytest.mark.parametrize("name", MACHINES)
def test_nothing_is_made_while_the_plc_is_away_or_the_machine_stands(month, name):
    machine = month.machines[name]
    assert all(not len(item.done_ns) for item in record(machine) if item.kind != Kind.RUN)
    assert any(item.kind == Kind.OFFLINE for item in record(machine))


@pytest.mark.parametrize("name", MACHINES)
def test_truth_counts_what_the_registers_count(month, name):
    machine = month.machines[name]
    start, end = NOW_NS - 3 * DAY, NOW_NS - DAY
    pieces = month.truth(start + 1, end + 1, NOW_NS)["machines"][name]["pieces"]
    moved = {}
    for tag, counter in PLCS[machine.spec.plc].counters.items():
        steps = np.diff(changes(machine, start, end)[tag][1]) % (1 << counter.bits)
        moved[counter.counts] = int(steps.sum())
    total = moved["pieces"] if "pieces" in moved else moved["cycles"] * machine.spec.cavities
    assert pieces["total"] == total > 0
    if "rejects" in moved:
        assert pieces["startup_reject"] + pieces["process_reject"] == moved["rejects"]
    if "good" in moved:
        assert pieces["good"] == moved["good"]
    if "rejects" not in moved and "good" not in moved:
        assert pieces["good"] is None


def test_a_sixteen_bit_and_a_thirty_two_bit_counter_wrap(month):
    for name, tag in (("press-1", "strokes"), ("cnc-1", "parts")):
        machine = month.machines[name]
        assert (np.diff(changes(machine, machine.start_ns, NOW_NS)[tag][1]) < 0).any()


def oee(month, name, days=range(1, 30)):
    start = month.factory.start_ns
    rows = [month.truth(start + day * DAY, start + (day + 1) * DAY, NOW_NS)["machines"][name] for day in days]
    return [row["kpi"]["oee"] for row in rows if row["kpi"]["oee"] is not None]


def test_the_month_looks_like_a_factory(month):
    whole = month.truth(month.factory.start_ns, NOW_NS, NOW_NS)["machines"]
    for name, row in whole.items():
        if name != "sew-1":
            assert 0.45 < row["kpi"]["oee"] < 0.85
    assert whole["sew-1"]["kpi"]["oee"] is None
    scheduled = {name: row["ms"]["scheduled"] for name, row in whole.items()}
    assert max(scheduled, key=lambda name: scheduled[name]["setup"]) == "press-1"
    assert whole["pack-1"]["transitions"] == max(row["transitions"] for row in whole.values())
    assert scheduled["pack-1"]["starved"] > 0 < scheduled["pack-1"]["blocked"]
    assert sum(scheduled["inj-1"].values()) == sum(scheduled["press-1"].values())
    days = oee(month, "press-1")
    assert max(days) - min(days) > 0.1


def test_one_machine_loses_speed_all_month(month):
    start = month.factory.start_ns
    early, late = (
        month.truth(start + day * DAY, start + (day + 5) * DAY, NOW_NS)["machines"]["cnc-2"] for day in (0, 25)
    )
    pace = [
        row["by_class"]["scheduled"]["ideal_total_us"] / row["ms"]["scheduled"]["running"] / 1000
        for row in (early, late)
    ]
    assert pace[0] - pace[1] > 0.08


def test_the_night_is_a_little_worse(month):
    table = next(iter(month.machines.values())).timetable
    sums = dict.fromkeys("ABC", (0.0, 0))
    for index, edge in enumerate(table.edges[:-1]):
        shift, end = table.shift[index], table.edges[index + 1]
        if shift in sums and table.wanted[index] == 0 and edge >= month.factory.start_ns and end < NOW_NS:
            rows = month.truth(edge, end, NOW_NS)["machines"]
            for name in MACHINES[:-1]:
                value = rows[name]["kpi"]["oee"]
                sums[shift] = (sums[shift][0] + (value or 0), sums[shift][1] + (value is not None))
    mean = {shift: total / count for shift, (total, count) in sums.items()}
    assert 0.005 < (mean["A"] + mean["B"]) / 2 - mean["C"] < 0.12


def test_two_minutes_show_something_on_most_machines(month):
    """In most two minutes of a working day most machines move, and the fast ones stop."""
    busy = count = 0
    for step in range(60):
        start = NOW_NS - DAY + step * 1_373 * S
        rows = month.truth(start, start + 120 * S, NOW_NS)["machines"]
        if any(row["ms"]["break"]["minor_stop"] + row["ms"]["break"]["unplanned_stop"] for row in rows.values()):
            continue
        alive = [name for name, row in rows.items() if row["pieces"]["total"] or row["transitions"]]
        stops = sum(rows[name]["transitions"] for name in ("press-1", "pack-1"))
        busy += len(alive) >= 4 and stops >= 3
        count += 1
    assert count > 40
    assert busy >= 0.8 * count
