"""The truth against numbers worked out by hand, and its laws."""

import random
from datetime import UTC, datetime
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_moments import DAY, NOW_NS, S

from simulator import truth
from simulator.behaviour.machine import SimulatedMachine
from simulator.behaviour.segments import Kind, Segment
from simulator.factory import Factory, MachineSpec, ProductSpec, ShiftSpec, to_ns
from simulator.timetable import Timetable

BEGIN = datetime(2026, 5, 4, 1, 0, tzinfo=UTC)  # Monday 08:00 in Vietnam
T0 = to_ns(BEGIN)
SHIFT = ShiftSpec(name="day", start="06:00", end="14:00", breaks=(("10:00", "10:30"),))


def model(rows, plc="press", **more):
    """A machine whose past is written by hand: (kind, seconds, completions after the start, rejects, change)."""
    products = (ProductSpec(number=1, ideal_s=2), ProductSpec(number=2, ideal_s=4))
    spec = MachineSpec(id="m", device="plc", plc=plc, products=products[:1] if plc == "pulse" else products, **more)
    factory = Factory(start=BEGIN, shifts=(SHIFT,), machines=(spec,))
    machine = SimulatedMachine(factory, spec, Timetable(factory))
    machine._planner.events._due_ns.clear()
    start = T0
    for index, (kind, seconds, done, rejects, change) in enumerate(rows):
        end = start + round(seconds * S)
        segment = Segment(
            start,
            end,
            kind,
            "test",
            done_ns=np.array([start + round(item * S) for item in done], np.int64),
            rejects=np.array(rejects, np.uint8),
            change=(start + S // 2, change) if change is not None else None,
            cycles_before=machine._progress.cycles,
            rejects_before=machine._progress.rejects,
        )
        machine.current = segment
        if index < len(rows) - 1:
            machine._close(segment)
        start = end
    return machine


def run(seconds, done=(), rejects=None):
    return (Kind.RUN, seconds, done, rejects or [0] * len(done), None)


def stop(seconds, kind=Kind.STOP, change=None):
    return (kind, seconds, (), [], change)


def ms(found, wanted="scheduled"):
    return {name: value for name, value in found["ms"][wanted].items() if value}


def judge(machine, end_s, from_s=0, as_of_s=None):
    return truth.of_machine(machine, T0 + round(from_s * S), T0 + round(end_s * S), T0 + round((as_of_s or end_s) * S))


def test_availability_performance_and_quality_by_hand():
    """100 s run with 40 pieces of 2 s, 4 rejects; 20 s minor stop; 400 s stop; 70 s breakdown; 1000 s in all."""
    machine = model(
        [
            run(100, [2.4 * n for n in range(1, 41)], [1, 1, 1, 1] + [0] * 36),
            stop(20),
            run(400, [4.0 * n for n in range(1, 100)]),
            stop(400),
            run(10),
            stop(70, Kind.BREAKDOWN),
            run(3000),
        ]
    )
    found = judge(machine, 1000)
    assert ms(found) == {"running": 510_000, "minor_stop": 20_000, "unplanned_stop": 400_000, "breakdown": 70_000}
    assert found["pieces"]["total"] == 139
    assert found["pieces"]["good"] == 135
    assert found["pieces"]["process_reject"] == 4
    assert found["kpi"]["availability"] == pytest.approx(530 / 1000)
    assert found["kpi"]["performance"] == pytest.approx(139 * 2 / 530)
    assert found["kpi"]["quality"] == pytest.approx(135 / 139)
    assert found["kpi"]["oee"] == pytest.approx(135 * 2 / 1000)
    assert found["transitions"] == 5


@pytest.mark.parametrize("cavities", [1, 4])
def test_the_pieces_of_a_cycle_are_told(cavities):
    """Also where the number of pieces divides by four by chance: nobody has to guess."""
    found = judge(model([run(100, [2.4 * n for n in range(1, 41)]), run(3000)], cavities=cavities), 100)
    assert (found["cavities"], found["pieces"]["total"] % 4) == (cavities, 0)


@pytest.mark.parametrize(("seconds", "state"), [(300, "minor_stop"), (300.001, "unplanned_stop")])
def test_the_limit_is_inclusive(seconds, state):
    machine = model([run(10), stop(seconds), run(1000)])
    assert ms(judge(machine, 400))[state] == round(seconds * 1000)


def test_an_open_stop_has_the_length_that_it_has_so_far():
    machine = model([run(10), stop(900), run(10)])
    assert ms(judge(machine, 100)) == {"running": 10_000, "minor_stop": 90_000}
    assert ms(judge(machine, 100, as_of_s=400)) == {"running": 10_000, "unplanned_stop": 90_000}


def test_a_break_suspends_a_stop_and_the_schedules_end_ends_it():
    """08:00 start; break 10:00-10:30: a stop of 200 s before and 90 s after it is minor. Closing at 14:00."""
    pause, close = 2 * 3600, 6 * 3600
    machine = model([run(pause - 200), stop(200 + 1800 + 90), run(close - 100 - pause - 1890), stop(2000), run(9)])
    found = judge(machine, close + 1000)
    assert ms(found)["minor_stop"] == 200_000 + 90_000 + 100_000
    assert ms(found, "break") == {"minor_stop": 1_800_000}
    assert ms(found, "outside") == {"minor_stop": 1_000_000}


def test_set_up_runs_from_the_last_old_to_the_first_good_new_piece():
    machine = model(
        [
            run(20, [10, 20]),
            stop(600, change=1),
            run(30, [5, 10, 20], [1, 1, 0]),
            stop(30, Kind.BREAKDOWN),
            run(40, [4], [1]),
            run(900),
        ],
        startup_pieces=2,
    )
    before = judge(machine, 20.4)
    assert ms(before) == {"running": 20_000, "minor_stop": 400}
    early = judge(machine, 632)
    assert ms(early) == {"running": 20_000, "setup": 612_000}
    assert early["pieces"] | {"products": 0} == {
        "total": 4,
        "good": 2,
        "startup_reject": 2,
        "process_reject": 0,
        "without_ideal": 2,
        "ideal_total_us": 4_000_000,
        "ideal_good_us": 4_000_000,
        "products": 0,
    }
    whole = judge(machine, 720)
    assert ms(whole) == {"running": 50_000 + 20_000, "setup": 620_000, "breakdown": 30_000}
    assert whole["pieces"]["startup_reject"] == 3
    assert whole["pieces"]["without_ideal"] == 2
    assert whole["pieces"]["ideal_total_us"] == 2 * 2_000_000 + 2 * 4_000_000
    assert whole["pieces"]["products"] == {
        "1": {"pieces": 2, "ideal_us": 2_000_000},
        "2": {"pieces": 4, "ideal_us": 4_000_000},
    }


def test_a_breakdown_inside_a_set_up_stays_one():
    machine = model([run(20, [20]), stop(60, change=1), stop(40, Kind.BREAKDOWN), stop(50), run(30, [10]), run(99)])
    assert ms(judge(machine, 230)) == {"running": 20_000 + 50_000, "setup": 120_000, "breakdown": 40_000}


def test_offline_is_no_busy_time():
    machine = model([run(100), stop(50, Kind.OFFLINE), run(50), run(9)])
    found = judge(machine, 200)
    assert ms(found) == {"running": 150_000, "offline": 50_000}
    assert found["kpi"]["availability"] == 1


def test_without_quality_signal_there_is_no_quality_and_no_oee():
    found = judge(model([run(100, [50]), run(9)], plc="pulse"), 100)
    assert found["pieces"]["good"] is None
    assert found["kpi"] == {"availability": 1, "performance": 0.02, "quality": None, "oee": None}


def test_windows_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="must be in this order"):
        judge(model([run(100), run(9)]), 50, from_s=60)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 29 * 86_400_000), st.integers(1, 3 * 86_400_000), st.integers(1, 3 * 86_400_000))
def test_time_and_pieces_add_up(month_of_truth, from_ms, first_ms, second_ms):
    plant = month_of_truth.plant
    a = plant.factory.start_ns + from_ms * 10**6 + random.Random(from_ms).randrange(10**6)
    b, c = (min(a + step * 10**6, NOW_NS) for step in (first_ms, first_ms + second_ms))
    if not a < b < c:
        return
    parts = [plant.truth(*window, NOW_NS)["machines"] for window in ((a, b), (b, c), (a, c))]
    for name in plant.machines:
        left, right, whole = (part[name] for part in parts)
        assert sum(value for row in whole["ms"].values() for value in row.values()) == c // 10**6 - a // 10**6
        for wanted, row in whole["ms"].items():
            assert row == {state: left["ms"][wanted][state] + right["ms"][wanted][state] for state in row}
        for key, value in whole["pieces"].items():
            if isinstance(value, int):
                assert value == left["pieces"][key] + right["pieces"][key]
        for key in ("total", "ideal_total_us"):
            assert whole["pieces"][key] == sum(whole["by_class"][wanted][key] for wanted in whole["ms"])


@pytest.fixture(scope="session")
def month_of_truth(month):
    """Hypothesis wants no function-scoped fixture."""
    return SimpleNamespace(plant=month)


def test_transitions_tell_every_state_once(month):
    machine = month.machines["pack-1"]
    rows = truth.transitions(machine, NOW_NS - DAY, NOW_NS, NOW_NS)
    assert all(a["state"] != b["state"] for a, b in pairwise(rows))
    found = truth.of_machine(machine, NOW_NS - DAY, NOW_NS, NOW_NS)
    assert len(rows) - 1 == found["transitions"]
    ends = [*(row["t_ns"] for row in rows[1:]), NOW_NS]
    running = sum(end - row["t_ns"] for row, end in zip(rows, ends, strict=True) if row["state"] == "running")
    told = sum(found["ms"][wanted]["running"] for wanted in found["ms"])
    assert abs(running / 10**6 - told) < len(rows)
