"""The pipeline: rows in, facts out; what could not be stored is offered again, and no restart invents knowledge."""

from datetime import UTC

import numpy as np
import pytest

from adapters.contract import Row
from agent.compute.delta import carries, split
from agent.compute.pipeline import Pipeline, computed_until_ns, snapshots, tags_used_until_ns
from agent.feed.pacing import Pacing
from agent.outbox.packing import bodies
from agent.uplink.cadence import Cadence, backoff_s
from oee.engine import step as engine
from oee.model.calendars import Calendar, Shift
from oee.model.conditions import parse
from oee.model.facts import FACT, MINUTE_NS, add_up
from oee.model.machine import Counter, CountGap, Ideal, Machine, Pieces, Product, Rule
from oee.model.samples import series
from oee.model.states import Quality, State
from wire.bodies import read_facts_body

S = 1_000_000_000
T0 = 1_800_000_000 * S // MINUTE_NS * MINUTE_NS
ALL_DAY = Calendar(UTC, (Shift("A", frozenset(range(7)), 0, 86_400),))


def machine(name="m"):
    return Machine(
        name,
        ALL_DAY,
        (Rule(parse(f"{name}.run"), State.RUNNING), Rule(None, State.UNPLANNED_STOP)),
        pieces=Pieces(total=Counter(f"{name}.count")),
        product="1",
        products={"1": Product("1", (Ideal(1_000_000),))},
    )


def rows(name="m", seconds=range(300), stopped=range(100, 140)):
    """A piece every second but for a stop."""
    count = 0
    for second in seconds:
        t_ns = T0 + second * S
        running = second not in stopped
        count += running
        yield Row(f"{name}.run", t_ns, running, Quality.GOOD)
        if running:
            yield Row(f"{name}.count", t_ns, count, Quality.GOOD)


def live(pipeline, fed, until_s, mark=lambda second: second):
    waiting = list(fed)
    for second in [*range(0, until_s, 3), until_s]:
        now_ns = T0 + second * S
        pipeline.feed_rows([row for row in waiting if row.t_ns <= now_ns])
        waiting = [row for row in waiting if row.t_ns > now_ns]
        pipeline.advance(dict.fromkeys(computed_until_ns(pipeline), T0 + mark(second) * S))


def sums(*batches):
    tables = [read_facts_body(body)[0] for batch in batches for body in bodies(batch)]
    total = add_up(tables)
    return {name: int(total.sums[:, index].sum()) for name, index in FACT.items() if total.sums[:, index].any()}


def test_live_and_columns_say_the_same():
    one, other = Pipeline({"m": machine()}, {}), Pipeline({"m": machine()}, {})
    live(one, rows(), 300)
    columns = {tag: [] for tag in ("m.run", "m.count")}
    for row in rows():
        columns[row.tag].append((row.t_ns, row.value, row.quality))
    other.feed({tag: series(column) for tag, column in columns.items()}, T0 + 300 * S)
    assert sums(one.take()) == sums(other.take())
    expected = {"running_ms": 260_000, "minor_stop_ms": 40_000, "pieces_total": 259}
    found = sums(*[_batch(rows(), 300)])
    assert {name: found[name] for name in expected} == expected
    assert snapshots(one)["m"].state is State.RUNNING


def _batch(fed, until_s):
    pipeline = Pipeline({"m": machine()}, {})
    live(pipeline, fed, until_s)
    return pipeline.take()


def test_rows_wait_for_the_watermark():
    pipeline = Pipeline({"m": machine()}, {})
    live(pipeline, rows(), 300, mark=lambda second: max(0, second - 7))
    assert computed_until_ns(pipeline) == {"m": T0 + 293 * S}
    live(pipeline, [], 300)
    assert sums(pipeline.take()) == sums(_batch(rows(), 300))


def test_put_back_is_taken_again_before_the_rest():
    pipeline = Pipeline({"m": machine()}, {})
    live(pipeline, rows(), 130)
    pipeline.put_back(pipeline.take())
    live(pipeline, rows(seconds=range(131, 300)), 300)
    batch = pipeline.take()
    minutes = [minute for part in batch for minute in part.facts.minute_ns.tolist()]
    assert minutes == sorted(minutes)
    assert len(carries(batch)) == 1
    assert pipeline.take() == []


def test_a_restart_fills_its_gap_with_unknown():
    pipeline = Pipeline({"m": machine()}, {})
    every = list(rows(stopped=()))
    live(pipeline, [row for row in every if row.t_ns < T0 + 100 * S], 100)
    first = pipeline.take()
    again = Pipeline({"m": machine()}, carries(first))
    assert tags_used_until_ns(again) == {"m.run": T0 + 100 * S, "m.count": T0 + 100 * S}
    gap = [Row(tag, T0 + 100 * S, None, Quality.GAP) for tag in ("m.run", "m.count")]
    again.feed_rows([*gap, *(row for row in every if row.t_ns >= T0 + 160 * S)])
    again.advance({"m": T0 + 300 * S})
    found = sums(first, again.take())
    assert found["unknown_ms"] == 60_000
    assert found["running_ms"] == 240_000
    assert found["pieces_unwatched"] == 61
    assert found["pieces_total"] + found["pieces_unwatched"] == 299


def test_when_nothing_can_be_stored_time_becomes_unknown_and_memory_stays_bounded():
    pipeline = Pipeline({"m": machine()}, {}, most_pending_rows=2)
    every = list(rows(stopped=()))
    live(pipeline, [row for row in every if row.t_ns < T0 + 200 * S], 200)
    assert pipeline.paused
    reached_ns = computed_until_ns(pipeline)["m"]
    first = pipeline.take()
    assert len(first) < 10
    live(pipeline, [row for row in every if T0 + 200 * S <= row.t_ns < T0 + 240 * S], 240)
    assert computed_until_ns(pipeline)["m"] == reached_ns
    pipeline.resume(T0 + 240 * S)
    pipeline.feed_rows([row for row in every if row.t_ns > T0 + 240 * S])
    pipeline.advance({"m": T0 + 300 * S})
    found = sums(first, pipeline.take())
    assert found["unknown_ms"] == (T0 + 240 * S - reached_ns) // 1_000_000
    assert found["unknown_ms"] + found["running_ms"] == 300_000
    assert found["pieces_total"] + found["pieces_unwatched"] == 299


def test_one_machines_trouble_is_not_the_others(monkeypatch, caplog):
    real, calls = engine.step, []

    def step(item, *args):
        if item.id == "bad":
            calls.append(item.id)
            if len(calls) == 20:
                raise ZeroDivisionError
        return real(item, *args)

    monkeypatch.setattr(engine, "step", step)
    pipeline = Pipeline({"bad": machine("bad"), "good": machine("good")}, {})
    fed = [row for pair in zip(rows("bad"), rows("good"), strict=True) for row in pair]
    live(pipeline, fed, 300)
    assert pipeline.failures == 1
    assert "machine=bad" in caplog.text
    tables = [read_facts_body(body)[0] for body in bodies(pipeline.take())]
    for name in ("bad", "good"):
        mine = add_up(tables)
        known = mine.sums[mine.machine == name][:, : len(State)].sum(axis=0)
        assert known.sum() == 300_000
        assert known[State.UNKNOWN] == (3000 if name == "bad" else 0)


def test_forget_begins_anew_and_keeps_nothing():
    pipeline = Pipeline({"m": machine()}, {})
    live(pipeline, rows(), 130)
    pipeline.forget(T0 + 131 * S)
    assert pipeline.take() == []
    assert computed_until_ns(pipeline) == {"m": 0}
    live(pipeline, [], 300, mark=lambda second: max(second, 131))
    found = sums(pipeline.take())
    assert found["unplanned_stop_ms"] if "unplanned_stop_ms" in found else found["minor_stop_ms"]


def test_bodies_hold_every_part_whole():
    batch = [part for delta in _batch(rows(stopped=()), 300) for part in split(delta, 1)]
    assert len(batch) > 1
    packed = list(bodies(batch, most_rows=1))
    assert len(packed) == len(batch)
    facts = add_up([read_facts_body(body)[0] for body in packed])
    assert np.array_equal(facts.sums, add_up([part.facts for part in batch]).sums)
    assert list(bodies([])) == []


def test_cadence_and_backoff():
    cadence = Cadence(1.0, 30.0)
    assert cadence.take(100.0)
    assert not cadence.take(129.9)
    cadence.changed = True
    assert not cadence.take(100.9)
    assert cadence.take(101.0)
    assert not cadence.take(130.9)
    assert cadence.take(131.0)
    assert [backoff_s(attempt, 0.0, 1.0) for attempt in (1, 2, 3, 100)] == [1.0, 2.0, 2.0, 2.0]
    assert [backoff_s(100, away_s, 1.0) for away_s in (60, 600, 1800, 10**6)] == [2.0, 20.0, 60.0, 60.0]
    assert backoff_s(100, 10**6, 1.0, most_s=10.0) == 10.0
    assert backoff_s(1, 0.0, 0.0) == pytest.approx(0.1)


def test_what_only_counts_waits_and_what_changes_the_state_does_not():
    pipeline = Pipeline({"m": machine(), "other": machine("other")}, {})
    pipeline.feed_rows(Row(f"{name}.run", T0, True, Quality.GOOD) for name in ("m", "other"))
    marks = dict.fromkeys(computed_until_ns(pipeline), T0 + S)
    assert pipeline.advance(marks, idle_ns=10 * S) == 2
    steps = 0
    for second in range(1, 21):
        pipeline.feed_rows(Row(f"{name}.count", T0 + second * S, second, Quality.GOOD) for name in ("m", "other"))
        steps += pipeline.advance(dict.fromkeys(marks, T0 + (second + 1) * S), idle_ns=10 * S)
    assert steps == 4, "two turns each in twenty seconds"
    pipeline.feed_rows([Row("m.run", T0 + 21 * S, False, Quality.GOOD)])
    assert pipeline.advance(dict.fromkeys(marks, T0 + 22 * S), idle_ns=10 * S) == 1
    assert snapshots(pipeline)["m"].state is State.MINOR_STOP
    assert pipeline.advance(dict.fromkeys(marks, T0 + 23 * S)) == 2, "without patience all are computed"


def test_the_next_count_ends_a_pause_in_counting_at_once():
    gap = CountGap(ideals=2.5, at_least_ns=5 * S)
    pieces = Pieces(total=Counter("m.count"))
    counted = Machine("m", ALL_DAY, gap=gap, pieces=pieces, product="1", products=machine().products)
    pipeline = Pipeline({"m": counted}, {})
    for second in range(4):
        pipeline.feed_rows([Row("m.count", T0 + second * S, second, Quality.GOOD)])
    pipeline.advance({"m": T0 + 4 * S})
    pipeline.advance({"m": T0 + 30 * S})
    assert snapshots(pipeline)["m"].state is State.MINOR_STOP
    pipeline.feed_rows([Row("m.count", T0 + 31 * S, 4, Quality.GOOD)])
    assert pipeline.advance({"m": T0 + 32 * S}, idle_ns=600 * S) == 1
    assert snapshots(pipeline)["m"].state is State.RUNNING


def test_leisure_is_short_where_computing_is_cheap():
    leisure = Pacing()
    assert leisure.wait_s(1000) == 1.0, "nothing is known yet"
    for _ in range(50):
        leisure.took(0.1, 100)
    assert [leisure.wait_s(count) for count in (1, 20, 30, 100, 10_000)] == [1.0, 1.0, 2.0, 5.0, 10.0]
    leisure.took(0.0, 0)
    assert leisure.wait_s(100) == 5.0


def test_a_change_is_seen_before_the_step_that_takes_it_in_and_changes_nothing():
    pipeline = Pipeline({"m": machine(), "other": machine("other")}, {})
    fed = list(rows())
    live(pipeline, [row for row in fed if row.t_ns < T0 + 99 * S], 99)
    before = pipeline.take()
    pipeline.feed_rows([row for row in fed if row.t_ns == T0 + 100 * S])
    assert pipeline.has_news
    pipeline.advance(dict.fromkeys(computed_until_ns(pipeline), T0 + 100 * S))
    assert snapshots(pipeline)["m"].state is State.RUNNING, (
        "the row lies at the watermark: a step takes it in next time"
    )
    pipeline.preview()
    seen = snapshots(pipeline)["m"]
    assert (seen.state, seen.since_ns) == (State.MINOR_STOP, T0 + 100 * S)
    assert not pipeline.has_news
    pipeline.advance(dict.fromkeys(computed_until_ns(pipeline), T0 + 100 * S + 1_000_000))
    assert snapshots(pipeline)["m"] == seen, "no step that knows less takes it back"
    pipeline.advance(dict.fromkeys(computed_until_ns(pipeline), T0 + 103 * S))
    assert snapshots(pipeline)["m"].state is State.MINOR_STOP
    after = pipeline.take()
    again = Pipeline({"m": machine(), "other": machine("other")}, {})
    live(again, [row for row in fed if row.t_ns <= T0 + 100 * S], 103)
    assert sums(before, after) == sums(again.take()), "what is offered is the same"
    pipeline.feed_rows([row for row in fed if row.t_ns == T0 + 140 * S])
    pipeline.preview()
    assert snapshots(pipeline)["m"].state is State.RUNNING
    pipeline.shift(-10 * S)
    assert snapshots(pipeline)["m"].state is State.MINOR_STOP, "what was seen under a wrong date holds up nothing"


def test_what_follows_from_the_clock_alone_is_told_by_steps():
    pipeline = Pipeline({"m": machine()}, {})
    live(pipeline, rows(), 99)
    pipeline.feed_rows([Row("m.run", T0 + 100 * S, False, Quality.GOOD)])
    pipeline.preview()
    pipeline.advance({"m": T0 + 500 * S})
    assert snapshots(pipeline)["m"].state is State.UNPLANNED_STOP, "no minor stop any more"
