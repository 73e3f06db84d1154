"""YAML by its core schema, with lines."""

import pytest

from config.yaml.times import parse_days
from config.yaml.tree import lines, read_tree, value

TEXT = """\
a: 06:00
b: [on, no, yes, true, False, ~, null, NULL, "", '1']
c: {d: 12, e: 0x1F, f: 0o17, g: 1.5, h: 1e3, i: -.inf, j: 012, k: 1_000, l: 2026-03-01, m: nUll}
1:
"""


def test_scalars():
    tree, complaints = read_tree(TEXT, "x.yaml")
    assert complaints == []
    assert value(tree) == {
        "a": "06:00",
        "b": ["on", "no", "yes", True, False, None, None, None, "", "1"],
        "c": {"d": 12, "e": 31, "f": 15, "g": 1.5, "h": 1000.0, "i": float("-inf"), "j": 12, "k": "1_000",
              "l": "2026-03-01", "m": "nUll"},
        "1": None,
    }  # fmt: skip


def test_lines():
    tree, _ = read_tree("a:\n  b: 1\n  c:\n    - x\n    - y: 2\n", "x.yaml")
    assert lines(tree) == {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 3,
        ("a", "c", 0): 4,
        ("a", "c", 1): 5,
        ("a", "c", 1, "y"): 5,
    }


def test_shared_blocks_are_not_loops():
    tree, complaints = read_tree("a: &x {n: 1}\nb: *x\n", "x.yaml")
    assert (value(tree), complaints) == ({"a": {"n": 1}, "b": {"n": 1}}, [])


@pytest.mark.parametrize(
    ("text", "days"),
    [("mon-sat", {0, 1, 2, 3, 4, 5}), ("fri-mon", {4, 5, 6, 0}), ("sat,sun", {5, 6}), (["mon", "wed"], {0, 2}),
     ("daily", set(range(7))), ("Tue", {1})],
)  # fmt: skip
def test_days(text, days):
    assert parse_days(text) == days
