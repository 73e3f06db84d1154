"""Cleaning: blocks of recorded rows become changes in order of time.

Rows that do not go on in time are left out and reported:

    one row ahead of its neighbours      left out itself (a glitch of the recorder's clock)
    rows earlier than the latest one     left out until time goes on (the clock was set back)
    several rows of one time             one row, the last value of each tag
    rows whose time cannot be read       left out

For a counter the row before each change is kept too: it says when the counter was last polled, and so how much it can
have counted since. A counter that the file does not have may be counted here from the changes of a state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from oee.model.samples import Int64, Samples, Series, UInt8, Values
from replay.read.cells import Cells
from replay.read.conflicts import Conflicts
from replay.read.times import UNREADABLE, iso

_EARLIEST_NS: Final = 946_684_800_000_000_000  # 2000: a clock before it was never set
_LATEST_NS: Final = 4_102_444_800_000_000_000  # 2100


@dataclass(frozen=True)
class Raw:
    """Rows as recorded. t_ns: `UNREADABLE` where a time could not be read (reported by the reader); lines: of each row;
    where None, the rows stand in consecutive lines from `line` on.
    """

    t_ns: Int64
    cells: dict[str, Cells]
    line: int
    lines: Int64 | None = None

    def line_of(self, row: int) -> int:
        """Where the row stands in its file."""
        return self.line + row if self.lines is None else int(self.lines[row])


@dataclass(frozen=True)
class Chunk:
    """Changes of a file's tags, and the times of the first and the last row that they were taken from."""

    samples: Samples
    first_ns: int
    last_ns: int


@dataclass(frozen=True)
class _Rows:
    """One tag's usable rows. quality: None where all are good."""

    t_ns: Int64
    value: Values
    quality: UInt8 | None


class Cleaner:
    """Cleans the blocks of one file in order; keeps the last row of each tag between them."""

    def __init__(
        self,
        file: str,
        zone: ZoneInfo,
        conflicts: Conflicts,
        counters: frozenset[str] = frozenset(),
        counts: Mapping[str, str] | None = None,
    ) -> None:
        """counters: tags that count; counts: those of them that the file does not have, and the tag whose changes from 0
        each counts."""
        self.file = file
        self._counters = counters
        self._counts = counts or {}
        self._counted: dict[str, tuple[bool, int]] = {}
        self._zone = zone
        self._conflicts = conflicts
        self._last_ns = UNREADABLE
        self._last: dict[str, tuple[Any, int]] = {}

    def clean(self, raw: Raw) -> Chunk | None:
        """The block's changes; None where no row of it is sound."""
        t_ns = raw.t_ns
        if not len(t_ns):
            return None
        keep = None if self._in_order(t_ns) else self._sound(raw)
        if keep is not None:
            t_ns = t_ns[keep]
            if not len(t_ns):
                return None
        first_ns, self._last_ns = int(t_ns[0]), int(t_ns[-1])
        rows = {tag: _usable(t_ns, cells, keep) for tag, cells in raw.cells.items()}
        rows |= {tag: self._count(tag, rows[counted]) for tag, counted in self._counts.items() if counted in rows}
        return Chunk({tag: self._changes(tag, item) for tag, item in rows.items()}, first_ns, self._last_ns)

    def _in_order(self, t_ns: Int64) -> bool:
        if t_ns[0] <= self._last_ns or t_ns[0] < _EARLIEST_NS or t_ns[-1] >= _LATEST_NS:
            return False
        return bool((t_ns[1:] > t_ns[:-1]).all())

    def _sound(self, raw: Raw) -> NDArray[np.bool_]:
        """Which rows can be used; reports those that cannot."""
        t_ns = raw.t_ns
        keep = t_ns != UNREADABLE
        odd = keep & ((t_ns < _EARLIEST_NS) | (t_ns >= _LATEST_NS))
        self._report(raw, odd, "time_out_of_range")
        keep &= ~odd
        rows = np.flatnonzero(keep)
        times = np.concatenate([[self._last_ns], t_ns[rows], [_LATEST_NS]])
        ahead = (times[1:-1] > times[2:]) & (times[2:] > times[:-2]) & (times[1:-1] > times[:-2])
        self._report(raw, _at(rows[ahead], len(t_ns)), "clock_ahead")
        rows = rows[~ahead]
        latest = np.maximum.accumulate(np.concatenate([[self._last_ns], t_ns[rows]]))[:-1]
        self._report(raw, _at(rows[t_ns[rows] < latest], len(t_ns)), "clock_back")
        self._report(raw, _at(rows[t_ns[rows] == latest], len(t_ns)), "duplicate_time")
        return _at(rows[t_ns[rows] >= latest], len(t_ns))

    def _report(self, raw: Raw, which: NDArray[np.bool_], code: str) -> None:
        rows = np.flatnonzero(which)
        if len(rows):
            row = int(rows[0])
            when = iso(int(raw.t_ns[row]), self._zone)
            self._conflicts.add(self.file, raw.line_of(row), code, "time", when, count=len(rows))

    def _count(self, tag: str, rows: _Rows) -> _Rows:
        """How often the state has changed from 0 to anything else, at each of its rows; what is not good changes nothing."""
        was_on, count = self._counted.get(tag, (True, 0))
        on = rows.value.astype(np.bool_) if rows.value.dtype != object else np.zeros(len(rows.value), np.bool_)
        good = np.flatnonzero(rows.quality == 0) if rows.quality is not None else np.arange(len(on))
        rising = np.zeros(len(on), np.int64)
        rising[good] = on[good] & ~np.append(was_on, on[good][:-1])[: len(good)]
        value = count + np.cumsum(rising)
        if len(good):
            self._counted[tag] = (bool(on[good[-1]]), int(value[-1]))
        return _Rows(rows.t_ns, value, rows.quality)

    def _changes(self, tag: str, rows: _Rows) -> Series:
        """Rows that differ from the row before them."""
        t_ns, value, quality = rows.t_ns, rows.value, rows.quality
        if not len(t_ns):
            return Series(t_ns, value, np.zeros(0, np.uint8))
        differs = np.empty(len(t_ns), np.bool_)
        np.not_equal(value[1:], value[:-1], out=differs[1:]) if value.dtype != object else _objects(value, differs)
        if quality is not None:
            differs[1:] |= quality[1:] != quality[:-1]
        differs[0] = self._last.get(tag) != (_plain(value[0]), 0 if quality is None else int(quality[0]))
        self._last[tag] = (_plain(value[-1]), 0 if quality is None else int(quality[-1]))
        if tag in self._counters:
            differs[:-1] |= differs[1:]
            differs[-1] = True
        changed = np.flatnonzero(differs)
        good = np.zeros(len(changed), np.uint8) if quality is None else quality[changed]
        chosen = value[changed]
        if chosen.dtype.kind in "iu" and chosen.dtype != np.int64:
            chosen = chosen.astype(np.int64)
        return Series(t_ns[changed], chosen, good)


def _usable(t_ns: Int64, cells: Cells, keep: NDArray[np.bool_] | None) -> _Rows:
    """The rows of a column that are not empty, without those to be left out; of one time the last."""
    value, quality, present = cells.value, cells.quality, cells.present
    if keep is not None:
        value, quality = value[keep], None if quality is None else quality[keep]
        present = None if present is None else present[keep]
    if present is not None:
        t_ns, value, quality = t_ns[present], value[present], None if quality is None else quality[present]
    if keep is not None and len(t_ns):
        last = np.append(t_ns[1:] != t_ns[:-1], True)
        t_ns, value, quality = t_ns[last], value[last], None if quality is None else quality[last]
    return _Rows(t_ns, value, quality)


def _objects(value: NDArray[Any], out: NDArray[np.bool_]) -> None:
    out[1:] = (value[1:] != value[:-1]).astype(np.bool_)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _at(rows: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
    out = np.zeros(length, np.bool_)
    out[rows] = True
    return out
