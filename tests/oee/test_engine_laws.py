"""The laws of the engine, on machines and signals that hypothesis makes up."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from oee.engine import step as engine
from oee.model.calendars import Calendar, Shift, cut
from oee.model.conditions import parse
from oee.model.declarations import CLASSIFYING, Declaration
from oee.model.facts import FACT, FACT_COLUMNS, HOUR_NS, MINUTE_NS, add_up, row_keys
from oee.model.machine import Counter, CountGap, Ideal, Machine, Pieces, Product, Rule
from oee.model.samples import Series, column
from oee.model.states import CalendarClass, Quality, State

S = 1_000_000_000
T0 = 1_770_000_900 * S - (1_770_000_900 * S) % MINUTE_NS
"""Five minutes before an hour begins."""
ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
DAY = Calendar(
    ZONE,
    tuple(
        Shift(name, frozenset(range(7)), start * 60, (start + 7) * 60, ((start * 60 + 120, start * 60 + 180),))
        for name, start in [("A", 0), ("B", 7), *((f"s{i}", 15 + 10 * i) for i in range(140))]
    ),
)
"""Shifts of 7 minutes with a break of one minute, so that short histories meet every edge."""

RULES = (
    Rule(parse("d.alarm > 0"), State.BREAKDOWN),
    Rule(parse("d.wait"), State.STARVED),
    Rule(parse("d.run"), State.RUNNING),
    Rule(None, State.UNPLANNED_STOP),
)
PRODUCTS = {
    "1": Product("1", (Ideal(2 * 10**6),)),
    "2": Product("2", (Ideal(3 * 10**6, 0), Ideal(4 * 10**6, T0 + 400 * S)), 2),
    "3": Product("3"),
}


@st.composite
def machines(draw):
    kind = draw(st.sampled_from(["rules", "rules_gap", "counts", "no_pieces"]))
    period_ns = draw(st.sampled_from([0, S // 5, S]))
    total, bad = (Counter(tag, 16, max_per_s=5, period_ns=period_ns) for tag in ("d.total", "d.bad"))
    pieces = draw(
        st.sampled_from(
            [
                Pieces(total),
                Pieces(total, reject="operator"),
                Pieces(total, reject=bad),
                Pieces(total, good=bad),
                Pieces(None, good=total, reject=bad),
                Pieces(total, reject=bad, per_count=3),
            ]
        )
    )
    gap = CountGap(2.5, 20 * S) if kind in ("rules_gap", "counts") else None
    return Machine(
        "m",
        DAY,
        rules=() if kind == "counts" else RULES,
        gap=gap,
        pieces=Pieces() if kind == "no_pieces" else pieces,
        product_tag="d.product",
        products=PRODUCTS,
        product_change=draw(st.sampled_from(["at_once", "next_stop"])),
        reason_tag=draw(st.sampled_from(["", "d.code"])),
        reason_map={"7": "jam", "8": "late"},
        reason_states={"jam": State.BREAKDOWN, "late": State.UNPLANNED_STOP},
        minor_stop_at_most_ns=60 * S,
        startup_pieces=draw(st.integers(0, 5)),
        shortest_run_ns=draw(st.sampled_from([0, 0, 5 * S])),
        shortest_stop_ns=draw(st.sampled_from([0, 0, 4 * S])),
    )


@st.composite
def histories(draw):
    """Rows of every tag over some minutes, from a walk through made-up conditions."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    rows = {tag: [] for tag in ("d.run", "d.alarm", "d.wait", "d.total", "d.bad", "d.product", "d.code")}
    now, total, bad, product = T0, int(rng.integers(0, 65536)), 0, 1
    for _ in range(draw(st.integers(1, 14))):
        phase = rng.choice(["run", "run", "run", "stop", "alarm", "wait", "gap", "change", "reset", "test"])
        length = int(rng.integers(2, 120))
        if phase == "gap":
            for tag in rows:
                rows[tag].append((now, None, Quality.GAP))
            now += length * S
            total = (total + int(rng.integers(0, length))) % 65536
        if phase == "change":
            product = int(rng.integers(1, 5))
        if phase == "reset":
            total = 0
        said = {
            "d.run": phase in ("run", "test"),
            "d.alarm": 5 if phase == "alarm" else 0,
            "d.wait": phase == "wait",
            "d.total": total,
            "d.bad": bad,
            "d.product": product,
            "d.code": int(rng.choice([0, 7, 8])) if phase in ("stop", "alarm", "change") else 0,
        }
        for tag, value in said.items():
            rows[tag].append((now, value, Quality.GOOD))
        if phase == "gap":
            continue
        end = now + length * S
        t = now + S
        while phase in ("run", "test") and t < end:
            if rng.random() < 0.4:
                total = (total + int(rng.integers(1, 3))) % 65536
                rows["d.total"].append((t, total, Quality.GOOD))
                if rng.random() < (0.9 if phase == "test" else 0.1):
                    bad = (bad + 1) % 65536
                    rows["d.bad"].append((t, bad, Quality.GOOD))
            if rng.random() < 0.01:
                product = int(rng.integers(1, 4))
                rows["d.product"].append((t, product, Quality.GOOD))
            if rng.random() < 0.01:
                rows["d.total"].append((t + S // 2, 40000, Quality.GOOD))  # a torn read
            t += S * int(rng.integers(1, 4))
        now = end
    return {tag: _series(found) for tag, found in rows.items()}, now


def _series(rows):
    by_time = dict((t, (value, quality)) for t, value, quality in rows)
    times = sorted(by_time)
    return Series(
        np.array(times, np.int64),
        column([by_time[t][0] if by_time[t][0] is not None else 0 for t in times]),
        np.array([by_time[t][1] for t in times], np.uint8),
    )


def _slice(samples, low, high):
    out = {}
    for tag, rows in samples.items():
        a, b = np.searchsorted(rows.t_ns, [low, high])
        out[tag] = Series(rows.t_ns[a:b], rows.value[a:b], rows.quality[a:b])
    return out


def run(machine, samples, end, cuts, *, through_bytes=False, said=()):
    """Steps at the given times; everything that was offered, summed by key."""
    state, facts, losses, cycles, stops = engine.start(), [], [], [], {}
    low = 0
    numbers = set()
    for until in [*sorted(set(cuts) - {end}), end]:
        found = engine.step(
            machine,
            state,
            _slice(samples, low, until),
            said if low == 0 else (),
            until,
            end + 2 * HOUR_NS if until == end else until - until % MINUTE_NS,
        )
        low, state = until, found.state
        if through_bytes:
            state = replace(engine.load(engine.dump(state)), oddities=state.oddities)
        facts.append(found.facts)
        losses.append(found.losses)
        cycles.append(found.cycles)
        for table in (found.facts, found.cycles):
            for key, n in zip(row_keys(table), table.n.tolist()):
                assert (type(table), key[1], n) not in numbers, "a row's number is used once"
                numbers.add((type(table), key[1], n))
        for stop in found.stops:
            assert stop.id not in stops or stops[stop.id].revision < stop.revision
            stops[stop.id] = stop
    total, lost, histograms = add_up(facts), add_up(losses), add_up(cycles)
    return (
        {key: tuple(row) for key, row in zip(row_keys(total), total.sums.tolist()) if any(row)},
        {key: tuple(row) for key, row in zip(row_keys(lost), lost.sums.tolist()) if any(row)},
        {s.id: replace(s, revision=0) for s in stops.values() if s.end_ns != s.start_ns},
        {key: tuple(row) for key, row in zip(row_keys(histograms), histograms.sums.tolist()) if any(row)},
        state,
    )


def _at(cuts, end):
    return [T0 + round((end - T0) * c / S) * S for c in cuts]


@st.composite
def statements(draw, end):
    """What people say about the history, all of it known from the beginning."""
    found = []
    for number in range(draw(st.integers(0, 5))):
        a, b = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
        field = draw(st.sampled_from(["reason", "state", "planned_stop", "changeover", "rejects", "rejects", "rework"]))
        value = {"reason": "jam", "state": "breakdown", "planned_stop": "pm", "changeover": "x"}.get(field, "7")
        start, finish = _at([a, b], end)
        product = draw(st.sampled_from(["", "1", "2"])) if value == "7" else ""
        until = None if field in CLASSIFYING and draw(st.booleans()) else finish + S
        found.append(Declaration(str(number), T0 + number, "m", start, until, field, value, "an", product))
    return tuple(found)


@settings(max_examples=examples(150), deadline=None)
@given(st.data(), machines(), histories(), st.lists(st.floats(0, 1), max_size=25))
def test_what_people_say_obeys_the_same_law(data, machine, history, cuts):
    samples, end = history
    said = data.draw(statements(end))
    whole = run(machine, samples, end, [], said=said)
    assert run(machine, samples, end, _at(cuts, end), said=said)[:4] == whole[:4]


@settings(max_examples=examples(150), deadline=None)
@given(machines(), histories(), st.lists(st.floats(0, 1), max_size=25), st.booleans())
def test_however_the_input_is_cut_the_sums_are_equal(machine, history, cuts, through_bytes):
    samples, end = history
    whole = run(machine, samples, end, [])
    pieces = run(machine, samples, end, _at(cuts, end), through_bytes=through_bytes)
    assert pieces[0] == whole[0]
    assert pieces[1] == whole[1]
    assert pieces[2] == whole[2]
    assert pieces[3] == whole[3]


@settings(max_examples=examples(100), deadline=None)
@given(machines(), histories())
def test_time_by_state_sums_to_the_window_and_pieces_are_conserved(machine, history):
    samples, end = history
    facts, losses, stops, cycles, state = run(machine, samples, end, [])
    states = len(State)
    assert sum(sum(row[:states]) for row in facts.values()) == (end - T0) // 10**6
    spans = cut(machine.calendar, T0, end)
    for item in CalendarClass:
        wanted = int(((spans.end_ns - spans.start_ns)[spans.calendar == item]).sum()) // 10**6
        assert sum(sum(row[:states]) for key, row in facts.items() if key[2] == item) == wanted
    for row in facts.values():
        assert row[FACT["pieces_judged"]] == sum(
            row[FACT[name]]
            for name in ("pieces_good", "pieces_rework", "pieces_startup_reject", "pieces_process_reject")
        )
    by_state = np.zeros(states, np.int64)
    for key, row in losses.items():
        by_state[key[6]] += row[0]
    for item in State:
        if item is not State.RUNNING:
            assert by_state[item] == sum(row[item] for row in facts.values())
    assert len(FACT_COLUMNS) == len(next(iter(facts.values())))
