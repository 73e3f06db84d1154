"""Times of recorded files: ISO 8601 with or without an offset, or seconds since 1970."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from oee.model.calendars import to_ns
from oee.model.samples import Int64
from replay.read.conflicts import Conflicts

UNREADABLE: Final = np.iinfo(np.int64).min
_FAR_NS: Final = 9.2e18
_HOUR_NS: Final = 3_600_000_000_000
_DAY_NS: Final = 24 * _HOUR_NS
_UNITS: Final = (("s", 10**11, 10**9), ("ms", 10**14, 10**6), ("us", 10**17, 10**3))
"""Unit of an epoch number, the size below which it is that unit (10^11 s is the year 5138), and its length [ns]."""

Style = Literal["epoch", "naive", "aware"]


class Moment(NamedTuple):
    """A time as written. offset_s: the offset from UTC that was written with it, None where there is none."""

    t_ns: int
    style: Style
    offset_s: int | None = None


def epoch_unit(size: float) -> tuple[str, int]:
    """The unit that an epoch number of this size must have, and its length [ns]."""
    for name, limit, length_ns in _UNITS:
        if abs(size) < limit:
            return name, length_ns
    return "ns", 1


def epoch_ns(values: "np.ndarray[Any, np.dtype[Any]]") -> Int64:
    """Epoch numbers as nanoseconds; the unit follows from the size of the median. Fractions are rounded to microseconds."""
    if not len(values):
        return np.empty(0, np.int64)
    typical = float(np.partition(values, len(values) // 2)[len(values) // 2])
    _, length_ns = epoch_unit(typical if np.isfinite(typical) else 0.0)
    sound = np.abs(values.astype(np.float64)) * length_ns < _FAR_NS
    if values.dtype.kind != "f" and sound.all():
        return values.astype(np.int64, copy=False) * length_ns
    out = np.full(len(values), UNREADABLE, np.int64)
    if values.dtype.kind != "f":
        out[sound] = values[sound].astype(np.int64) * length_ns
        return out
    out[sound] = np.rint(values[sound] * (length_ns / 1000)).astype(np.int64) * 1000
    return out


def parse(text: str, zone: ZoneInfo) -> Moment:
    """One written time; without an offset it is the zone's wall clock. Raises `ValueError`."""
    text = text.strip()
    if text and text[0] in "0123456789-+." and text.lstrip("-+").replace(".", "", 1).replace("e", "", 1).isdigit():
        size = float(text) if "." in text or "e" in text else int(text)
        _, length_ns = epoch_unit(size)
        if abs(size) * length_ns >= _FAR_NS:
            raise ValueError(text)
        t_ns = size * length_ns if isinstance(size, int) else round(size * (length_ns / 1000)) * 1000
        return Moment(int(t_ns), "epoch")
    when = datetime.fromisoformat(text)
    offset = when.utcoffset()
    if offset is None:
        return Moment(to_ns(when.replace(tzinfo=zone)), "naive")
    return Moment(to_ns(when), "aware", int(offset.total_seconds()))


def zone_offset_s(zone: ZoneInfo, t_ns: int) -> int:
    """The zone's offset from UTC at that instant [s]."""
    offset = datetime.fromtimestamp(t_ns // 1_000_000_000, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def from_wall(wall_ns: Int64, zone: ZoneInfo) -> Int64:
    """Wall-clock times (nanoseconds as if they were UTC) as nanoseconds UTC; of an hour that occurs twice the first."""
    if not len(wall_ns):
        return wall_ns
    low, high = int(wall_ns.min()), int(wall_ns.max())
    days = range(low // _DAY_NS, high // _DAY_NS + 2)
    offsets = {_wall_offset_ns(zone, day * _DAY_NS) for day in days}
    if len(offsets) == 1:
        return wall_ns - offsets.pop()
    hours, index = np.unique(wall_ns // (_HOUR_NS // 4), return_inverse=True)
    shift = np.array([_wall_offset_ns(zone, hour * (_HOUR_NS // 4)) for hour in hours.tolist()], np.int64)
    return wall_ns - shift[index]


def _wall_offset_ns(zone: ZoneInfo, wall_ns: int) -> int:
    wall = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=wall_ns // 1000)
    offset = wall.replace(tzinfo=zone).utcoffset()
    return int(offset.total_seconds()) * 1_000_000_000 if offset is not None else 0


def iso(t_ns: int, zone: tzinfo) -> str:
    """An instant as ISO 8601 on the site's clock, to the millisecond where it has any."""
    # `replace` keeps `fold`, the sum of a time and a timedelta does not: the second 02:30 of an autumn night
    when = datetime.fromtimestamp(t_ns // 1_000_000_000, zone).replace(microsecond=t_ns // 1_000_000 % 1000 * 1000)
    return when.isoformat(timespec="milliseconds" if when.microsecond else "seconds")


class TimeStyles:
    """How one file writes its times. Reports once which style was assumed, and a file that mixes styles."""

    def __init__(self, file: str, zone: ZoneInfo, conflicts: Conflicts) -> None:
        self._file, self._zone, self._conflicts = file, zone, conflicts
        self._first: str | None = None

    def naive(self, line: int, text: str) -> None:
        """A time without an offset."""
        self._conflicts.add(self._file, line, "naive_time", "time", text, severity="note", zone=self._zone.key)
        self._check(line, text, "-")

    def aware(self, line: int, text: str, offset_s: int, site_offset_s: int) -> None:
        """A time with an offset. The site's own offset, which may change with the season, is one style."""
        self._check(line, text, "site" if offset_s == site_offset_s else str(offset_s))

    def epoch(self, line: int, text: str, unit: str) -> None:
        """A number; seconds unless its size says otherwise."""
        if unit != "s":
            self._conflicts.add(self._file, line, "epoch_unit", "time", text, severity="note", unit=unit)
        self._check(line, text, f"epoch {unit}")

    def _check(self, line: int, text: str, style: str) -> None:
        if self._first is None:
            self._first = style
        elif style != self._first:
            self._conflicts.add(self._file, line, "mixed_times", "time", text)
