"""What is planted is there, as large as it says, and changes nothing else."""

import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from simulator import demo
from simulator.behaviour.machine import SimulatedMachine
from simulator.behaviour.segments import Kind
from simulator.factory import Causes, Factory
from simulator.timetable import Timetable, shift_start

NOW = datetime(2026, 3, 30, 3, tzinfo=UTC)
DAY_NS = 86_400 * 10**9
DAYS = 20


def machine(name, **causes):
    plain = demo.factory(NOW, history_days=DAYS, seed=3)
    spec = next(item for item in plain.machines if item.id == name)
    factory = plain.model_copy(update={"machines": (spec.model_copy(update={"causes": Causes(**causes)}),)})
    made = SimulatedMachine(factory, factory.machines[0], Timetable(factory))
    made.advance(factory.start_ns + DAYS * DAY_NS)
    return made


def lengths_s(made, cause):
    return np.array(
        [(item.end_ns - item.start_ns) / 1e9 for item in made.past if item.cause == cause and item.kind != Kind.RUN]
    )


def handovers_s(made):
    on = [item for item in made.past if item.kind == Kind.STOP and item.cause == "break"]
    at_edge = [item for item in on if abs(item.start_ns - shift_start(made.timetable, item.end_ns)) < 300 * 10**9]
    return np.array([(item.end_ns - item.start_ns) / 1e9 for item in at_edge])


def test_nothing_is_planted_unless_it_is_written():
    assert Causes() == Causes(late_s=0, reel_s=0, start_rejects=1, slower={}, changeover_tail=0)
    with pytest.raises(ValidationError, match="causes"):
        Factory.model_validate(demo.factory(NOW).model_dump() | {"causes": {}})


def test_shifts_begin_later():
    plain, late = handovers_s(machine("cnc-1")), handovers_s(machine("cnc-1", late_s=720))
    assert len(late) > 20
    assert np.median(late) - np.median(plain) == pytest.approx(720, rel=0.2)


def test_a_reel_is_empty_after_the_same_running_time():
    made = machine("cnc-2", reel_s=1500)
    ran_s, at_s = 0.0, []
    for before, after in pairwise(made.past):
        if before.kind == Kind.RUN:
            ran_s += (before.end_ns - before.start_ns) / 1e9
            if before.cause == "minor" and after.kind == Kind.STOP:
                at_s.append(ran_s)
    gaps = np.subtract.outer(at_s, at_s)
    near = ((gaps > 1440) & (gaps < 1560)).sum()
    beside = ((gaps > 1620) & (gaps < 1740)).sum()
    assert near > 2 * beside


def test_more_rejects_in_the_first_half_hour_of_a_shift():
    made = machine("press-1", start_rejects=4)
    counts = {True: [0, 0], False: [0, 0]}
    for item in made.past:
        if item.kind == Kind.RUN and len(item.done_ns):
            early = item.done_ns - shift_start(made.timetable, item.start_ns) < 1800 * 10**9
            for is_early in (True, False):
                counts[is_early][0] += int(item.rejects[early == is_early].sum())
                counts[is_early][1] += int((early == is_early).sum())
    shares = {key: hits / of for key, (hits, of) in counts.items()}
    assert 2.2 < shares[True] / shares[False] < 4.5


def test_a_shift_runs_more_slowly():
    made = machine("inj-1", slower={"C": 0.12})
    paces = {"C": [], "A": []}
    for item in made.past:
        shift = made.timetable.shift[made.timetable.at(item.start_ns)]
        if item.kind == Kind.RUN and shift in paces and len(item.done_ns) > 20:
            paces[shift].append(float(np.median(np.diff(item.done_ns))))
    assert np.median(paces["C"]) / np.median(paces["A"]) == pytest.approx(1.12, abs=0.03)


def test_some_changeovers_take_three_times_as_long():
    plain, tailed = (
        lengths_s(machine("press-1"), "changeover"),
        lengths_s(machine("press-1", changeover_tail=0.3), "changeover"),
    )
    assert np.percentile(tailed, 90) / np.median(tailed) > 1.5 * np.percentile(plain, 90) / np.median(plain)


def test_what_somebody_has_mended_is_over_from_that_day_on():
    mended, late = machine("cnc-1", late_s=720, until_day=10), machine("cnc-1", late_s=720)
    from_ns = mended.past[0].start_ns

    def by_half(made):
        on = [item for item in made.past if item.kind == Kind.STOP and item.cause == "break"]
        at_edge = [item for item in on if abs(item.start_ns - shift_start(made.timetable, item.end_ns)) < 300 * 10**9]
        lengths = [(item.start_ns < from_ns + 10 * DAY_NS, (item.end_ns - item.start_ns) / 1e9) for item in at_edge]
        return [np.median([length for is_first, length in lengths if is_first == half]) for half in (True, False)]

    first, last = by_half(mended)
    assert first > 600
    assert last < 200
    assert min(by_half(late)) > 600


# the same bytes, whatever is asked how often

SHORT_DAYS = 3
WITHOUT = {
    "press-1": "c4c3b67c1ae55c49",
    "cnc-1": "199244758b1ba0a9",
    "cnc-2": "6bdb67f5f8509049",
    "inj-1": "c167f16d757a7058",
    "pack-1": "b3afc885512cd077",
    "sew-1": "b2cbee76bf7fa13b",
}
"""Digests of three days of seed 3 as the simulator made them before anything could be planted in it."""


def short(planted=True):
    """The demo's machines over three days, with everything planted at once in each, or with nothing."""
    factory = demo.factory(NOW, history_days=SHORT_DAYS, seed=3)
    causes = Causes(late_s=700, reel_s=1500, start_rejects=5, slower={"C": 0.15}, changeover_tail=0.4, until_day=2)
    machines = [item.model_copy(update={"causes": causes if planted else Causes()}) for item in factory.machines]
    return factory.model_copy(update={"machines": tuple(machines)})


def lived(factory, at_ns=()):
    """A digest by machine of everything that it does until the end, asked at these times before."""
    out = {}
    for spec in factory.machines:
        made = SimulatedMachine(factory, spec, Timetable(factory))
        for t_ns in (*at_ns, factory.start_ns + SHORT_DAYS * DAY_NS):
            made.advance(t_ns)
        digest = hashlib.sha256()
        for item in (*made.past, made.current):
            told = (item.start_ns, item.end_ns, int(item.kind), item.cause, item.code, item.idle, item.left_ns)
            digest.update(repr((*told, item.change, item.cycles_before, item.rejects_before)).encode())
            digest.update(item.done_ns.tobytes())
            digest.update(item.rejects.tobytes())
        digest.update(repr(made.changeovers).encode())
        out[spec.id] = digest.hexdigest()[:16]
    return out


@cache
def lived_at_once():
    return lived(short())


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(0, SHORT_DAYS * 86_400), max_size=200).map(sorted))
def test_planted_causes_give_the_same_bytes_however_time_is_cut(at_s):
    factory = short()
    assert lived(factory, [factory.start_ns + t_s * 10**9 for t_s in at_s]) == lived_at_once()


def test_another_process_lives_the_same():
    """Whose hashes of texts are others."""
    here = Path(__file__).resolve()
    code = (
        f"import sys; sys.path.insert(0, {str(here.parent)!r}); import test_sim_causes as t; print(t.lived(t.short()))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(here.parent.parent.parent)}
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(lived_at_once())


def test_without_causes_it_lives_as_it_did_before_there_were_any():
    assert lived(short(planted=False)) == WITHOUT
    assert {name for name, digest in lived_at_once().items() if digest != WITHOUT[name]} == set(WITHOUT)
