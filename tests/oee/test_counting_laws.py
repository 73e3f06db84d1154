"""The law of counting (docs/design/0020-counters.md): the same history gives the same pieces, however often somebody looked.

A register's path is made up second by second: runs and stops, boxes, cavities, a line controller that copies once in a
while, and what goes wrong. It is then looked at in several ways: as a live line sees it (a row for each change), and as
recordings with rows at regular or irregular times, cleaned as `nhip replay` cleans them; each handed in in blocks.
"""

from dataclasses import dataclass, replace

import numpy as np
from driving import as_series, ns
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_machine import PLAIN, VN, T

from oee.engine.correction import recompute
from oee.model.facts import FACT, MINUTE_NS
from oee.model.machine import Counter, Ideal, Pieces, Product
from oee.model.samples import between
from replay.read.cells import Cells
from replay.read.clean import Cleaner, Raw
from replay.read.conflicts import Conflicts
from tests.oee.test_correction_laws import Ledger, sent_from

S = 1_000_000_000
TOTAL = Counter("d.total", 32, poll_ns=5 * S, guessed=True)
LIVE = replace(PLAIN, pieces=Pieces(TOTAL), products={"p": Product("p", (Ideal(10_000_000),))})
RECORDED = replace(LIVE, pieces=Pieces(replace(TOTAL, recorded=True)))
PACE = 10  # seconds a piece at best


@dataclass(frozen=True)
class Path:
    """By second: pieces made since the beginning, what the register shows, whether the machine runs."""

    made: list[int]
    shown: list[int]
    runs: list[bool]

    @property
    def end(self):
        return len(self.shown)


PHASES = st.lists(st.tuples(st.booleans(), st.integers(20, 1500), st.integers(PACE, 40)), min_size=1, max_size=6)
BOXES = (1, 1, 4, 24)


@st.composite
def paths(draw, starts=(5000, 2**32 - 20), boxes=BOXES):
    """A register that only counts: each piece, by the box or a mould's cavities, copied every so many seconds."""
    made, runs, count, left = [], [], 0, 0
    for running, length, cycle in draw(PHASES):
        for _ in range(length):
            left = left + 1 if running else left
            if left >= cycle:
                count, left = count + 1, 0
            made.append(count)
            runs.append(running)
    together, every = draw(st.sampled_from(boxes)), draw(st.sampled_from([1, 1, 15, 60]))
    first = draw(st.sampled_from(starts))
    full = [count // together * together for count in made]
    shown = [(first + full[t // every * every]) % 2**32 for t in range(len(made))]
    return Path(made, shown, runs)


def looks_of(path):
    """Times of a recording's rows: regular, or any; the first and the last second are among them."""
    regular = st.integers(1, 400).map(lambda spacing: list(range(0, path.end, spacing)))
    any_times = st.lists(st.integers(0, path.end - 1), max_size=60)
    return st.one_of(regular, any_times).map(lambda times: sorted({0, path.end - 1, *times}))


def changes(values):
    return [(T + t, value) for t, value in enumerate(values) if t == 0 or value != values[t - 1]]


def live(path):
    """Rows as a live line gives them."""
    return {"d.run": as_series(changes(path.runs)), "d.total": as_series(changes(path.shown))}


def recorded(path, looks):
    """A recording's rows of the register, as replay cleans them; the state is known as well as on the live line."""
    raw = Raw(
        np.array([ns(T + t) for t in looks], np.int64),
        {"d.total": Cells(np.array([path.shown[t] for t in looks], np.int64))},
        0,
    )
    cleaned = Cleaner("plc", VN, Conflicts(), frozenset({"d.total"})).clean(raw)
    return {"d.run": as_series(changes(path.runs)), **cleaned.samples}


class Counted(Ledger):
    """What was sent of a register's pieces, step by step."""

    def __init__(self, machine, samples, end, cuts=()):
        super().__init__(machine, samples)
        low = 0
        for cut in [*sorted({c for c in cuts if c < end}), end]:
            until = ns(T + cut)
            self.go(until, low, until + 2 * MINUTE_NS if cut == end else until - until % MINUTE_NS)
            self.state, low = self.through_bytes(self.state), until

    @property
    def pieces(self):
        sums = self.sent.facts.sums.values()
        return sum(int(row[FACT[name]]) for row in sums for name in ("pieces_total", "pieces_unwatched"))

    @property
    def told(self):
        return [(item.kind, item.old, item.new) for item in self.state.oddities]

    def compute_again(self, number):
        """From one of the checkpoints."""
        base, until = self.bases[number % len(self.bases)], self.state.until_ns
        sent = sent_from(self.sent, base.settled_ns)
        rows = {tag: between(column, base.settled_ns, until) for tag, column in self.samples.items()}
        self.take(recompute(self.machine, base, [(rows, until)], (), sent))
        return self


cuts = st.lists(st.integers(1, 6000), max_size=8)


@settings(max_examples=examples(120), deadline=None)
@given(st.data(), paths(), cuts)
def test_what_a_machine_can_make_is_counted_whoever_looks_and_how_often(data, path, cuts):
    looks = data.draw(looks_of(path))
    true = (path.shown[-1] - path.shown[0]) % 2**32
    seen = Counted(LIVE, live(path), path.end, cuts)
    replayed = Counted(RECORDED, recorded(path, looks), path.end, cuts)
    assert (seen.pieces, seen.told) == (replayed.pieces, replayed.told) == (true, [])
    assert seen.compute_again(data.draw(st.integers(0, 8))).pieces == true


@st.composite
def jumps(draw, path):
    """Seconds at which the register goes over to another counter, far from any that it was, and by how much."""
    times = draw(st.lists(st.integers(1, path.end - 1), min_size=1, max_size=3, unique=True))
    return {t: draw(st.integers(50_000, 80_000)) * n for n, t in enumerate(sorted(times), 1)}


@settings(max_examples=examples(120), deadline=None)
@given(st.data(), paths(boxes=[1, 4]), cuts)
def test_of_a_jump_nothing_is_counted_but_the_pieces_around_it(data, path, cuts):
    """Between the two looks around a jump nobody can know what was made; all else is counted. (A box that is nearly full
    when the counter is changed may be more than can be made in the first minute of a new counter.)"""
    at = data.draw(jumps(path))
    offset = np.cumsum([at.get(t, 0) for t in range(path.end)])
    odd = replace(path, shown=[(v + int(n)) % 2**32 for v, n in zip(path.shown, offset, strict=True)])
    looks = data.draw(looks_of(path))
    for machine, rows, times in [(LIVE, live(odd), range(path.end)), (RECORDED, recorded(odd, looks), looks)]:
        found = Counted(machine, rows, path.end, cuts)
        whole = [(a, b) for a, b in zip(times, times[1:], strict=False) if not any(a < t <= b for t in at)]
        assert found.pieces == sum((path.shown[b] - path.shown[a]) % 2**32 for a, b in whole)
        assert {kind for kind, _, _ in found.told} == {"jump"}
    assert Counted(LIVE, live(odd), path.end).compute_again(data.draw(st.integers(0, 8))).pieces == sum(
        (path.shown[t] - path.shown[t - 1]) % 2**32 for t in range(1, path.end) if t not in at
    )


@settings(max_examples=examples(200), deadline=None)
@given(st.data(), paths(starts=[5000]), cuts)
def test_a_dip_changes_nothing_for_anybody(data, path, cuts):
    """A register that shows 0, or something old, for a while and comes back: whoever saw it and whoever did not count
    the same."""
    first = data.draw(st.integers(1, max(1, path.end - 2)))
    last = min(first + data.draw(st.integers(1, 1500)), path.end - 1)
    value = data.draw(st.sampled_from([0, 1700, 2**31]))
    odd = replace(path, shown=[value if first <= t < last else v for t, v in enumerate(path.shown)])
    true = (path.shown[-1] - path.shown[0]) % 2**32
    looks = data.draw(looks_of(path))
    assert Counted(LIVE, live(odd), path.end, cuts).pieces == true
    assert Counted(RECORDED, recorded(odd, looks), path.end, cuts).pieces == true
