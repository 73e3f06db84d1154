"""The engine and a second-by-second reference that knows nothing of it give the same sums, to the millisecond and
the piece, on histories that hypothesis makes up."""

from zoneinfo import ZoneInfo

import pytest
from driving import BAD, GAP, S, drive, qualified, say
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import both, either, negate, reference

from oee.model.calendars import Calendar, Shift
from oee.model.conditions import parse
from oee.model.machine import Counter, CountGap, Ideal, Machine, Pieces, Product, Rule
from oee.model.states import State

T0 = 1_770_000_000 - (1_770_000_000 + 7 * 3600) % 86_400  # a local midnight, Monday 2026-02-02
CALENDAR = Calendar(
    ZoneInfo("Asia/Ho_Chi_Minh"),
    tuple(
        Shift(f"s{n}", frozenset(range(7)), n * 540, n * 540 + 420, ((n * 540 + 130, n * 540 + 200),)) for n in range(4)
    ),
)
"""Seven minutes of shift, of them 70 s break, and two minutes outside, so that short histories meet every edge."""

CONDITIONS = {
    "a.alarm > 0": lambda v: None if v("a.alarm") is None else v("a.alarm") > 0,
    "a.wait": lambda v: None if v("a.wait") is None else bool(v("a.wait")),
    "a.run": lambda v: None if v("a.run") is None else bool(v("a.run")),
    "a.run and not b.door": lambda v: both(truth(v("a.run")), negate(truth(v("b.door")))),
    "a.run or b.door": lambda v: either(truth(v("a.run")), truth(v("b.door"))),
}
RULES = (
    ("a.alarm > 0", State.BREAKDOWN),
    ("a.wait", State.STARVED),
    (("a.run", "a.run and not b.door", "a.run or b.door"), State.RUNNING),
)
PRODUCTS = {
    "1": Product("1", (Ideal(2_000_000),)),
    "2": Product("2", (Ideal(3_000_000), Ideal(4_000_000, (T0 + 300) * S)), 2),
    "3": Product("3"),
}


def truth(value):
    return None if value is None else bool(value)


MACHINES = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["rules", "rules", "rules_gap", "counts"]),
        "running": st.sampled_from(RULES[2][0]),
        "last": st.sampled_from([State.UNPLANNED_STOP, State.UNPLANNED_STOP, State.SETUP, None]),
        "guessed": st.booleans(),
        "poll_s": st.sampled_from([0, 0, 5]),
        "roles": st.sampled_from(["total", "total reject", "total good", "good reject", ""]),
        "gap": st.sampled_from([(2.5, 5), (2.5, 20), (4, 5)]),
        "coded": st.booleans(),
        "per_count": st.sampled_from([1, 1, 3]),
        "product_change": st.sampled_from(["at_once", "next_stop"]),
        "minor_s": st.sampled_from([20, 60]),
        "startup_pieces": st.sampled_from([0, 0, 4]),
        "shortest_run_s": st.sampled_from([0, 0, 7]),
        "shortest_stop_s": st.sampled_from([0, 0, 5]),
    }
)


def build(
    kind,
    running,
    last,
    guessed,
    poll_s,
    roles,
    gap,
    coded,
    per_count,
    product_change,
    minor_s,
    startup_pieces,
    **shortest,
):
    """A machine, and its rules' conditions as Python functions."""
    texts = [] if kind == "counts" else [RULES[0][0], RULES[1][0], running]
    rules = [Rule(parse(text), state) for text, (_, state) in zip(texts, RULES, strict=False)]
    conditions = [CONDITIONS[text] for text in texts]
    if texts and last is not None:
        rules.append(Rule(None, last))
        conditions.append(None)
    gaps = kind in ("counts", "rules_gap")
    roles = roles.split() or (["total"] if gaps else [])
    machine = Machine(
        "m",
        CALENDAR,
        rules=tuple(rules),
        gap=CountGap(gap[0], gap[1] * S) if gaps else None,
        pieces=Pieces(
            **{role: Counter(f"b.{role}", 16, False, 4, poll_s * S, guessed=guessed) for role in roles},
            per_count=per_count,
        ),
        product_tag="b.product",
        products=PRODUCTS,
        product_change="at_once" if gaps else product_change,
        reason_tag="a.code" if coded else "",
        reason_map={"7": "jam", "8": "late"},
        reason_states={"jam": State.BREAKDOWN, "late": State.UNPLANNED_STOP},
        minor_stop_at_most_ns=minor_s * S,
        startup_pieces=startup_pieces,
        shortest_run_ns=shortest["shortest_run_s"] * S,
        shortest_stop_ns=shortest["shortest_stop_s"] * S,
    )
    return machine, conditions


PHASES = [
    "run",
    "run",
    "run",
    "stop",
    "alarm",
    "wait",
    "idle",
    "door",
    "gap_a",
    "gap_b",
    "gap",
    "reset",
    "spike",
    "jump",
]
phases = st.tuples(
    st.sampled_from(PHASES),
    st.integers(1, 90),  # seconds
    st.integers(1, 6),  # a piece every so many seconds
    st.integers(0, 4),  # every so many pieces a reject, 0: none
    st.sampled_from([None, None, None, None, 1, 2, 3, 4, BAD]),  # a new product with the phase
    st.sampled_from([0, 0, 7, 8, 9]),  # the code shown in the phase
    st.integers(0, 3),  # seconds by which the product comes late
)


class Plant:
    """Makes rows of every tag from phases."""

    def __init__(self):
        self.now, self.product = T0, 1
        self.count = {"total": 65_520, "good": 65_530, "reject": 3}
        self.rows = {name: [] for name in ("a.run", "a.alarm", "a.wait", "a.code", "b.door", "b.product")}
        self.rows |= {f"b.{role}": [] for role in self.count}

    def put(self, tag, t, value):
        rows = self.rows[tag]
        if rows and rows[-1][0] >= t:
            t = rows[-1][0] + 1
        rows.append((t, value))

    def counters(self, t):
        for role, value in self.count.items():
            self.put(f"b.{role}", t, value % 65_536)

    def phase(self, kind, length, every, rejects, product, code, late):
        start, self.now = self.now, self.now + length
        if product is not None:
            self.product = product
        if kind.startswith("gap"):
            self.gap(kind, start, length, every)
            return
        for tag, value in {
            "a.run": kind in ("run", "idle", "spike"),
            "a.alarm": 5 if kind == "alarm" else 0,
            "a.wait": kind == "wait",
            "a.code": code if kind in ("stop", "alarm", "wait") else 0,
            "b.door": kind == "door",
        }.items():
            self.put(tag, start, value)
        self.put("b.product", start + min(late, length - 1), self.product)
        if kind == "reset":
            self.count = dict.fromkeys(self.count, 0)
        if kind == "jump":
            self.count["total"] = 30_000
        self.counters(start)
        if kind in ("run", "spike", "door"):
            self.make(start, length, every, rejects)
        if kind == "spike" and length > 2:
            self.put("b.total", self.now - 1, 44_444)

    def make(self, start, length, every, rejects):
        for number, t in enumerate(range(start + every, start + length, every), 1):
            bad = bool(rejects) and number % rejects == 0
            self.count["total"] += 1
            self.count["reject" if bad else "good"] += 1
            self.put("b.total", t, self.count["total"] % 65_536)
            role = "reject" if bad else "good"
            self.put(f"b.{role}", t, self.count[role] % 65_536)

    def gap(self, kind, start, length, every):
        for tag in self.rows:
            if kind == "gap" or tag.startswith(kind[-1]):
                self.put(tag, start, GAP)
        if kind != "gap_a":
            self.count["total"] += length // every
            self.count["good"] += length // every


HISTORIES = st.lists(phases, min_size=1, max_size=12)
CLASSIFYING = [("reason", "jam"), ("reason", "late"), ("planned_stop", ""), ("state", "breakdown")]
SAID = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 400), st.integers(1, 120), st.sampled_from([*CLASSIFYING, ("changeover", "")])),
        st.tuples(st.integers(0, 400), st.none(), st.sampled_from(CLASSIFYING)),
    ),
    max_size=3,
)
CUTS = st.lists(st.integers(0, 600), max_size=12)


def both_ways(options, history, said=(), cuts=()):
    """What the engine and the reference say of the same machine, history and declarations."""
    machine, conditions = build(**options)
    plant = Plant()
    for phase in history:
        plant.phase(*phase)
    said = [(T0 + first, length and T0 + first + length, *what) for first, length, what in said]
    slow = reference(machine, conditions, {tag: qualified(rows) for tag, rows in plant.rows.items()}, plant.now, said)
    declared = [say(n, *item) for n, item in enumerate(said)]
    return drive(machine, plant.rows, plant.now, said=declared, cuts=[T0 + c for c in cuts]), slow


def agree(options, history, said=(), cuts=()):
    fast, slow = both_ways(options, history, said, cuts)
    assert fast.rows == slow.facts
    assert fast.losses == slow.losses


@settings(max_examples=examples(150), deadline=None)
@given(MACHINES, HISTORIES)
def test_the_engine_agrees_with_a_walk_through_every_second(options, history):
    agree(options, history)


def test_a_good_piece_ends_a_set_up_also_where_the_total_did_not_move():
    """The total's step is a jump: a counter of good pieces says that quality is known all the same."""
    options = {
        "kind": "counts", "running": "a.run", "last": None, "guessed": False, "poll_s": 0, "roles": "total good", "gap": (4, 5), "coded": False,
        "per_count": 1, "product_change": "next_stop", "minor_s": 20, "startup_pieces": 0, "shortest_run_s": 0,
        "shortest_stop_s": 5,
    }  # fmt: skip
    history = [
        ("jump", 12, 5, 3, BAD, 0, 0),
        ("alarm", 34, 4, 2, 3, 0, 2),
        ("alarm", 19, 5, 1, 1, 0, 2),
        ("gap", 34, 4, 3, None, 8, 2),
        ("jump", 12, 2, 1, BAD, 0, 1),
    ]
    agree(options, history)


@settings(max_examples=examples(80), deadline=None)
@given(MACHINES, HISTORIES, CUTS)
def test_in_blocks_too(options, history, cuts):
    agree(options, history, cuts=cuts)


@settings(max_examples=examples(80), deadline=None)
@given(MACHINES, HISTORIES, SAID, CUTS)
def test_with_what_people_declare(options, history, said, cuts):
    agree(options, history, said, cuts)


@pytest.mark.slow
@settings(max_examples=examples(1000), deadline=None)
@given(MACHINES, HISTORIES, SAID, CUTS)
def test_the_engine_agrees_for_long(options, history, said, cuts):
    agree(options, history, said, cuts)
