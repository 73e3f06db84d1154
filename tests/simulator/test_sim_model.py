"""Laws of the model: same seed, any cut of time, quiet instants, forced events."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sim_moments import DAY, NOW, NOW_NS, S

from simulator import demo
from simulator.behaviour.segments import Kind
from simulator.plant import Plant
from simulator.plc.readings import at, changes


def told(plant, start, end):
    """Everything that the registers show in a window, as plain data."""
    return {
        (name, tag): (times.tolist(), values.tolist())
        for name, machine in plant.machines.items()
        for tag, (times, values) in changes(machine, start, end).items()
    }


def test_equal_seeds_live_equal_lives_however_time_is_cut():
    factory = demo.factory(NOW, history_days=1)
    whole, stepped = Plant(factory), Plant(factory)
    whole.advance(NOW_NS)
    for t in range(factory.start_ns, NOW_NS, 97 * S):
        stepped.advance(t)
    stepped.advance(NOW_NS)
    assert told(whole, factory.start_ns, NOW_NS) == told(stepped, factory.start_ns, NOW_NS)
    other = Plant(demo.factory(NOW, history_days=1, seed=2))
    other.advance(NOW_NS)
    assert told(whole, factory.start_ns, NOW_NS) != told(other, factory.start_ns, NOW_NS)


def test_an_instant_and_a_window_tell_the_same(two_days):
    start = NOW_NS
    for second in range(300):
        t = start + second * S
        two_days.advance(t)
        for machine in two_days.machines.values():
            shown = at(machine, t)
            window = changes(machine, start - 3_600 * S, t)
            if shown.online:
                assert shown.tags == {tag: values[-1] for tag, (_, values) in window.items()}


def completions(plant, start, end):
    return np.concatenate([item.done_ns for m in plant.machines.values() for item in m.segments(start, end)])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(4, 400), min_size=1, max_size=6, unique=True), st.integers(0, 90))
def test_no_cycle_completes_around_a_quiet_instant(ahead_s, later_s):
    plant = Plant(demo.factory(NOW, history_days=1))
    plant.advance(NOW_NS)
    before = told(plant, NOW_NS - DAY // 2, NOW_NS)
    plant.be_quiet(tuple(NOW_NS + item * S for item in ahead_s[:3]), NOW_NS)
    now = NOW_NS + later_s * S
    plant.advance(now)
    more = tuple(NOW_NS + item * S for item in ahead_s[3:] if NOW_NS + item * S > now + 3 * S)
    plant.be_quiet(more, now)
    end = NOW_NS + 500 * S
    plant.advance(end)
    done = completions(plant, NOW_NS, end)
    for instant in (*(NOW_NS + item * S for item in ahead_s[:3]), *more):
        assert not ((done >= instant - 2_500_000_000) & (done <= instant + 300_000_000)).any()
    assert told(plant, NOW_NS - DAY // 2, NOW_NS) == before
    for machine in plant.machines.values():
        found = machine.segments(NOW_NS - DAY // 2, end)
        assert all(a.end_ns == b.start_ns for a, b in pairwise(found))
        every = np.concatenate([item.done_ns for item in found])
        assert (np.diff(every) > 0).all()


def state_at(plant, name, t):
    rows = plant.truth(t - S, t, t)["machines"][name]["ms"]["scheduled"]
    return max(rows, key=rows.get)


@pytest.mark.parametrize(
    ("name", "event", "state"),
    [
        ("press-1", "breakdown", "breakdown"),
        ("cnc-1", "breakdown", "breakdown"),
        ("inj-1", "minor_stop", "minor_stop"),
        ("pack-1", "offline", "offline"),
        ("sew-1", "offline", "offline"),
    ],
)
def test_a_forced_event_begins_at_once_and_ends_in_time(two_days, name, event, state):
    machine = two_days.machines[name]
    now = NOW_NS
    while (
        machine.current.kind != Kind.RUN
        or machine.current.end_ns < now + 60 * S
        or state_at(two_days, name, now) != ("running")
    ):
        now += 61 * S
        two_days.advance(now)
    begins = machine.force(event, 20 * S, now)
    assert now <= begins <= now + 6 * S
    two_days.advance(begins + 60 * S)
    assert state_at(two_days, name, begins + 10 * S) == state
    assert state_at(two_days, name, begins + 22 * S) == "running"


def test_a_forced_changeover_is_a_set_up_from_the_last_old_piece_on(two_days):
    machine = two_days.machines["pack-1"]
    now = NOW_NS
    while machine.current.kind != Kind.RUN or machine.current.end_ns < now + 8 * S:
        now += 5 * S
        two_days.advance(now)
    old = at(machine, now).tags["recipe"]
    begins = machine.force("changeover", 30 * S, now)
    two_days.advance(begins + 20 * S)
    assert at(machine, begins + 20 * S).tags["recipe"] != old
    last = machine.changeovers_by(begins + 20 * S)[-1].last_old_ns
    found = two_days.truth(last, begins + 20 * S, begins + 20 * S)["machines"]["pack-1"]
    assert sum(found["ms"][name]["setup"] for name in found["ms"]) == (begins + 20 * S) // 10**6 - last // 10**6


def test_events_that_signals_cannot_tell_are_refused_with_a_cure(two_days):
    with pytest.raises(ValueError, match="inj-1 has no signal for breakdown; force minor_stop or offline"):
        two_days.machines["inj-1"].force("breakdown", 20 * S, NOW_NS)
    with pytest.raises(ValueError, match="sew-1 makes one product only"):
        two_days.machines["sew-1"].force("changeover", 20 * S, NOW_NS)
    with pytest.raises(ValueError, match="too close to the minor-stop limit of 60 s"):
        two_days.machines["press-1"].force("minor_stop", 58 * S, NOW_NS)


@pytest.mark.parametrize("cut", [0, 1])
def test_a_stop_that_is_interrupted_by_a_breakdown_is_part_of_it(two_days, cut):
    """Also where the window begins within the stop, and not before the fault is there to be seen."""
    machine = two_days.machines["press-1"]
    now = NOW_NS
    while (
        machine.current.kind != Kind.STOP
        or machine.current.end_ns < now + 70 * S
        or state_at(two_days, "press-1", now) not in ("minor_stop", "unplanned_stop")
    ):
        now += 31 * S
        two_days.advance(now)
    stop = machine.current
    before = two_days.truth(stop.start_ns, now, now)["machines"]["press-1"]["ms"]["scheduled"]
    assert before["breakdown"] == 0
    begins = machine.force("breakdown", 20 * S, now)
    two_days.advance(stop.end_ns + S)
    from_ns = stop.start_ns + cut * S
    after = two_days.truth(from_ns, stop.end_ns, stop.end_ns + S)["machines"]["press-1"]["ms"]["scheduled"]
    assert begins < stop.end_ns
    assert after["breakdown"] == stop.end_ns // 10**6 - from_ns // 10**6
