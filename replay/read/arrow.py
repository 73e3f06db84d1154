"""Columns of pyarrow as cells and times. Imported only where pyarrow is installed.

`cells` and `times` return None for a column with wrong or mixed values; then each cell is parsed by itself.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from oee.model.samples import Int64
from oee.model.states import Quality
from replay.read.cells import BAD_CELL, LARGEST, CellFormat, Cells
from replay.read.times import EXCEL_SIZES, Style, TimeFormat, epoch_ns, excel_ns

_OFFSET_LENGTH: Final = 6
_TO_NS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_THOUSANDS: Final = r"^\s*[-+]?[1-9]\d{0,2}([.,]\d{3})+\s*$"
_CLOCK: Final = r"^\d{1,2}:\d\d"
_DATE_PARTS: Final = {"dd": r"(\d\d)", "mm": r"(\d\d)", "yyyy": r"(\d{4})", "yy": r"(\d\d)"}


def cells(texts: Any, form: CellFormat) -> Cells | None:
    """A column of texts."""
    empty, bad = plain(pc.equal(texts, "")), plain(pc.equal(texts, BAD_CELL))
    has_empty, has_bad = bool(empty.any()), bool(bad.any())
    if has_empty or has_bad:
        texts = pc.if_else(pa.array(empty | bad), None, texts)
    if form.words and form.kind != "text":
        texts = _without_words(texts, form.words)
    value = _texts(texts) if form.kind == "text" else _numbers(texts, form.mark)
    if value is None and form.kind == "any" and pc.count(texts).as_py() and not _some_number(texts):
        value = _texts(texts)
    if value is None:
        return None
    quality = np.where(bad, np.uint8(Quality.BAD), np.uint8(0)).astype(np.uint8) if has_bad else None
    return Cells(value, quality, ~empty if has_empty else None)


def _without_words(texts: Any, words: Mapping[str, float]) -> Any:
    encoded = texts.dictionary_encode()
    written = encoded.dictionary.to_pylist()
    values = [words.get(text.strip().casefold()) for text in written]
    if all(value is None for value in values):
        return texts
    plain = [text if value is None else f"{value:g}" for text, value in zip(written, values, strict=True)]
    return pa.array(plain, pa.string()).take(encoded.indices)


def _numbers(texts: Any, mark: str) -> Any:
    values = _cast(texts, pa.int64())
    if values is not None:
        return values
    texts = _with_points(texts, mark)
    values = None if texts is None else _cast(texts, pa.float64())
    return values if values is not None and (np.abs(values) < LARGEST).all() else None


def _cast(texts: Any, target: Any) -> Any:
    try:
        return plain(pc.cast(texts, target))
    except pa.ArrowInvalid:
        return None


def _with_points(texts: Any, mark: str) -> Any:
    """Numbers with a decimal point; None where one of them may be written in thousands, or mixes the marks."""
    if mark == ".":
        return texts
    if not mark and _any(pc.match_substring_regex(texts, _THOUSANDS)):
        return None
    if not _any(pc.match_substring(texts, ",")):
        return None if mark and _any(pc.match_substring(texts, ".")) else texts
    return None if _any(pc.match_substring(texts, ".")) else pc.replace_substring(texts, ",", ".")


def _any(found: Any) -> bool:
    return bool(pc.any(found).as_py())


def _some_number(texts: Any) -> bool:
    return _any(pc.match_substring_regex(texts, r"^\s*[-+]?[\d.,]+\s*$|^(?i:nan|null|none|true|false)$"))


def _texts(texts: Any) -> Any:
    trimmed = pc.utf8_trim_whitespace(pc.fill_null(texts, "")).to_pylist()
    out = np.empty(len(trimmed), object)
    out[:] = trimmed
    return out


def plain(array: Any) -> Any:
    """A column of numbers or truth values as NumPy, without a copy where none is needed; what is null is 0.

    By DLPack: pyarrow's own `to_numpy` imports pandas wherever that is installed (50 MB and half a second with pandas 3).
    """
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    is_boolean = pa.types.is_boolean(array.type)
    if array.null_count:
        array = pc.fill_null(array, False) if is_boolean else pc.fill_null(array, 0)
    if is_boolean:  # DLPack has no bits
        return np.from_dlpack(array.cast(pa.uint8())).view(np.bool_)
    return np.from_dlpack(array)


def present(array: Any) -> Any:
    """Where the column is not null; None where it never is."""
    return plain(pc.is_valid(array)) if array.null_count else None


def joined(dates: Any, clocks: Any) -> Any:
    """Dates and times of day as one column; None where a time is more than that."""
    if dates.null_count or clocks.null_count or not pc.all(pc.match_substring_regex(clocks, _CLOCK)).as_py():
        return None
    return pc.binary_join_element_wise(dates, clocks, " ")


def times(texts: Any, form: TimeFormat) -> tuple[Int64, Style] | None:
    """Times as text, all written the same way, in nanoseconds (of the wall clock where naive), and their style."""
    if texts.null_count or not len(texts):
        return None
    first = texts[0].as_py().strip()
    try:
        if re.fullmatch(r"\d+([.,]\d*)?", first):
            return _number_times(texts, form)
        if len(first) > 1 and (re.match(r"\d{4}[/.]", first) or (form.dates and not form.is_excel)):
            texts = _iso_dates(texts, form.dates or f"yyyy{first[4]}mm{first[4]}dd")
            first = texts[0].as_py().strip()
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


def _number_times(texts: Any, form: TimeFormat) -> tuple[Int64, Style] | None:
    if form.is_excel:
        return excel_ns(plain(pc.cast(pc.replace_substring(texts, ",", "."), pa.float64()))), "naive"
    values = plain(pc.cast(texts, pa.float64() if _any(pc.match_substring(texts, ".")) else pa.int64()))
    if ((values >= EXCEL_SIZES[0]) & (values < EXCEL_SIZES[1])).any():
        return None
    return epoch_ns(values), "epoch"


def _iso_dates(texts: Any, dates: str) -> Any:
    """Texts that begin with a date in two-digit parts of this order with the date as ISO writes it; others unchanged."""
    parts = re.findall("yyyy|yy|mm|dd", dates)
    pattern = re.sub("yyyy|yy|mm|dd|[/.-]", lambda item: _DATE_PARTS.get(item[0], "[" + item[0] + "]"), dates)
    year = next(part for part in parts if part.startswith("y"))
    places = [parts.index(year) + 1, parts.index("mm") + 1, parts.index("dd") + 1]
    iso = ("20" if year == "yy" else "") + "-".join(rf"\{place}" for place in places)
    return pc.replace_substring_regex(texts, pattern=rf"^\s*{pattern}\b", replacement=iso)


def stamps(array: Any) -> tuple[Int64, bool]:
    """A column of timestamps [ns], and whether it is a wall clock's (has no time zone)."""
    length_ns = _TO_NS[array.type.unit]
    values = plain(array.view(pa.int64()))
    return (values if length_ns == 1 else values * length_ns), array.type.tz is None
