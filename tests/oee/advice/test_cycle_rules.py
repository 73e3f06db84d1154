"""What the rules of advice read in histograms of cycle times: pulses that are lost or counted twice, a drift of the median cycle,
the cycle that a machine repeats. And what they say where there are none."""

from dataclasses import replace

import numpy as np
import pytest
from histories import CALENDAR, DAY_NS, NULL, PLANTED, START_NS, history

from oee.advice.catalogue import rules
from oee.advice.measures.cycle_times import by_day, median_ms, peak, repeated_ms
from oee.advice.window import machine_window, part_of, stop_columns, with_cycles
from oee.engine import step as engine
from oee.model.conditions import parse
from oee.model.cycle_bins import bin_of, join_bins, unfolded
from oee.model.facts import CYCLE_BINS, FACT, MS_NS, CycleBins, join, numbered, text_column
from oee.model.machine import Counter, Ideal, Machine, Pieces, Product, Rule
from oee.model.samples import Series
from oee.model.states import CalendarClass, State

S = 10**9


def counted(window, seed, *, lost=0.0, double=0.0, waits=0.0, waits_a_day=0.0):
    """The cycles of a history, as a counter saw them that loses or doubles pulses with these probabilities; `waits`: share of
    cycles before which the machine waits for half of a cycle to twice as long, growing by so much a day."""
    rng, facts = np.random.default_rng(seed), window.facts
    (shifts, shift), (products, product) = numbered(facts.shift), numbered(facts.product)
    key = (facts.business_date.astype(np.int64) * len(shifts) + shift) * len(products) + product
    rows = []
    for of in np.unique(key):
        mine = key == of
        pieces = int(facts.sums[mine, FACT["pieces_total"]].sum())
        if pieces < 20:
            continue
        day = of // len(products) // len(shifts)
        mean_ms = facts.sums[mine, FACT["running_ms"]].sum() / pieces
        times = mean_ms * np.exp(0.02 * rng.standard_normal(pieces))
        share = waits + waits_a_day * (day - facts.business_date.min())
        times += np.where(rng.random(pieces) < share, mean_ms * rng.uniform(0.5, 2, pieces), 0)
        begins = np.append(True, rng.random(pieces - 1) >= lost)
        times = np.add.reduceat(times, np.flatnonzero(begins))
        halved = rng.random(len(times)) < double
        times = np.concatenate([times[~halved], np.repeat(times[halved] / 2, 2)])
        places, cycles = np.unique(bin_of((times * MS_NS).astype(np.int64)), return_counts=True)
        rows.append((day, shifts[of // len(products) % len(shifts)], products[of % len(products)], places, cycles))
    lengths = [len(row[3]) for row in rows]
    many, zeros = sum(lengths), np.zeros(sum(lengths), np.int64)
    return CycleBins(
        text_column("m-1", many),
        zeros,
        zeros.astype(np.uint8),
        np.repeat([row[0] for row in rows], lengths).astype(np.int32),
        np.repeat(text_column([row[1] for row in rows]), lengths),
        np.repeat(text_column([row[2] for row in rows]), lengths),
        np.concatenate([row[3] for row in rows]),
        np.concatenate([row[4] for row in rows]),
        zeros,
    )


def with_counted(window, seed, **causes):
    return with_cycles(window, counted(window, seed, **causes))


def signs(window):
    return {item.key[0]: item for item in rules()["counter_suspect"].find(window)}


@pytest.fixture(scope="module")
def null():
    return history(NULL, 21)


@pytest.mark.parametrize(("cause", "sign"), [("lost", "missed"), ("double", "double")])
@pytest.mark.parametrize("strength", [0.05, 0.02])
def test_single_pulses_that_are_lost_or_doubled_are_found(null, cause, sign, strength):
    found = signs(with_counted(null, 1, **{cause: strength}))
    assert found[sign].passes
    assert not found[{"missed": "double", "double": "missed"}[sign]].passes
    counted_as = {"missed": strength, "double": 2 * strength}[sign]
    assert 0.65 < found[sign].figures["share"] / counted_as < 1.1, "3 % of a cycle whose pace varies holds most of it"
    assert len(found[sign].evidence.series["share"]) == len(found[sign].evidence.series["week_s"]) == 4


@pytest.mark.parametrize("seed", range(30, 34))
def test_slow_cycles_and_waits_are_no_lost_pulses(seed):
    window = with_counted(history(replace(NULL, unlike_b=0.06), seed), seed, waits=0.2)
    assert [sign for sign in ("missed", "double") if signs(window)[sign].passes] == []


def test_without_histograms_nothing_is_said_of_single_pulses(null):
    assert not {"missed", "double"} & set(signs(null))
    assert {item.names["answer"] for item in rules()["ideal_wrong"].find(null)} == {"unlearned"}


def test_the_proposed_ideal_time_is_the_cycle_that_is_repeated(null):
    """Waits and lost pulses, which lengthen the mean, are not in it."""
    window = with_counted(null, 3, waits=0.3, lost=0.02)
    cycles_too = np.column_stack([window.facts.sums])
    cycles_too[:, FACT["cycles"]] = cycles_too[:, FACT["pieces_total"]] // 2
    window = replace(window, facts=replace(window.facts, sums=cycles_too))
    for item in rules()["ideal_wrong"].find(window):
        made = window.facts.product == item.key[1]
        ran_s = window.facts.sums[made, FACT["running_ms"]].sum() / 1000
        mean_s = ran_s / window.facts.sums[made, FACT["pieces_total"]].sum()
        assert item.names["answer"] == "learned"
        assert item.figures["proposed_s"] == pytest.approx(mean_s / 2, rel=0.03), "two pieces come from a cycle"
        assert item.figures["oee_times"] == item.figures["proposed_s"] / item.figures["ideal_s"]


def test_a_drift_is_that_of_the_median_cycle():
    drifts = history(PLANTED["speed_drift"], 1)
    by_mean, by_median = (rules()["speed_drift"].find(item)[0] for item in (drifts, with_counted(drifts, 5)))
    assert by_mean.names["verdict"] == "drift_mean"
    assert by_median.names["verdict"] == "drift_median"
    assert by_median.passes
    assert by_median.figures["slower"] == pytest.approx(by_mean.figures["slower"], abs=0.01)


def test_waits_that_become_more_are_no_drift_of_the_cycle():
    """The mean grows with them by 10 %, the median stays."""
    window = history(replace(NULL, weeks=12), 11)
    found = with_counted(window, 6, waits=0.02, waits_a_day=0.001)
    histograms = by_day(found.cycles, "A")
    ms = 2 ** ((np.arange(CYCLE_BINS) + 0.5) / 32)
    mean = (histograms.counts @ ms) / histograms.counts.sum(axis=1)
    third = len(mean) // 3
    assert mean[-third:].mean() / mean[:third].mean() > 1.05
    assert not rules()["speed_drift"].find(found)[0].passes


def test_half_of_the_days_measured_is_as_none():
    drifts = history(PLANTED["speed_drift"], 1)
    cycles = counted(drifts, 5)
    early = cycles.business_date < np.median(cycles.business_date)
    part = with_cycles(drifts, CycleBins(**{k: getattr(cycles, k)[early] for k in CycleBins.__dataclass_fields__}))
    assert rules()["speed_drift"].find(part)[0].names["verdict"] == "drift_mean"


def test_a_part_of_a_window_has_its_own_days(null):
    window = with_counted(null, 7)
    part = part_of(window, START_NS + 14 * DAY_NS, START_NS + 21 * DAY_NS)
    assert set(part.cycles.business_date.tolist()) == set(part.facts.business_date.tolist())
    assert 0 < len(part.cycles) < len(window.cycles)


def test_measures_of_histograms():
    counts = np.zeros((3, CYCLE_BINS), np.int64)
    counts[0, 320], counts[1, [318, 320]] = 10, (30, 10)
    assert median_ms(counts)[:2] == pytest.approx([2 ** (320.5 / 32), 2 ** ((318 + 2 / 3) / 32)])
    assert np.isnan(median_ms(counts)[2])
    assert repeated_ms(counts[0]) is None, "too few"
    assert repeated_ms(100 * counts[1]) == pytest.approx(2 ** (319 / 32), rel=0.02)
    flat = np.ones(CYCLE_BINS, np.int64)
    assert peak(flat, 1000.0, (2.0, 3.0)).z == pytest.approx(0, abs=1e-9)


def recorded(lost, seed):
    """Four weeks of one shift a day, a piece each 15 s polled every 0.2 s, through the engine."""
    rng = np.random.default_rng(seed)
    counter = Counter("d.total", 32, period_ns=S // 5)
    rules_of = (Rule(parse("d.run"), State.RUNNING), Rule(None, State.UNPLANNED_STOP))
    products = {"p": Product("p", (Ideal(15_000_000),))}
    machine = Machine("m-1", CALENDAR, rules_of, pieces=Pieces(counter), product="p", products=products)
    state, facts, cycles, stops, made = engine.start(), [], [], [], 0
    end_ns = START_NS + 28 * DAY_NS
    for day in range(28):
        begin_ns = START_NS + day * DAY_NS
        times = begin_ns + 6 * 3600 * S + np.cumsum(15 * S + (0.1 * S * rng.standard_normal(1900)).astype(np.int64))
        seen = times[rng.random(len(times)) >= lost]
        polls = -(-seen // (S // 5)) * (S // 5)
        run = np.array([begin_ns, begin_ns + 6 * 3600 * S, begin_ns + 14 * 3600 * S], np.int64)
        samples = {
            "d.run": Series(run, np.array([False, True, False]), np.zeros(3, np.uint8)),
            "d.total": Series(polls, made + np.arange(1, len(polls) + 1), np.zeros(len(polls), np.uint8)),
        }
        made += len(polls)
        until_ns = begin_ns + DAY_NS
        found = engine.step(machine, state, samples, (), until_ns, until_ns if day < 27 else until_ns + DAY_NS)
        state = found.state
        facts.append(found.facts)
        cycles.append(unfolded(found.cycles))
        stops += found.stops.rows()
    window = machine_window("m-1", CALENDAR, join(facts), stop_columns(stops), START_NS, end_ns)
    assert window.facts.calendar.max() == CalendarClass.SCHEDULED
    return with_cycles(window, join_bins(cycles))


def test_from_pulses_through_the_engine_to_what_is_said():
    sound, loses = (signs(recorded(lost, 1)) for lost in (0.0, 0.03))
    assert not sound["missed"].passes
    assert not sound["double"].passes
    assert loses["missed"].passes
    assert loses["missed"].figures["share"] == pytest.approx(0.03, rel=0.25)
    assert not loses["missing"].passes, "too few at once for a minute without any"
