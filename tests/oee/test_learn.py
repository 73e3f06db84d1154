"""Learned ideal times: the true cycle is found through jitter, slow cycles, stops, polling and double counts."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from oee.engine import step as engine
from oee.kpi.learn import QUANTILES, Run, learn, proposals, runs_by_product
from oee.model.calendars import Calendar, Shift
from oee.model.conditions import parse
from oee.model.machine import Counter, Ideal, Machine, Pieces, Product, Rule
from oee.model.samples import series
from oee.model.states import Quality, State
from words.catalogue import catalogue

S = 1_000_000_000
T0 = 1_770_000_000 * S
POLL = S
ALWAYS = Calendar(ZoneInfo("UTC"), (Shift("A", frozenset(range(7)), 0, 86_400),))


def runs(seed, cycle_s, *, jitter=0.02, slow=0.03, slowest=1.6, stops=0.005, doubles=0.003, poll_s=1.0, n=1500,
         told=True, burst=0):  # fmt: skip
    """Counts of a machine as a poller sees them, cut at its stops if `told` (else the stops are in the runs).

    stops: share of cycles with a stop of 5 to 60 s in them; doubles: share counted twice; burst: so many counts of a
    bouncing sensor in a row.
    """
    dice = np.random.default_rng(seed)
    factor = 1 + jitter * dice.standard_normal(n).clip(-3, 3)
    late = dice.random(n) < slow
    factor[late] *= dice.uniform(1.15, slowest, late.sum())
    length = factor * cycle_s
    stopped = dice.random(n) < stops
    length[stopped] += dice.uniform(5, 60, stopped.sum())
    done = length.cumsum()
    twice = done[dice.random(n) < doubles] + 0.05
    bounced = done[n // 2] + 0.03 * np.arange(1, burst + 1)
    times = np.sort(np.concatenate([done, twice, bounced]))
    seen, count = np.unique(np.ceil(times / poll_s) * poll_s if poll_s else times.round(3), return_counts=True)
    edges = np.searchsorted(seen, done[stopped]) if told else []
    parts = np.split(np.arange(len(seen)), np.unique(edges))
    return [Run((seen[part] * 1000).round().astype(np.int64) * 10**6, count[part]) for part in parts if len(part)]


@settings(deadline=None, max_examples=examples(150))
@given(
    st.integers(0, 2**32),
    st.floats(1.5, 90),
    st.fixed_dictionaries(
        {
            "jitter": st.floats(0, 0.05),
            "slow": st.floats(0, 0.05),
            "stops": st.floats(0, 0.02),
            "doubles": st.floats(0, 0.01),
            "poll_s": st.sampled_from([0, 0.5, 1.0]),
            "n": st.integers(300, 3000),
            "told": st.booleans(),
        }
    ),
)
def test_the_true_cycle_is_found_within_2_percent(seed, cycle_s, how):
    found = learn(runs(seed, cycle_s, **how), poll_ns=int(how["poll_s"] * S))
    assert found.why_null == ""
    assert found.cycle_us == pytest.approx(cycle_s * 1e6, rel=0.02)
    assert found.ideal_us == found.cycle_us


@settings(deadline=None, max_examples=examples(60))
@given(st.integers(0, 2**32), st.floats(0.3, 1.5))
def test_machines_faster_than_the_poll(seed, cycle_s):
    found = learn(runs(seed, cycle_s, slow=0.01), poll_ns=POLL)
    assert found.cycle_us == pytest.approx(cycle_s * 1e6, rel=0.02)
    assert found.evidence.per_span >= 5


@pytest.mark.parametrize("poll_s", [0, 1.0])
def test_the_faster_of_two_paces_counts_when_it_is_kept_up(poll_s):
    slow, fast = runs(1, 12.5, poll_s=poll_s, n=1400), runs(2, 10, poll_s=poll_s, n=600)
    found = learn([*slow, *fast], poll_ns=int(poll_s * S))
    assert found.cycle_us == pytest.approx(10e6, rel=0.02)


@pytest.mark.parametrize("poll_s", [0, 1.0])
def test_a_bouncing_sensor_does_not_set_the_pace(poll_s):
    found = learn(runs(3, 8, burst=60, poll_s=poll_s), poll_ns=int(poll_s * S))
    assert found.cycle_us == pytest.approx(8e6, rel=0.02)


def test_evidence():
    seen = runs(4, 20, n=800)
    found = learn(seen, poll_ns=POLL, per_count=4)
    evidence = found.evidence
    assert found.per_count == 4
    assert found.ideal_us == pytest.approx(found.cycle_us / 4, abs=1)
    assert evidence.cycles == sum(int(run.count[1:].sum()) for run in seen if len(run.t_ns) > 1)
    assert evidence.first_ns == min(run.t_ns[0] for run in seen if len(run.t_ns) > 1)
    assert evidence.last_ns == max(run.t_ns[-1] for run in seen)
    assert len(evidence.quantiles_us) == len(QUANTILES)
    assert list(evidence.quantiles_us) == sorted(evidence.quantiles_us)
    assert evidence.per_span == 1
    assert 0.8 < evidence.alike <= 1
    assert 0 < evidence.spread < 0.15


def nothing(found):
    assert (found.cycle_us, found.ideal_us) == (None, None)
    assert f"why_null.{found.why_null}" in catalogue()
    return found.why_null


def test_too_little_proposes_nothing():
    few = learn(runs(5, 10, n=150, told=False), poll_ns=POLL)
    assert nothing(few) == "too_few_cycles"
    assert few.evidence.cycles >= 149
    assert nothing(learn([])) == "too_few_cycles"
    assert nothing(learn([Run(np.array([5]), np.array([900]))])) == "too_few_cycles"
    assert learn(runs(5, 10, n=150, told=False), poll_ns=POLL, at_least=100).why_null == ""


def test_runs_that_do_not_outlast_the_poll_propose_nothing():
    short = [Run(np.array([10 * i, 10 * i + 1]) * S, np.array([3, 3])) for i in range(100)]
    assert nothing(learn(short, poll_ns=POLL)) == "runs_too_short"


def test_work_without_a_repeating_cycle_proposes_nothing():
    dice = np.random.default_rng(6)
    times = (dice.lognormal(3, 0.9, 600).cumsum() * 1000).astype(np.int64) * 10**6
    assert nothing(learn([Run(times, np.ones(600, np.int64))])) == "no_repeatable_cycle"


@given(st.lists(st.tuples(st.integers(1, 10**13), st.integers(1, 1000)), min_size=2, max_size=300), st.integers(0, S))
def test_any_counts_have_an_answer(steps, poll_ns):
    t_ns = np.array([gap for gap, _ in steps], np.int64).cumsum()
    found = learn([Run(t_ns, np.array([count for _, count in steps], np.int64))], poll_ns=poll_ns, at_least=2)
    assert (found.cycle_us is None) == bool(found.why_null)


def watched(*, per_count=1):
    """A press that makes product 1 each 5 s, stops for 200 s, makes 2 each 7.5 s, loses its PLC, goes on."""
    good, gap = Quality.GOOD, Quality.GAP
    first = np.arange(1, 301) * 5.0
    second = first[-1] + 200 + np.arange(1, 301) * 7.5
    third = second[-1] + 100 + np.arange(1, 51) * 7.5
    lost = second[-1] + 1
    tags = {
        "d.total": [
            (0, 0, good),
            *((t, i, good) for i, t in enumerate([*first, *second], 1)),
            (lost, 0, gap),
            *((t, i, good) for i, t in enumerate(third, 605)),
        ],
        "d.run": [
            *((0, True, good), (first[-1] + 1, False, good), (second[0] - 7, True, good)),
            *((lost, False, gap), (third[0] - 7, True, good)),
        ],
        "d.product": [(0, 1, good), (first[-1] + 100, 2, good)],
    }
    samples = {
        tag: series([(T0 + int(t * 1000) * 10**6, value, quality) for t, value, quality in rows])
        for tag, rows in tags.items()
    }
    machine = Machine(
        "m",
        ALWAYS,
        rules=(Rule(parse("d.run"), State.RUNNING), Rule(None, State.UNPLANNED_STOP)),
        pieces=Pieces(Counter("d.total"), per_count=per_count),
        product_tag="d.product",
        products={"1": Product("1", (Ideal(4 * 10**6),)), "2": Product("2")},
    )
    taken = engine.step(machine, engine.start(), samples, [], T0 + S, 0).state
    return engine.assess(machine, taken, T0 + int(third[-1] + 1) * S).window


def test_runs_are_cut_at_stops_outages_and_changes_of_product():
    found = runs_by_product(watched(per_count=4))
    assert set(found) == {("1", 4), ("2", 4)}
    assert [int(run.count[1:].sum()) for run in found["1", 4]] == [299]
    assert max(int(np.diff(run.t_ns).max()) for runs in found.values() for run in runs) == 7.5 * S


def test_a_proposal_for_each_product():
    found = proposals(watched(per_count=4), at_least=200)
    assert {key: (item.cycle_us, item.ideal_us, item.per_count) for key, item in found.items()} == {
        "1": (5_000_000, 1_250_000, 4),
        "2": (7_500_000, 1_875_000, 4),
    }
    assert {item.why_null for item in proposals(watched(), at_least=10_000).values()} == {"too_few_cycles"}
