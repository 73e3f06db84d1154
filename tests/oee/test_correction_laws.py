"""What is said late, in any order, comes to what a computation that knew it all from the start gives."""

from dataclasses import replace

import numpy as np
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from oee.engine import step as engine
from oee.engine.correction import (
    Sent,
    checkpoint,
    earliest_change,
    latest_base,
    recompute,
    sent_since_settled,
    since,
    with_declarations,
    with_rows,
)
from oee.model.declarations import CLASSIFYING, Declaration
from oee.model.facts import HOUR_NS, MINUTE_NS, CycleTimes, Facts, Losses, row_keys
from oee.model.machine import Ideal, Product
from tests.oee.test_engine_laws import DAY, PRODUCTS, T0, S, _at, _slice, histories, machines, run


class Ledger:
    """One machine, its checkpoints and everything that it sent; corrections reach back as far as they must."""

    def __init__(self, machine, samples):
        self.machine, self.samples = machine, samples
        self.state, self.said, self.sent = engine.start(), [], Sent()
        self.bases = [engine.start()]
        self.numbers, self.corrections = set(), 0

    def go(self, until_ns, low_ns, offer_ns):
        found = engine.step(self.machine, self.state, _slice(self.samples, low_ns, until_ns), (), until_ns, offer_ns)
        self.take(found)
        if self.state.settled_ns > self.bases[-1].settled_ns:
            self.bases.append(self.through_bytes(checkpoint(self.state)))

    def take(self, found):
        told = found.stops if isinstance(found.stops, list) else found.stops.rows()
        for kind, table in (("f", found.facts), ("l", found.losses), ("c", found.cycles)):
            for key, n in zip(row_keys(table), table.n.tolist(), strict=True):
                assert (kind, key[1], n) not in self.numbers, "a row's number is used once"
                self.numbers.add((kind, key[1], n))
        for stop in told:
            assert stop.id not in self.sent.stops or self.sent.stops[stop.id].revision < stop.revision
        self.sent = with_rows(self.sent, [found.facts], [found.losses], told, [found.cycles])
        self.state = found.state
        settled_ns = self.state.settled_ns
        assert as_told(sent_since_settled(self.state)) == as_told(sent_from(self.sent, settled_ns)), (
            "the state knows what was sent of all that may still change"
        )

    def hear(self, news, offer_ns):
        reach_ns = earliest_change(news, self.said)
        self.said += news
        if reach_ns >= self.state.settled_ns:
            until_ns = self.state.until_ns
            self.take(engine.step(self.machine, with_declarations(self.state, self.said), {}, (), until_ns, offer_ns))
        else:
            self.again(self.machine, latest_base(reach_ns, self.said))

    def again(self, machine, at_most_ns):
        if not self.state.until_ns:
            return
        self.corrections += 1
        self.machine = machine
        number = max(i for i, base in enumerate(self.bases) if base.settled_ns <= at_most_ns)
        base, until_ns = self.bases[number], self.state.until_ns
        edges = [base.settled_ns, *range(base.settled_ns + 300 * S, until_ns, 300 * S), until_ns]
        if base.settled_ns == 0:
            edges = [0, *range(T0 + 300 * S, until_ns, 300 * S), until_ns]
        blocks = [(_slice(self.samples, low, high), high) for low, high in zip(edges, edges[1:], strict=False)]
        found = recompute(self.machine, base, blocks, self.said, sent_from(self.sent, base.settled_ns))
        self.take(found)
        self.bases = [*self.bases[: number + 1], *map(self.through_bytes, found.checkpoints)]
        self.state = self.through_bytes(self.state)

    def close(self):
        """What waits for its hour to be over is told too."""
        until_ns = self.state.until_ns
        self.take(engine.step(self.machine, self.state, {}, (), until_ns, until_ns + 2 * HOUR_NS))
        return self

    @staticmethod
    def through_bytes(state):
        return engine.load(engine.dump(state))

    def told(self):
        return (
            {key: tuple(row) for key, row in self.sent.facts.sums.items()},
            {key: tuple(row) for key, row in self.sent.losses.sums.items()},
            {key: tuple(row) for key, row in self.sent.cycles.sums.items()},
            {s.id: replace(s, revision=0) for s in self.sent.stops.values() if s.end_ns != s.start_ns},
        )


def as_told(sent):
    tables = (sent.facts, sent.losses, sent.cycles)
    return [
        *(({key: tuple(row) for key, row in table.sums.items()}, dict(table.row_counts)) for table in tables),
        dict(sent.stops),
    ]


def sent_from(sent, t_ns):
    """What was sent for the minutes (of cycles: hours) from the one of a time on, and stops that begin at it or later."""
    return Sent(
        since(Facts, sent.facts, t_ns),
        since(Losses, sent.losses, t_ns),
        {key: stop for key, stop in sent.stops.items() if stop.start_ns >= t_ns},
        since(CycleTimes, sent.cycles, t_ns),
    )


def drive(machine, samples, end, cuts, arrivals):
    """arrivals: (time at which it is heard, declaration) in any order."""
    ledger, low = Ledger(machine, samples), 0
    left = sorted(arrivals, key=lambda item: item[0])
    for until in [*sorted(set(cuts) - {end}), end]:
        ledger.go(until, low, until - until % MINUTE_NS)
        low = until
        while left and (left[0][0] <= until or until == end):
            ledger.hear([left.pop(0)[1]], until - until % MINUTE_NS)
    return ledger.close()


@st.composite
def late_statements(draw, end):
    """Declarations with the times at which they are heard: in another order than that in which they were made."""
    found = []
    for number in range(draw(st.integers(1, 6))):
        a, b, heard = draw(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)))
        start, finish = _at(sorted([a, b]), end)
        field = draw(
            st.sampled_from(
                ["reason", "state", "planned_stop", "changeover", "rejects", "rejects", "rework", "product"]
            )
        )
        value = {"reason": "jam", "state": "breakdown", "planned_stop": "pm", "changeover": "x", "product": "2"}
        said = value.get(field, str(draw(st.integers(0, 30))))
        if field in ("reason", "product") and draw(st.booleans()):
            said = {"reason": "", "product": "1"}[field]
        until = None if field in ("product", *CLASSIFYING) and draw(st.booleans()) else finish + S
        product = draw(st.sampled_from(["", "1", "2"])) if field in ("rejects", "rework") else ""
        older = draw(st.sampled_from(["", *(item.id for _, item in found)]))
        found.append(
            (
                _at([heard], end)[0],
                Declaration(f"{number}", T0 + number, "m", start, until, field, said, "an", product, older),
            )
        )
    return found


def whole_of(machine, samples, end, said):
    return run(machine, samples, end, [], said=said)


@settings(max_examples=examples(25), deadline=None)
@given(st.data(), machines(), histories(), st.lists(st.floats(0, 1), max_size=20), st.booleans())
def test_late_edits_in_any_order_come_to_the_fresh_sums(data, machine, history, cuts, by_hand):
    if by_hand:
        machine = replace(machine, product_tag="operator")
    samples, end = history
    end += MINUTE_NS - end % MINUTE_NS
    arrivals = data.draw(late_statements(end))
    ledger = drive(machine, samples, end, _at(cuts, end), arrivals)
    fresh = Ledger(machine, samples)
    fresh.take(engine.step(machine, fresh.state, samples, [item for _, item in arrivals], end, end))
    assert ledger.told() == fresh.close().told()


@settings(max_examples=examples(25), deadline=None)
@given(st.data(), machines(), histories(), st.lists(st.floats(0, 1), max_size=20))
def test_a_machine_described_otherwise_comes_to_the_fresh_sums(data, machine, history, cuts):
    samples, end = history
    end += MINUTE_NS - end % MINUTE_NS
    arrivals = data.draw(late_statements(end))
    ledger = drive(machine, samples, end, _at(cuts, end), arrivals)
    other = replace(
        machine,
        calendar=replace(DAY, shifts=DAY.shifts[::2]),
        products=PRODUCTS | {"1": Product("1", (Ideal(10**6),))},
        reason_map={"7": "late", "8": "jam"},
        minor_stop_at_most_ns=20 * S,
        rules=machine.rules[1:],
    )
    ledger.again(other, 0)
    ledger.close()
    fresh = Ledger(other, samples)
    fresh.take(engine.step(other, fresh.state, samples, [item for _, item in arrivals], end, end))
    assert ledger.told() == fresh.close().told()


def test_what_was_sent_is_what_a_key_sums_to():
    sent = Sent()
    assert not with_rows(sent, [], [], []).facts.sums
    assert np.array_equal(list(sent.facts.row_counts), [])
