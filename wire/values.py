"""The body of a `values` envelope: process values, laid out so that zlib compresses them well. Pure.

Rows are sorted by tag and then by time, so that there are a few long columns however many tags there are, and never a
few short ones for each tag. JSON, like every other body:

    tags      [[device, [tag, ...]], ...]     in the order of the rows
    rows      how many rows each tag has
    t         the distinct times of all rows [us UTC]: the first, then each one's distance from the one before
    at        each row's place in `t`; after a tag's first row its distance from the row before
    decimals  each tag's number of decimals, or -1: its numbers stand in `v` as they are
    single    each tag's 1 if its numbers are single-precision floats, which need fewer decimals; left out
              if none is
    v         each row's number times 10^decimals, a whole number; after a tag's first row its distance from the row before
    quality   {at: [row, ...], are: [Quality, ...]}   rows that are not GOOD; BAD and GAP have no value
    text      {at: [row, ...], are: [text, ...]}      rows whose value is a text

A PLC's numbers have few decimals, and neighbours differ little: 21.4, 21.5, 21.5 travel as 214, 1, 0. Decoding gives
back exactly the same doubles, which the encoder checks tag by tag.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oee.model.limits import MOST_CHARACTERS
from oee.model.states import Quality
from wire.envelope import Unsound
from wire.value_buffer import ValueBuffer

MOST_ROWS: Final = 20_000
"""Rows of one envelope: some 50 kB compressed."""
MOST_MICROSECONDS: Final = 7_258_118_400_000_000  # the year 2200
_DECIMALS: Final = 6
_SINGLE_DECIMALS: Final = 9
_EXACT: Final = 2.0**51
"""Scaled numbers below this are exact integers as doubles, and so are their distances."""
_NO_VALUE: Final = int(Quality.BAD)

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Values:
    """Process values as columns, by tag and then by time.

    tag: object[n] of str, `device.tag`. t_ns: int64[n] [ns UTC], strictly increasing within a tag. number: float64[n],
    NaN where there is none. text: object[n], a str where the value is a text, else None. quality: uint8[n].
    """

    tag: NDArray[Any]
    t_ns: Int64
    number: Float64
    text: NDArray[Any]
    quality: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.t_ns)


NO_VALUES: Final = Values(
    np.empty(0, object), np.empty(0, np.int64), np.empty(0), np.empty(0, object), np.empty(0, np.uint8)
)


def select_values(values: Values, rows: NDArray[Any]) -> Values:
    """These rows (a mask or indices)."""
    return Values(*(column[rows] for column in (values.tag, values.t_ns, values.number, values.text, values.quality)))


# encoding


def values_bodies(rows: ValueBuffer, most_rows: int = MOST_ROWS) -> Iterator[dict[str, Any]]:
    """The contents of `values` envelopes that hold these rows."""
    place, t_us, number, quality = map(np.array, (rows.place, rows.t_us, rows.number, rows.quality))
    order = np.argsort(place, kind="stable")
    for first in range(0, len(order), most_rows):
        chunk = order[first : first + most_rows]
        texts = (
            {at: _text(rows.text[row]) for at, row in enumerate(chunk.tolist()) if row in rows.text}
            if rows.text
            else {}
        )
        yield _body(rows.tags, place[chunk], t_us[chunk], number[chunk], quality[chunk], texts)


def _body(
    tags: Sequence[str],
    place: Int32,
    t_us: Int64,
    number: Float64,
    quality: NDArray[np.uint8],
    texts: Mapping[int, str],
) -> dict[str, Any]:
    """The content of one envelope. place: each row's tag as an index into `tags`, ascending; texts: by row."""
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    counts = np.diff(starts, append=len(place))
    quality[~np.isfinite(number) & (quality < _NO_VALUE) & ~_marked(texts, len(quality))] = Quality.BAD
    axis, points = np.unique(t_us, return_inverse=True)
    body = {
        "tags": _by_device([tags[index] for index in place[starts].tolist()]),
        "rows": counts.tolist(),
        "t": np.diff(axis, prepend=0).tolist(),
        "at": _distances(points.astype(np.int64), starts).tolist(),
        **_numbers(number, starts, counts),
    }
    if quality.any():
        places = np.flatnonzero(quality)
        body["quality"] = {"at": places.tolist(), "are": quality[places].tolist()}
    if texts:
        body["text"] = {"at": list(texts), "are": list(texts.values())}
    return {"values": body}


def _text(value: str) -> str:
    """Replaces what cannot be encoded (a device may send half a character) and cuts very long texts."""
    return value[:MOST_CHARACTERS].encode(errors="replace").decode()


def _marked(places: Mapping[int, str], length: int) -> NDArray[np.bool_]:
    out = np.zeros(length, np.bool_)
    out[list(places)] = True
    return out


def _by_device(tags: Iterable[str]) -> list[tuple[str, list[str]]]:
    out: list[tuple[str, list[str]]] = []
    for name in tags:
        device, _, tag = name.partition(".")
        if not out or out[-1][0] != device:
            out.append((device, []))
        out[-1][1].append(tag)
    return out


def _distances(column: Int64, starts: Int64) -> Int64:
    """Each tag's first row, then each row's distance from the one before."""
    out = np.diff(column, prepend=0)
    out[starts] = column[starts]
    return out


@np.errstate(over="ignore")  # numbers near the largest double overflow when scaled; they are sent as they are
def _numbers(number: Float64, starts: Int64, counts: Int64) -> dict[str, Any]:
    filled = _filled(number, starts)
    decimals, single = _forms(filled, starts, counts)
    scale = np.repeat(10.0 ** np.maximum(decimals, 0), counts)
    whole = np.rint(np.where(np.abs(filled) * scale < _EXACT, filled * scale, 0.0))
    back = _unscaled(whole, scale, np.repeat(single, counts))
    decimals[~np.logical_and.reduceat(back == filled, starts)] = -1
    v: list[Any] = _distances(whole.astype(np.int64), starts).tolist()
    for row in np.flatnonzero(np.repeat(decimals < 0, counts)).tolist():
        v[row] = float(filled[row])
    out = {"decimals": decimals.tolist(), "v": v}
    return out | {"single": single.astype(int).tolist()} if single.any() else out


def _filled(number: Float64, starts: Int64) -> Float64:
    """The numbers; a row without one repeats the tag's row before it, so that its distance is 0."""
    finite = np.isfinite(number)
    if finite.all():
        return number
    is_first = np.zeros(len(number), np.bool_)
    is_first[starts] = True
    source_row = np.maximum.accumulate(np.where(finite | is_first, np.arange(len(number)), 0))
    return np.where(finite[source_row], number[source_row], 0.0)


def _forms(filled: Float64, starts: Int64, counts: Int64) -> tuple[Int64, NDArray[np.bool_]]:
    """Each tag's number of decimals (-1: sent as they are), and whether its numbers are single-precision floats."""
    needed = _decimals(filled, _DECIMALS, single=False)
    decimals = np.maximum.reduceat(needed, starts)
    single = np.zeros(len(starts), np.bool_)
    is_long = np.repeat(decimals > _DECIMALS, counts)
    if is_long.any():
        exact = filled.astype(np.float32) == filled
        single = (decimals > _DECIMALS) & np.logical_and.reduceat(exact, starts)
        needed[is_long] = _decimals(filled[is_long], _SINGLE_DECIMALS, single=True)
        decimals = np.where(single, np.maximum.reduceat(needed, starts), decimals)
    limit = np.where(single, _SINGLE_DECIMALS, _DECIMALS)
    return np.where(decimals > limit, -1, decimals), single


def _decimals(numbers: Float64, most: int, *, single: bool) -> Int64:
    """The fewest decimals with which each number is exact; most + 1 where `most` decimals are not enough."""
    out = np.full(len(numbers), most + 1, np.int64)
    remaining = np.arange(len(numbers))
    for decimals in range(most + 1):
        scale, values = 10.0**decimals, numbers[remaining]
        fits = np.abs(values) * scale < _EXACT
        fits &= _unscaled(np.rint(np.where(fits, values * scale, 0.0)), scale, single) == values
        out[remaining[fits]] = decimals
        remaining = remaining[~fits]
        if not len(remaining):
            break
    return out


def _unscaled(whole: Float64, scale: Any, single: Any) -> Float64:
    double: Float64 = whole / scale
    if np.any(single):
        double = np.where(single, double.astype(np.float32).astype(np.float64), double)
    return double


# decoding


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


_Count = Annotated[int, Field(ge=0, le=10_000_000)]
_Whole = Annotated[int, Field(ge=-(2**62), le=2**62)]


_MOST: Final = Field(max_length=MOST_ROWS)


class _Places(_Strict):
    at: Annotated[list[_Count], _MOST] = []
    are: Annotated[list[Any], _MOST] = []


class _Body(_Strict):
    tags: Annotated[list[tuple[str, Annotated[list[str], _MOST]]], _MOST]
    rows: Annotated[list[_Count], _MOST]
    t: Annotated[list[_Whole], _MOST]
    at: Annotated[list[_Whole], _MOST]
    decimals: Annotated[list[int], _MOST]
    single: Annotated[list[int], _MOST] = []
    v: Annotated[list[_Whole | float], _MOST]
    quality: _Places = _Places()
    text: _Places = _Places()


class _Content(_Strict):
    values: _Body


def read_values_body(body: Any) -> Values:
    """The rows in the content of a `values` envelope.

    Raises `Unsound` if it is not of that shape, its columns do not fit together, or a time is impossible.
    """
    try:
        checked = _Content.model_validate(body).values
        return _values(checked)
    except ValidationError as error:
        first = error.errors()[0]
        raise Unsound(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (ValueError, IndexError, OverflowError, TypeError) as error:
        raise Unsound(f"unreadable values: {error}") from error


def _values(body: _Body) -> Values:
    names = [f"{device}.{tag}" for device, tags in body.tags for tag in tags]
    counts = np.array(body.rows, np.int64)
    total = int(counts.sum())
    for name, length, needed in (
        ("rows", len(counts), len(names)),
        ("decimals", len(body.decimals), len(names)),
        ("single", len(body.single) or len(names), len(names)),
        ("at", len(body.at), total),
        ("v", len(body.v), total),
    ):
        if length != needed:
            raise Unsound(f"column {name} has {length} entries, {needed} are needed")
    if len(set(names)) != len(names) or not all(body.rows) or not all(map(_Quality.get, body.quality.are)):
        raise Unsound("a tag twice, a tag without rows, or an unknown quality")
    if not total:
        return NO_VALUES
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    quality = np.zeros(total, np.uint8)
    quality[body.quality.at] = body.quality.are
    text = np.full(total, None, object)
    for place, value in zip(body.text.at, body.text.are, strict=True):
        text[place] = str(value)
    number = _read_numbers(body, starts, counts)
    number[(quality >= _NO_VALUE) | np.array([item is not None for item in text])] = np.nan
    text[quality >= _NO_VALUE] = None
    tag = np.empty(len(names), object)
    tag[:] = names
    return Values(np.repeat(tag, counts), _read_times(body, starts), number, text, quality)


_Quality: Final = {int(item): True for item in Quality}


def _read_times(body: _Body, starts: Int64) -> Int64:
    axis = np.cumsum(np.array(body.t, np.int64))
    at = _summed(np.array(body.at, np.int64), starts)
    if at.min() < 0:
        raise Unsound("column at points before the first time")
    t_us = axis[at]
    increases = np.diff(t_us) > 0
    increases[starts[1:] - 1] = True
    if not increases.all() or t_us.min() < 0 or t_us.max() > MOST_MICROSECONDS:
        raise Unsound("times do not increase within a tag, or lie outside 1970 to 2200")
    return t_us * 1000


def _read_numbers(body: _Body, starts: Int64, counts: Int64) -> Float64:
    decimals, single = np.array(body.decimals, np.int64), np.array(body.single or [0] * len(counts), np.bool_)
    if decimals.min() < -1 or decimals.max() > _SINGLE_DECIMALS:
        raise Unsound(f"decimals from {decimals.min()} to {decimals.max()}")
    raw = np.repeat(decimals < 0, counts)
    unscaled = np.array(body.v, np.float64)
    whole = np.array([0 if skip else item for item, skip in zip(body.v, raw.tolist(), strict=True)], np.int64)
    scaled = _unscaled(
        _summed(whole, starts).astype(np.float64),
        np.repeat(10.0 ** np.maximum(decimals, 0), counts),
        np.repeat(single, counts),
    )
    return np.where(raw, unscaled, scaled)


def _summed(distances: Int64, starts: Int64) -> Int64:
    """The inverse of `_distances`: the column from each tag's first row and the distances after it."""
    column: Int64 = np.cumsum(distances)
    offsets = np.concatenate([[0], column])[starts]
    column -= np.repeat(offsets, np.diff(np.append(starts, len(column))))
    return column
