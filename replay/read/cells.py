"""Cells of one column as values: an empty cell holds the last value, `?` is bad quality, anything else is the value.

Two ways to the same result: with pyarrow whole columns at once; without it, and for a block that contains an error, cell
by cell, which finds the line.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
_THOUSANDS: Final = re.compile(r"[-+]?[1-9]\d{0,2}([.,' \u00a0\u202f])\d{3}(?:\1\d{3})*")
_FRACTION: Final = re.compile(r"([-+]?[\d.,' \u00a0\u202f]*)([.,])\d+(?:e[-+]?\d+)?", re.IGNORECASE)
Report = Callable[[int, str, str], None]
"""Called for a cell that cannot be used: row within the block, conflict code, the cell's text."""


@dataclass(frozen=True)
class Cells:
    """A column of a block. quality: None where all are good; present: None where no cell is empty."""

    value: Values
    quality: UInt8 | None = None
    present: NDArray[np.bool_] | None = None


class MaybeThousands(ValueError):
    """A number that is written in thousands, or may be, and nobody has said so."""


@dataclass(frozen=True)
class CellFormat:
    """How a column's cells are written. mark: the decimal mark, "" where it is not known; is_said: the site file names it,
    so that another mark separates thousands; words: by `str.casefold`, their value.
    """

    kind: Kind
    mark: str = ""
    is_said: bool = False
    words: Mapping[str, float] = field(default_factory=dict)

    def number(self, text: str) -> float:
        """The number (or truth value) that a cell holds. Raises `ValueError`, for thousands `MaybeThousands`."""
        low = text.casefold()
        if low in self.words:
            return self.words[low]
        if low in ("true", "false"):
            return low == "true"
        if "_" in text:
            raise ValueError(text)
        try:
            return int(text)
        except ValueError:
            return float(self._with_point(text))

    def _with_point(self, text: str) -> str:
        """The number with a decimal point and without separators of thousands."""
        if not self.mark:
            whole = text.rpartition(_mark_of(text) or " ")[0]
            if _THOUSANDS.fullmatch(text) or _THOUSANDS.fullmatch(whole):
                raise MaybeThousands(text)
            return text.replace(",", ".")
        whole, mark, fraction = text.partition(self.mark)
        thousands = _THOUSANDS.fullmatch(whole)
        if thousands and thousands[1] != self.mark:
            if not self.is_said:
                raise MaybeThousands(text)
            whole = whole.replace(thousands[1], "")
        elif "," in whole or "." in whole:
            raise ValueError(text)
        return f"{whole}.{fraction}" if mark else whole


def folded(words: Mapping[str, float]) -> dict[str, float]:
    """Words as `CellFormat` looks them up."""
    return {word.strip().casefold(): value for word, value in words.items()}


def _mark_of(text: str) -> str:
    """The decimal mark of a number that cannot be read in two ways; "" of others."""
    match = _FRACTION.fullmatch(text)
    if match is None or _THOUSANDS.fullmatch(text):
        return ""
    whole = match[1]
    return match[2] if whole.lstrip("-+").isdigit() or whole in ("", "-", "+") or _THOUSANDS.fullmatch(whole) else ""


def decimal_mark(texts: Iterable[str]) -> str:
    """The decimal mark that these cells show: `,` or `.`; "" where they show none, or both."""
    marks = {_mark_of(text.strip()) for text in texts} - {""}
    return marks.pop() if len(marks) == 1 else ""


def from_text(texts: Sequence[str], form: CellFormat, report: Report) -> Cells:
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
        elif form.kind == "text":
            last = text
        else:
            value = _value(text, form, row, report)
            if value is None:
                quality[row] = Quality.BAD
            else:
                last = value
        values.append(last)
    first = next((item for item in values if item is not None), 0)  # a placeholder where no value is good; never used
    return Cells(column([first if item is None else item for item in values]), quality, present)


def _value(text: str, form: CellFormat, row: int, report: Report) -> Any:
    if text.casefold() in _NO_NUMBERS and text.casefold() not in form.words:
        report(row, "not_a_number", text)
        return None
    try:
        number = form.number(text)
    except MaybeThousands:
        report(row, "maybe_thousands", text)
        return None
    except ValueError:
        if form.kind == "any":
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
