"""Samples: register values over time. Pure.

A tag's samples are *changes*: each row says that from `t_ns` on the value was `value` with `quality`. A row is not
repeated while the value stays. The end of confirmation is a row as well (quality GAP), so an absent row always means
"as before", never "not polled".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oee.model.states import Quality

Int64 = NDArray[np.int64]
UInt8 = NDArray[np.uint8]
Values = NDArray[Any]  # float64, int64, bool, or object holding str


@dataclass(frozen=True)
class Series:
    """One tag over time.

    t_ns: int64[n], strictly increasing, gateway time [ns UTC].
    value: [n], float64, int64, bool or str objects; meaningless where not good.
    quality: uint8[n], `Quality`.
    """

    t_ns: Int64
    value: Values
    quality: UInt8

    def __len__(self) -> int:
        return len(self.t_ns)


Samples = Mapping[str, Series]
"""Tag name (`device.tag`) to its series. Tags polled together may share one `t_ns`."""


def series(rows: Iterable[tuple[int, Any, Quality]]) -> Series:
    """Rows `(t_ns, value, quality)` in time order as a `Series`; of equal times the last wins."""
    by_time = {t_ns: (value, quality) for t_ns, value, quality in rows}
    values = [value for value, _ in by_time.values()]
    return Series(
        np.fromiter(by_time, np.int64, len(by_time)),
        column(values),
        np.fromiter((quality for _, quality in by_time.values()), np.uint8, len(by_time)),
    )


def column(values: list[Any]) -> Values:
    """A list of Python values as the narrowest column that holds them; None becomes NaN or ''."""
    if any(isinstance(value, str) for value in values):
        out = np.empty(len(values), object)
        out[:] = ["" if value is None else str(value) for value in values]
        return out
    if values and all(isinstance(value, bool) for value in values):
        return np.array(values, np.bool_)
    if values and all(isinstance(value, int) for value in values):
        return np.array(values, np.int64 if max(values) < 2**63 else np.float64)
    return np.array([np.nan if value is None else float(value) for value in values], np.float64)


EMPTY = Series(np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.uint8))


def concat(parts: Iterable[Series]) -> Series:
    """Series laid end to end in time order; a row at an earlier or equal time than the
    last one before it replaces that row.
    """
    filled = [part for part in parts if len(part)]
    if not filled:
        return EMPTY
    if len(filled) == 1:
        return filled[0]
    t_ns = np.concatenate([part.t_ns for part in filled])
    kinds = {part.value.dtype for part in filled}
    if len(kinds) > 1 and any(kind.kind == "O" for kind in kinds):
        value = np.concatenate([part.value.astype(object) for part in filled])
    else:
        value = np.concatenate([part.value for part in filled])
    quality = np.concatenate([part.quality for part in filled])
    if np.all(t_ns[1:] > t_ns[:-1]):
        return Series(t_ns, value, quality)
    order = np.argsort(t_ns, kind="stable")
    t_ns = t_ns[order]
    last = np.append(t_ns[1:] != t_ns[:-1], True)
    return Series(t_ns[last], value[order][last], quality[order][last])


def between(whole: Series, start_ns: int, end_ns: int) -> Series:
    """The rows with `start_ns <= t_ns < end_ns`."""
    low, high = np.searchsorted(whole.t_ns, [start_ns, end_ns])
    return Series(whole.t_ns[low:high], whole.value[low:high], whole.quality[low:high])


def latest_at(edges: Int64, t_ns: Int64) -> Int64:
    """Index of the last edge at or before each time, -1 before the first; the edges ascend.

    Where the times ascend too and are no fewer than the edges, the edges are searched in the times and counted: a binary
    search for each of many times costs many times as much.
    """
    if len(t_ns) < len(edges) or (t_ns[1:] < t_ns[:-1]).any():
        return np.searchsorted(edges, t_ns, "right") - 1
    at = np.searchsorted(t_ns, edges)
    return np.bincount(at, minlength=len(t_ns) + 1)[: len(t_ns)].cumsum() - 1


def merged(axes: Sequence[Int64]) -> Int64:
    """All times of several ascending axes in order, each once. The sort finds the runs and merges them.

    Not `numpy.unique`: it is slower, and loads the masked arrays, which cost a gateway 1.4 MB.
    """
    times = np.concatenate(axes)
    times.sort(kind="stable")
    if len(times) < 2:
        return times
    fresh = np.empty(len(times), np.bool_)
    fresh[0] = True
    np.not_equal(times[1:], times[:-1], out=fresh[1:])
    return times if fresh.all() else times[fresh]
