"""Columns of pyarrow as cells and times. Imported only where pyarrow is installed.

`cells` and `times` return None for a column with wrong or mixed values; then each cell is parsed by itself.
"""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from oee.model.samples import Int64
from oee.model.states import Quality
from replay.read.cells import BAD_CELL, LARGEST, Cells
from replay.read.columns import Kind
from replay.read.times import Style, epoch_ns

_OFFSET_LENGTH: Final = 6
_TO_NS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def cells(texts: Any, kind: Kind) -> Cells | None:
    """A column of texts."""
    empty = pc.equal(texts, "").to_numpy(zero_copy_only=False)
    bad = pc.equal(texts, BAD_CELL).to_numpy(zero_copy_only=False)
    has_empty, has_bad = bool(empty.any()), bool(bad.any())
    if has_empty or has_bad:
        texts = pc.if_else(pa.array(empty | bad), None, texts)
    value = _texts(texts) if kind == "text" else _numbers(texts)
    if value is None and kind == "any" and pc.count(texts).as_py() and not _some_number(texts):
        value = _texts(texts)
    if value is None:
        return None
    quality = np.where(bad, np.uint8(Quality.BAD), np.uint8(0)).astype(np.uint8) if has_bad else None
    return Cells(value, quality, ~empty if has_empty else None)


def _numbers(texts: Any) -> Any:
    for target in (pa.int64(), pa.float64()):
        try:
            numbers = pc.cast(texts, target)
        except pa.ArrowInvalid:
            continue
        values = plain(numbers)
        return values if values.dtype.kind == "i" or (np.abs(values) < LARGEST).all() else None
    return None


def _some_number(texts: Any) -> bool:
    return bool(
        pc.any(pc.match_substring_regex(texts, r"^\s*[-+]?[\d.,]+\s*$|^(?i:nan|null|none|true|false)$")).as_py()
    )


def _texts(texts: Any) -> Any:
    return pc.utf8_trim_whitespace(pc.fill_null(texts, "")).to_numpy(zero_copy_only=False)


def plain(array: Any) -> Any:
    """A numeric column as NumPy, without a copy where none is needed; what is null is 0."""
    if array.null_count:
        array = pc.fill_null(array, False) if pa.types.is_boolean(array.type) else pc.fill_null(array, 0)
    return array.to_numpy(zero_copy_only=False)


def present(array: Any) -> Any:
    """Where the column is not null; None where it never is."""
    return pc.is_valid(array).to_numpy(zero_copy_only=False) if array.null_count else None


def times(texts: Any) -> tuple[Int64, Style] | None:
    """Times as text, all written the same way, in nanoseconds (of the wall clock where naive), and their style."""
    if texts.null_count or not len(texts):
        return None
    first = texts[0].as_py().strip()
    try:
        if first.replace(".", "", 1).isdigit():
            target = pa.float64() if "." in first else pa.int64()
            return epoch_ns(plain(pc.cast(texts, target))), "epoch"
        style: Style = "naive"
        tail = first[10:]
        if "+" in tail or "-" in tail or tail.endswith("Z"):
            style = "aware"
            ending = "Z" if tail.endswith("Z") else first[-_OFFSET_LENGTH:]
            if not pc.all(pc.ends_with(texts, ending)).as_py():
                return None
        target = pa.timestamp("ns", "UTC") if style == "aware" else pa.timestamp("ns")
        return plain(pc.cast(pc.cast(texts, target), pa.int64())), style
    except pa.ArrowInvalid:
        return None


def stamps(array: Any) -> tuple[Int64, bool]:
    """A column of timestamps [ns], and whether it is a wall clock's (has no time zone)."""
    length_ns = _TO_NS[array.type.unit]
    values = plain(array.view(pa.int64()))
    return (values if length_ns == 1 else values * length_ns), array.type.tz is None
