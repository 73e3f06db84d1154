"""Counters: forward, rollover, return, reset, jump, pace; widths, signs and floats; outages; blocks."""

import numpy as np
import pytest
from driving import BAD, GAP, S, as_series, part
from hypothesis import given, settings
from hypothesis import strategies as st

from oee.engine.counters import CounterState, count
from oee.model.machine import Counter


def counted(counter, values, *, every=1):
    """Increments and kinds of oddities of values read every so many seconds."""
    found, _ = count(counter, CounterState(), as_series([(n * every, value) for n, value in enumerate(values)]))
    return found.count.tolist(), [kind for _, kind, _, _ in found.oddities]


SLOW = Counter("d.c", 16, max_per_s=10)


def test_the_first_value_is_a_baseline():
    assert counted(SLOW, [5000]) == ([], [])
    assert counted(SLOW, [0, 1]) == ([1], [])


@pytest.mark.parametrize("bits", [16, 32])
def test_rollover(bits):
    """16 and 32 bit counters wrap; the pieces over the end are counted modulo the width."""
    top = 2**bits
    assert counted(Counter("d.c", bits, max_per_s=10), [top - 3, top - 1, 4]) == ([2, 5], [])


def test_rollover_of_64_bits():
    """Values near 2**63 stay exact (no float in between)."""
    top = 2**63 - 1
    assert counted(Counter("d.c", 64, max_per_s=10), [top - 4, top - 1]) == ([3], [])


@pytest.mark.parametrize("bits", [16, 32])
def test_signed_registers_wrap_at_the_sign(bits):
    """A signed register goes from its largest positive to its most negative value, and at -1 to 0."""
    half = 2 ** (bits - 1)
    signed = Counter("d.c", bits, signed=True, max_per_s=10)
    assert counted(signed, [half - 2, half - 1, -half, -half + 3]) == ([1, 1, 3], [])
    assert counted(signed, [-2, -1, 0, 4]) == ([1, 1, 4], [])


def test_float_counters():
    """Whole parts count; the dust of float arithmetic does not."""
    assert counted(Counter("d.c", None, max_per_s=10), [0.0, 0.9999999, 1.4, 2.6, 3.0]) == ([1, 1, 1], [])


def test_reset_counts_the_new_value():
    """aviharos/oee: max - min loses the parts of a reset; Flux increase() counts the value after it."""
    assert counted(SLOW, [30_000, 30_005, 3, 7]) == ([5, 3, 4], ["reset"])


def test_what_looks_like_a_rollover_must_be_plausible():
    assert counted(SLOW, [65_530, 4]) == ([10], [])
    assert counted(SLOW, [65_500, 4]) == ([4], ["reset"])
    assert counted(Counter("d.c", None), [65_530, 4]) == ([4], ["reset"])


def test_the_most_plausible_step_is_inclusive():
    """Rate times time, and one count that two polls may see closer together."""
    assert counted(SLOW, [100, 111]) == ([11], [])
    assert counted(SLOW, [100, 112]) == ([], ["jump"])


def test_spike_and_back():
    """MTConnect adapter #24: 2000, 599999 and back: not a production of half a million, nor a reset after it."""
    wide = Counter("d.c", 32, max_per_s=10)
    assert counted(wide, [2000, 2001, 599_999, 2002, 2003]) == ([1, 1, 1], ["spike"])


def test_torn_read_of_two_registers():
    """The low word has wrapped before the high word counts: one reading 65,536 too low."""
    wide = Counter("d.c", 32, max_per_s=10)
    assert counted(wide, [131_070, 131_071, 65_536, 131_073]) == ([1, 2], ["spike"])


def test_a_jump_that_stays_is_a_new_baseline():
    """fanuc-driver #84: another program, another count; nothing was made."""
    wide = Counter("d.c", 32, max_per_s=10)
    assert counted(wide, [2000, 50_000, 50_002]) == ([2], ["jump"])


def test_a_last_value_out_of_reach_is_a_jump_until_the_register_comes_back():
    found, memory = count(SLOW, CounterState(), as_series([(0, 10), (1, 12), (2, 40_000)]))
    assert (found.count.tolist(), found.oddities) == ([2], ((2 * S, "jump", 12, 40_000),))
    again, _ = count(SLOW, memory, as_series([(3, 13)]))
    assert (again.count.tolist(), again.oddities) == ([1], ((2 * S, "spike", 12, 40_000),))


def test_constant_and_repeated_values_count_nothing():
    """aviharos/oee made a phantom cycle from a constant."""
    assert counted(SLOW, [7] * 10) == ([], [])


@pytest.mark.parametrize("quality", [GAP, BAD])
def test_pieces_across_an_outage(quality):
    """VTScada: invalid to 1 is no pulse; but the difference to the value before the outage was made."""
    rows = [(0, 10), (5, quality), (60, 30), (61, 31)]
    found, _ = count(SLOW, CounterState(), as_series(rows))
    assert found.count.tolist() == [20, 1]
    assert found.lost_ns.tolist() == [5 * S, -1]


def test_a_counter_first_seen_after_an_outage_is_a_baseline():
    found, _ = count(SLOW, CounterState(), as_series([(0, GAP), (60, 30), (61, 31)]))
    assert found.count.tolist() == [1]


def test_text_does_not_count():
    found, memory = count(SLOW, CounterState(), as_series([(0, "a"), (1, "b")]))
    assert (len(found.count), memory.value) == (0, None)


steps = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 10)), min_size=1, max_size=40)


@settings(deadline=None)
@given(st.sampled_from([8, 16, 32]), st.booleans(), st.integers(0, 2**32 - 1), steps)
def test_a_plausible_counter_is_counted_exactly_whatever_its_width(bits, signed, first, made):
    """Pieces made within the rate sum up exactly, over any number of ends of the register."""
    counter = Counter("d.c", bits, signed=signed, max_per_s=10)
    t, n, rows = 0, first, []
    for wait, pieces in [(1, 0), *made]:
        t, n = t + wait, n + pieces
        raw = n % 2**bits
        rows.append((t, raw - 2**bits if signed and raw >= 2 ** (bits - 1) else raw))
    found, _ = count(counter, CounterState(), as_series(rows))
    assert int(found.count.sum()) == sum(pieces for _, pieces in made)
    assert found.oddities == ()


anything = st.lists(st.one_of(st.integers(0, 300), st.integers(0, 65_535), st.sampled_from([GAP, BAD])), max_size=25)


@settings(deadline=None)
@given(anything, st.sets(st.integers(1, 25), max_size=5))
def test_blocks_count_like_the_whole(values, cuts):
    """Handed in in blocks, the same increments and oddities come out."""
    whole = as_series(list(enumerate(values)))
    expected, _ = count(SLOW, CounterState(), whole)
    memory, got, told, low = CounterState(), [], {}, 0
    for cut in [*sorted(cuts), 26]:
        block = part({"c": whole}, low * S, cut * S)["c"]
        found, memory = count(SLOW, memory, block)
        low = cut
        told |= {item.t_ns: item for item in found.oddities}
        got += list(zip(found.t_ns.tolist(), found.count.tolist(), strict=True))
    assert sum(n for _, n in got) == int(expected.count.sum())
    assert got == list(zip(expected.t_ns.tolist(), expected.count.tolist(), strict=True))
    assert told == {item.t_ns: item for item in expected.oddities}


@settings(deadline=None)
@given(anything)
def test_increments_are_positive_and_within_the_rate(values):
    rows = as_series(list(enumerate(values)))
    found, _ = count(SLOW, CounterState(), rows)
    assert np.all(found.count > 0)
    assert np.all(np.diff(found.t_ns) > 0)
    assert int(found.count.sum()) <= 11 * len(values) + 10 * len(values)
