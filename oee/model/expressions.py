"""Conditions evaluated over whole columns in three-valued logic. Their syntax: `oee/model/conditions.py`. Pure.

A name is unknown while its sample is not good. `and` with one false side is false and `or` with
one true side is true whatever the other is; everything else that touches an unknown is unknown.

`blinking(tag, 3s)`: true from the second of two changes of the tag that are no further apart than the duration, until
the duration has passed without another change.
`above(tag, on=4, off=3)`: hysteresis. Becomes true at or above `on`, false at or below `off`, and holds in between;
unknown until the value has reached either limit.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from oee.model.conditions import Expression, Node
from oee.model.samples import EMPTY, Int64, Samples, Series, latest_at
from oee.model.states import Quality

Bool = NDArray[np.bool_]
_COMPARE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


class Trit(NamedTuple):
    """Values over a time axis and where they are known; `value` is meaningless elsewhere."""

    value: NDArray[Any]
    known: Bool


def at_times(column: Series, times: Int64) -> Trit:
    """The series' values in effect at each time; unknown before the first row and where not good."""
    if column.t_ns is times:
        return Trit(column.value, is_known(column))
    if not len(column):
        return Trit(np.zeros(len(times)), np.zeros(len(times), np.bool_))
    index = latest_at(column.t_ns, times)
    return Trit(column.value[index], is_known(column)[index] & (index >= 0))


def all_known(columns: Sequence[Series], times: Int64) -> Bool:
    """Where all of these are known; nowhere if there are none."""
    known = np.full(len(times), bool(columns), np.bool_)
    for column in columns:
        known &= at_times(column, times).known
    return known


def is_known(column: Series) -> Bool:
    """Which rows have a usable value."""
    good: Bool = column.quality <= Quality.UNCERTAIN
    if column.value.dtype.kind == "f":
        good = good & ~np.isnan(column.value)
    return good


def blink_edges(column: Series, within_ns: int) -> tuple[Int64, Bool]:
    """Where `blinking` changes: times and values, starting false; unknown time is not considered here."""
    t_ns = column.t_ns[is_known(column)]
    value = column.value[is_known(column)]
    changes = t_ns[1:][value[1:] != value[:-1]] if len(t_ns) else t_ns
    close = changes[1:][np.diff(changes) <= within_ns]  # the second of two near changes
    if not len(close):
        return np.empty(0, np.int64), np.empty(0, np.bool_)
    ends = close + within_ns
    begins = np.append(True, close[1:] > ends[:-1])
    last = np.append(begins[1:], True)
    times = np.stack([close[begins], ends[last]], 1).ravel()
    return times, np.tile([True, False], len(times) // 2)


def _blinking(column: Series, within_ns: int, times: Int64) -> Trit:
    edges, values = blink_edges(column, within_ns)
    index = np.searchsorted(edges, times, "right") - 1
    on = values[index] & (index >= 0) if len(edges) else np.zeros(len(times), np.bool_)
    return Trit(on, at_times(column, times).known)


def _above(column: Series, on: float, off: float, times: Int64) -> Trit:
    good = is_known(column)
    number = np.where(good, column.value, np.nan).astype(np.float64) if len(column) else np.empty(0)
    decided = np.flatnonzero((number >= on) | (number <= off))
    index = np.searchsorted(column.t_ns[decided], times, "right") - 1
    value = number[decided][index] >= on if len(decided) else np.zeros(len(times), np.bool_)
    return Trit(value, at_times(column, times).known & (index >= 0))


def breakpoints(expression: Expression, samples: Samples) -> list[Int64]:
    """Time axes at which the expression may change: one for each tag, and one for each blinking light."""
    axes = [samples.get(tag, EMPTY).t_ns for tag in sorted(expression.tags)]
    blinks = (node for node in expression.helpers if node.op == "blinking")
    return axes + [blink_edges(samples.get(node.args[0], EMPTY), node.args[1])[0] for node in blinks]


def evaluate(expression: Expression, samples: Samples, times: Int64) -> Trit:
    """The condition at each time: `value` bool[n], `known` bool[n]. A tag without samples is unknown."""
    result = _evaluate(expression.node, samples, times)
    return Trit(_truth(result.value), result.known)


def _truth(value: NDArray[Any]) -> Bool:
    return value if value.dtype == np.bool_ else value != (0 if value.dtype != object else "")


def _evaluate(node: Node, samples: Samples, times: Int64) -> Trit:
    match node.op:
        case "literal":
            return Trit(np.full(len(times), node.args[0]), np.ones(len(times), np.bool_))
        case "name":
            return at_times(samples.get(node.args[0], EMPTY), times)
        case "blinking":
            return _blinking(samples.get(node.args[0], EMPTY), node.args[1], times)
        case "above":
            return _above(samples.get(node.args[0], EMPTY), node.args[1], node.args[2], times)
        case "not":
            operand = _evaluate(node.args[0], samples, times)
            return Trit(~_truth(operand.value), operand.known)
        case "and" | "or":
            return _connect(node, samples, times)
        case "in":
            operand = _evaluate(node.args[0], samples, times)
            hit = np.zeros(len(times), np.bool_)
            for option in node.args[1]:
                hit |= _compare("==", operand.value, option)
            return Trit(hit, operand.known)
    left, right = (_side(arg, samples, times) for arg in node.args)
    known = left[1] & right[1]
    if node.op in _COMPARE:
        if node.op not in ("==", "!=") and (_is_text(left[0]) or _is_text(right[0])):
            return Trit(np.zeros(len(times), np.bool_), np.zeros(len(times), np.bool_))  # text has no order here
        return Trit(np.broadcast_to(_compare(node.op, left[0], right[0]), len(times)), known)
    return _arithmetic(node.op, left[0], right[0], known, times)


def _side(node: Node, samples: Samples, times: Int64) -> tuple[Any, Any]:
    """An operand; a literal stays a scalar, so that comparing costs one pass."""
    if node.op == "literal":
        return node.args[0], np.True_
    return _evaluate(node, samples, times)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype.kind == "O")


def _compare(op: str, left: Any, right: Any) -> Any:
    if isinstance(right, float) and getattr(left, "dtype", np.dtype(float)).kind in "iu" and right.is_integer():
        right = int(right)  # stays in integers: exact beyond 2^53, and no conversion of the column
    if _is_text(left) != _is_text(right):
        return np.full(np.broadcast_shapes(np.shape(left), np.shape(right)), op == "!=")
    return _COMPARE[op](left, right).astype(np.bool_, copy=False)


def _connect(node: Node, samples: Samples, times: Int64) -> Trit:
    left, right = (_evaluate(arg, samples, times) for arg in node.args)
    one, two = _truth(left.value), _truth(right.value)
    if node.op == "and":
        return Trit(one & two, (left.known & right.known) | (left.known & ~one) | (right.known & ~two))
    value = (one & left.known) | (two & right.known)
    return Trit(value, (left.known & right.known) | value)


def _arithmetic(op: str, left: Any, right: Any, known: Any, times: Int64) -> Trit:
    if _is_text(left) or _is_text(right):
        return Trit(np.zeros(len(times)), np.zeros(len(times), np.bool_))
    one, two = np.asarray(left, np.float64), np.asarray(right, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}[op](one, two)
    value = np.broadcast_to(value, len(times))
    return Trit(value, known & np.isfinite(value))


def needed(expressions: tuple[Expression, ...], tag: str, column: Series, t_ns: int) -> Int64:
    """Indices of the rows up to `t_ns` on which a later evaluation still depends, int64[k].

    The last row always; for `blinking` the rows of its duration and the change before them; for `above` the row that
    decided last.
    """
    end = int(np.searchsorted(column.t_ns, t_ns, "right"))
    if end == 0:
        return np.empty(0, np.int64)
    keep = {end - 1}
    for expression in expressions:
        for node in expression.helpers:
            if node.args[0] != tag:
                continue
            if node.op == "blinking":
                first = int(np.searchsorted(column.t_ns, t_ns - 2 * node.args[1], "left"))
                keep.update(range(max(first - 1, 0), end))
            else:
                good = is_known(column)[:end]
                number = np.where(good, column.value[:end], np.nan).astype(np.float64)
                decided = np.flatnonzero((number >= node.args[1]) | (number <= node.args[2]))
                keep.update(decided[-1:].tolist())
    return np.array(sorted(keep), np.int64)
