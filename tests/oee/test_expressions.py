"""Conditions over tags: grammar, three-valued truth, helpers, bad input."""

import itertools

import numpy as np
import pytest
from driving import BAD, GAP, S, as_series
from hypothesis import given, settings
from hypothesis import strategies as st

from oee.model.conditions import BadExpression, parse
from oee.model.expressions import breakpoints, evaluate
from oee.model.samples import series
from oee.model.states import Quality

NAME = {True: "yes", False: "no", None: "unknown"}
TRITS = (True, False, None)


def value_of(text, samples, t=0):
    """The condition at one time [s]: True, False or None."""
    found = evaluate(parse(text), samples, np.array([t * S], np.int64))
    return bool(found.value[0]) if found.known[0] else None


def tags(**values):
    """Tags `d.<name>` that hold a value from 0 on; None: not known."""
    return {f"d.{name}": as_series([(0, GAP if value is None else value)]) for name, value in values.items()}


AND = {(True, True): True, (True, None): None, (None, True): None, (None, None): None}
OR = {(False, False): False, (False, None): None, (None, False): None, (None, None): None}


@pytest.mark.parametrize(("a", "b"), [*itertools.product(TRITS, TRITS)])
def test_truth_tables(a, b):
    """Kleene's strong logic: a side that decides decides, whatever the other."""
    held = tags(a=a, b=b)
    assert value_of("d.a and d.b", held) is AND.get((a, b), False)
    assert value_of("d.a or d.b", held) is OR.get((a, b), True)
    assert value_of("not d.a", held) is (None if a is None else not a)
    assert value_of("d.a == d.b", held) is (None if None in (a, b) else a == b)


trees = st.recursive(
    st.sampled_from(["d.a", "d.b", "d.c", "true", "false"]),
    lambda inner: st.one_of(
        inner.map(lambda x: f"not ({x})"),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda x: f"({x[0]}) {x[1]} ({x[2]})"),
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(trees, st.tuples(*[st.sampled_from(TRITS)] * 3))
def test_an_unknown_side_never_decides(text, values):
    """What is known with a tag unknown stays so whichever value the tag turns out to have."""
    held = dict(zip("abc", values, strict=True))
    told = value_of(text, tags(**held))
    if told is None:
        return
    for filled in itertools.product(*[(v,) if v is not None else (True, False) for v in values]):
        assert value_of(text, tags(**dict(zip("abc", filled, strict=True)))) is told


@settings(deadline=None)
@given(trees, st.tuples(*[st.sampled_from(TRITS)] * 3))
def test_de_morgan(text, values):
    held = tags(**dict(zip("abc", values, strict=True)))
    assert value_of(f"not (({text}) and d.a)", held) is value_of(f"(not ({text})) or not d.a", held)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("d.n == 5", True),
        ("d.n != 5", False),
        ("d.n < 5", False),
        ("d.n <= 5", True),
        ("d.n > 4.5", True),
        ("d.n >= 5.5", False),
        ("d.n in (1, 5)", True),
        ("d.n in (1, 2)", False),
        ("d.n + 1 == 6", True),
        ("d.n - 1 == 4", True),
        ("d.n -1 == 4", True),
        ("d.n * 2 > 9", True),
        ("d.n / 2 == 2.5", True),
        ("d.n > -1", True),
        ("d.n == 5 and d.n == 4 or true", True),
        ("d.n == 5 or d.n == 5 and false", True),
        ("not d.n == 4", True),
        ("not not d.n == 4", False),
        ("(d.n)", True),
        ("d.zero", False),
        ("d.text == 'AUTO'", True),
        ('d.text in ("MDI", "AUTO")', True),
        ("d.text == 5", False),
        ("d.text != 5", True),
        ("d.n == 'AUTO'", False),
        ("d.n / d.zero > 1", None),
        ("d.text > 1", None),
        ("d.text + 1 == 2", None),
        ("d.missing == 1", None),
        ("d.missing or d.n", True),
        ("d.missing in (1, 2)", None),
    ],
)
def test_values(text, expected):
    assert value_of(text, tags(n=5, zero=0, text="AUTO")) is expected


def test_names_may_hold_hyphens():
    expression = parse("press-plc.alarm-2 > 0 and not io.c3")
    assert expression.tags == {"press-plc.alarm-2", "io.c3"}


def test_integers_beyond_2_to_the_53_are_compared_exactly():
    held = {"d.n": as_series([(0, 2**53 + 1)])}
    assert value_of(f"d.n == {2**53}", held) is False


@pytest.mark.parametrize(
    ("quality", "known"), [(Quality.GOOD, True), (Quality.UNCERTAIN, True), (Quality.BAD, False), (Quality.GAP, False)]
)
def test_quality(quality, known):
    held = {"d.a": series([(0, True, quality)])}
    assert (value_of("d.a", held) is True) is known


def test_a_value_holds_from_its_time_until_the_next_row():
    held = {"d.a": as_series([(1, True), (3, BAD), (5, False)])}
    told = [value_of("d.a", held, t) for t in range(7)]
    assert told == [None, True, True, None, None, False, False]


def test_a_float_that_is_no_number_is_unknown():
    assert value_of("d.f > 1", {"d.f": as_series([(0, float("nan"))])}) is None


def test_above_has_hysteresis():
    """`above(on=4, off=3)`: on at or above 4, off at or below 3, held between; unknown until it was once at either."""
    rows = [(0, 3.5), (1, 4.0), (2, 3.5), (3, 3.0), (4, 3.9), (5, 4.1), (6, GAP), (7, 3.5), (8, 2.0)]
    held = {"d.kw": as_series(rows)}
    told = [value_of("above(d.kw, on=4, off=3)", held, t) for t in range(9)]
    assert told == [None, True, True, False, False, True, None, True, False]
    assert [value_of("above(d.kw, off=3, on=4)", held, t) for t in range(9)] == told


def blink(changes, within="3s", start=0):
    rows = [(start, False), *((t, n % 2 == 0) for n, t in enumerate(changes))]
    return {"d.red": as_series(rows)}, f"blinking(d.red, {within})"


def test_blinking_starts_with_the_second_near_change_and_ends_after_the_duration():
    held, text = blink([10, 11, 12, 13, 30])
    told = {t: value_of(text, held, t) for t in (9, 10, 11, 12, 13, 15, 15.999, 16, 30, 31)}
    assert told == {
        9: False,
        10: False,
        11: True,
        12: True,
        13: True,
        15: True,
        15.999: True,
        16: False,
        30: False,
        31: False,
    }


def test_blinking_counts_changes_exactly_the_duration_apart_as_near():
    held, text = blink([10, 13])
    assert value_of(text, held, 13) is True
    held, text = blink([10, 13.001])
    assert value_of(text, held, 13.001) is False


def test_blinking_ends_between_rows_so_the_axis_knows_that_time():
    held, text = blink([10, 11])
    edges = np.concatenate(breakpoints(parse(text), held))
    assert 14 * S in edges.tolist()


def test_blinking_is_unknown_while_the_light_is():
    rows = [(0, False), (1, True), (2, False), (3, GAP)]
    assert value_of("blinking(d.red, 3s)", {"d.red": as_series(rows)}, 4) is None


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("3s", 3), ("1.5s", 1.5), ("2min", 120), ("1h", 3600)])
def test_durations(text, seconds):
    assert parse(f"blinking(d.red, {text})").helpers[0].args == ("d.red", seconds * S)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "d.a and",
        "and d.a",
        "not",
        "(d.a",
        "d.a)",
        "d.a d.b",
        "d.a = 5",
        "d.a === 5",
        "d.a > ",
        "d.a < 3 < 5",
        "d.a & d.b",
        "d.a in ()",
        "d.a in 5",
        "d.a in (1",
        "d.a in (d.b)",
        "'open",
        "blinking(d.a)",
        "blinking(d.a, 3)",
        "blinking(3s, d.a)",
        "blinking(d.a, 3 apples)",
        "above(d.a, on=3, off=4)",
        "above(d.a, on=3)",
        "above(d.a, on=3, on=4)",
        "above(d.a, on='x', off=1)",
        "above(d.a, 4, 3)",
        "flashing(d.a, 3s)",
        "d.a > 5; import os",
        "__import__('os')",
        "d.a.",
        ".a",
        "5 5",
    ],
)
def test_what_is_no_expression_is_refused_with_a_position(text):
    with pytest.raises(BadExpression) as refused:
        parse(text)
    assert 0 <= refused.value.position <= len(text) + 1
    assert str(refused.value)


@settings(deadline=None)
@given(st.text(alphabet="abd.()<>=!+-*/, 0123456789'\"andornotis", max_size=30))
def test_any_text_is_an_expression_or_refused(text):
    try:
        parse(text)
    except BadExpression as refused:
        assert 0 <= refused.position <= len(text) + 1
