"""Cells of one column as values: an empty cell holds the last value, `?` is bad quality, anything else is the value.

Two ways to the same result: with pyarrow whole columns at once; without it, and for a block that contains an error, cell
by cell, which finds the line.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from oee.model.samples import UInt8, Values, column
from oee.model.states import Quality
from replay.read.columns import Kind

BAD_CELL: Final = "?"
LARGEST: Final = 2**63
"""A value beyond int64 cannot come from a register."""
_NO_NUMBERS: Final = frozenset({"nan", "-nan", "null", "none", "n/a", "na", "inf", "-inf", "infinity", "#n/a"})
Report = Callable[[int, str, str], None]
"""Called for a cell that cannot be used: row within the block, conflict code, the cell's text."""


@dataclass(frozen=True)
class Cells:
    """A column of a block. quality: None where all are good; present: None where no cell is empty."""

    value: Values
    quality: UInt8 | None = None
    present: NDArray[np.bool_] | None = None


def number_of(text: str, *, comma: bool) -> float:
    """The number (or truth value) that a cell holds. Raises `ValueError`. comma: `1,5` is one and a half."""
    low = text.lower()
    if low in ("true", "false"):
        return low == "true"
    if "_" in text:
        raise ValueError(text)
    try:
        return int(text)
    except ValueError:
        return float(text.replace(",", ".") if comma else text)


def from_text(texts: Sequence[str], kind: Kind, report: Report, *, comma: bool = False) -> Cells:
    """Cells one by one."""
    values: list[Any] = []
    quality = np.zeros(len(texts), np.uint8)
    present = np.ones(len(texts), np.bool_)
    last: Any = None
    for row, written in enumerate(texts):
        text = written.strip()
        if not text:
            present[row] = False
        elif text == BAD_CELL:
            quality[row] = Quality.BAD
        elif kind == "text":
            last = text
        else:
            value = _value(text, kind, row, report, comma=comma)
            if value is None:
                quality[row] = Quality.BAD
            else:
                last = value
        values.append(last)
    first = next((item for item in values if item is not None), 0)  # a placeholder where no value is good; never used
    return Cells(column([first if item is None else item for item in values]), quality, present)


def _value(text: str, kind: Kind, row: int, report: Report, *, comma: bool) -> Any:
    if text.lower() in _NO_NUMBERS:
        report(row, "not_a_number", text)
        return None
    try:
        number = number_of(text, comma=comma)
    except ValueError:
        if kind == "any":
            return text
        report(row, "text_in_number", text)
        return None
    if math.isfinite(number) and abs(number) < LARGEST:
        return number
    report(row, "not_a_number", text)
    return None


def from_array(values: "NDArray[Any]", present: NDArray[np.bool_] | None, report: Report) -> Cells:
    """Cells of a numeric column of a Parquet file."""
    if values.dtype.kind == "b" or (values.dtype.kind in "iu" and values.dtype != np.uint64):
        return Cells(values, None, present)
    numbers = values.astype(np.float64, copy=False)
    in_range = np.abs(numbers) < LARGEST
    if in_range.all():
        return Cells(numbers, None, present)
    bad = ~in_range if present is None else ~in_range & present
    for row in np.flatnonzero(bad).tolist():
        report(row, "not_a_number", str(numbers[row]))
    quality = np.where(bad, np.uint8(Quality.BAD), np.uint8(Quality.GOOD)).astype(np.uint8)
    return Cells(np.where(in_range, numbers, 0.0), quality, present)
