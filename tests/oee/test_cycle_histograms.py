"""Histograms of cycle times: which cycles are measured, how, and where they are booked. That cuts and corrections change nothing is
in `test_engine_laws` and `test_correction_laws`."""

from dataclasses import replace

import numpy as np
import pytest
from driving import GAP, S, as_series, ns
from plain_machine import PLAIN, T, breaks

from oee.engine import step as engine
from oee.kpi.learn import proposals
from oee.model.cycle_bins import EDGES_NS, bin_of
from oee.model.facts import CYCLE_COLUMNS, HOUR_NS, MS_NS, row_keys
from oee.model.machine import Pieces

HOUR_S = 3600


def polled(times, period_s, end):
    """What polls see of a count that steps at these seconds."""
    looks = np.arange(0, end, period_s)
    seen = np.searchsorted(times, looks, "right")
    changed = np.append(True, seen[1:] != seen[:-1])
    return list(zip(looks[changed].tolist(), seen[changed].tolist(), strict=True))


def measured(rows, end=2 * HOUR_S, period_s=0.0, made=PLAIN):
    """{(hour after the first, shift, product): {bin: cycles}}, of a machine that runs unless the rows say otherwise."""
    counter = replace(PLAIN.pieces.total, period_ns=round(period_s * S))
    made = replace(made, pieces=Pieces(counter))
    rows = {tag: [(T + t, value) for t, value in found] for tag, found in ({"d.run": [(0, True)]} | rows).items()}
    samples = {tag: as_series(found) for tag, found in rows.items()}
    found = engine.step(made, engine.start(), samples, (), ns(T + end), ns(T + end)).cycles
    return {
        ((key[1] - T * S) // HOUR_NS, key[4], key[5]): {place: n for place, n in enumerate(row) if n}
        for key, row in zip(row_keys(found), found.sums.tolist(), strict=True)
    }


def one(seconds):
    return int(bin_of(np.array([round(seconds * 1000) * MS_NS]))[0])


def test_each_cycle_is_in_the_hour_in_which_its_last_count_was_seen():
    times = [5 + 12 * n for n in range(540)]
    found = measured({"d.total": [(0, 0), *((t, n + 1) for n, t in enumerate(times))]})
    assert found == {(0, "day", "p"): {one(12): 299}, (1, "day", "p"): {one(12): 240}}
    assert len(CYCLE_COLUMNS) == len(EDGES_NS) + 1


def test_an_hour_that_is_not_over_waits():
    rows = {"d.total": [(0, 0), *((5 + 12 * n, n + 1) for n in range(540))]}
    assert list(measured(rows, end=2 * HOUR_S - 1)) == [(0, "day", "p")]


def test_what_stands_between_two_counts_is_no_cycle():
    """A stop, a gap, another product: each begins a run anew."""
    count = [(0, 0), *((10 * n, n) for n in range(1, 700))]
    assert measured({"d.total": count})[0, "day", "p"] == {one(10): 359 - 1}
    stopped = {"d.total": count, "d.run": [(0, True), (100.5, False), (105, True)]}
    assert measured(stopped)[0, "day", "p"] == {one(10): 359 - 2}
    lost = {"d.total": [*count[:11], (105, GAP), *count[12:]]}
    assert sum(measured(lost)[0, "day", "p"].values()) < 359 - 1
    products = {"d.total": count, "d.product": [(0, "p"), (1795, "q")]}
    found = measured(products, made=replace(PLAIN, product_tag="d.product"))
    assert found[0, "day", "p"] == {one(10): 179 - 1}
    assert found[0, "day", "q"] == {one(10): 180 - 1}


def test_a_product_that_nobody_knows_has_none():
    rows = {"d.total": [(0, 0), *((10 * n, n) for n in range(1, 700))], "d.product": [(0, "x")]}
    assert measured(rows, made=replace(PLAIN, product_tag="d.product")) == {}


def test_shifts_have_their_own():
    rows = {"d.total": [(0, 0), *((10 * n, n) for n in range(1, 700))]}
    found = measured(rows, made=replace(PLAIN, calendar=breaks(1800, 2400)))
    assert {key[:2] for key in found} == {(0, "A"), (1, "A")}


@pytest.mark.parametrize(
    ("cycle_s", "period_s"), [(0.4, 1.0), (1.3, 1.0), (3.1, 1.0), (2.0, 0.2), (12.0, 1.0), (0.05, 5.0)]
)
def test_however_fast_and_however_rarely_looked_at_the_cycle_is_right(cycle_s, period_s):
    """Within what a poll blurs ten periods: a tenth either way, and the mean of all far better."""
    times = np.arange(0.013, HOUR_S + 900, cycle_s)
    found = measured({"d.total": polled(times, period_s, HOUR_S + 900)}, HOUR_S + 900, period_s, many())[0, "day", "p"]
    bins, cycles = np.array([*found.items()]).T
    made = HOUR_S / cycle_s
    assert 0.98 * made - 10 * period_s / cycle_s < cycles.sum() <= made + 1
    times_s = 2 ** ((bins + 0.5) / 32) / 1000
    assert (np.abs(times_s / cycle_s - 1) < 0.13).all()
    assert abs(np.average(times_s, weights=cycles) / cycle_s - 1) < 0.02


def many():
    return replace(PLAIN, pieces=Pieces(replace(PLAIN.pieces.total, bits=32, max_per_s=100)))


def test_a_missed_pulse_is_twice_the_cycle():
    rng = np.random.default_rng(1)
    times = 0.4 + 15 * np.arange(230) + rng.uniform(0, 0.1, 230)
    kept = np.flatnonzero(rng.random(230) > 0.1)
    found = measured({"d.total": polled(times[kept], 0.2, HOUR_S)}, HOUR_S, 0.2)[0, "day", "p"]
    double = sum(cycles for place, cycles in found.items() if abs(place - one(30)) <= 1)
    assert 10 < double < 40
    assert sum(cycles for place, cycles in found.items() if abs(place - one(15)) <= 2) > 150


def test_they_are_the_cycles_that_ideal_times_are_learned_from():
    rng = np.random.default_rng(2)
    times = np.cumsum(rng.normal(4, 0.1, 850))
    counter = replace(PLAIN.pieces.total, period_ns=200 * MS_NS)
    rows = {"d.run": [(T, True)], "d.total": [(T + t, n) for t, n in polled(times, 0.2, HOUR_S)]}
    samples = {tag: as_series(found) for tag, found in rows.items()}
    made = replace(PLAIN, pieces=Pieces(counter))
    step = engine.step(made, engine.start(), samples, (), ns(T + HOUR_S), ns(T + HOUR_S))
    (proposal,) = proposals(step.window, poll_ns=200 * MS_NS).values()
    assert abs(one(proposal.cycle_us / 1e6) - int(step.cycles.sums.sum(axis=0).argmax())) <= 1
