"""Times of recorded files: ISO 8601 with or without an offset, seconds since 1970, and what a site file says of others.

A date whose order of day and month is not known is never guessed: `why_unreadable` names what the site file must say.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from typing import Any, Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from config import RecordingModel
from config.site.recordings import EXCEL
from oee.model.calendars import to_ns
from oee.model.facts import HOUR_NS
from oee.model.samples import Int64
from replay.read.conflicts import Conflicts

UNREADABLE: Final = np.iinfo(np.int64).min
_FAR_NS: Final = 9.2e18
_DAY_NS: Final = 24 * HOUR_NS
_UNITS: Final = (("s", 10**11, 10**9), ("ms", 10**14, 10**6), ("us", 10**17, 10**3))
"""Unit of an epoch number, the size below which it is that unit (10^11 s is the year 5138), and its length [ns]."""
EXCEL_SIZES: Final = (30_000, 80_000)
"""Numbers that are days of a spreadsheet (1982 to 2119) rather than seconds since 1970."""
_EXCEL_DAY_0: Final = 25_569
"""1970-01-01 as a spreadsheet counts days."""
_NUMBER: Final = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)(e[-+]?\d+)?", re.IGNORECASE)
_AT: Final = re.compile(
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(:(?P<second>\d\d)([.,:](?P<fraction>\d{1,9}))?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?|SA|CH)?\s*(?P<offset>Z|UTC|[-+]\d\d(:?\d\d)?)?"
)
_DATED: Final = re.compile(r"(?P<date>[^\s:T]+)([\sT]+(?P<at>\S.*))?", re.DOTALL)
_ANY_ORDER: Final = re.compile(r"\d{1,2}([/.-])\d{1,2}\1(\d{4}|\d\d)\b.*", re.DOTALL)
_YEAR_FIRST: Final = re.compile(r"(?P<y>\d{4})([/.-])(?P<m>\d{1,2})\2(?P<d>\d{1,2})")
_OFFSET: Final = re.compile(r"(?:UTC|GMT)?\s*([-+]?)(\d{1,2})(?::?(\d\d))?")

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


def excel_ns(days: "np.ndarray[Any, np.dtype[Any]]") -> Int64:
    """A spreadsheet's numbers of days as nanoseconds of the wall clock, rounded to milliseconds, which is all they hold."""
    ms = (days.astype(np.float64) - _EXCEL_DAY_0) * 86_400_000.0
    sound = np.abs(ms) < _FAR_NS / 1e6
    out = np.full(len(days), UNREADABLE, np.int64)
    out[sound] = np.rint(ms[sound]).astype(np.int64) * 1_000_000
    return out


@dataclass(frozen=True)
class TimeFormat:
    """How one file writes its times. zone: of times without an offset; dates: as the site file says it, "" where it does
    not; is_said: the site file names the zone."""

    zone: ZoneInfo
    dates: str = ""
    is_said: bool = False

    @property
    def is_excel(self) -> bool:
        """Whether times are a spreadsheet's numbers of days."""
        return self.dates == EXCEL

    def parse(self, text: str) -> Moment:
        """One written time. Raises `ValueError`."""
        text = text.strip()
        if _NUMBER.fullmatch(text):
            return self._number(text)
        dated = _DATED.fullmatch(text)
        day = None if dated is None else self._day(dated["date"])
        if dated is None or day is None:
            return self._iso(text)
        if dated["at"] is None:
            return self._moment(day, time(), 0, None)
        at = _AT.fullmatch(dated["at"].strip())
        if at is None:
            return self._iso(text)
        return self._moment(day, time(_hour(at), int(at["minute"])), _second_ns(at), at["offset"])

    def _number(self, text: str) -> Moment:
        if self.is_excel:
            wall_ns = excel_ns(np.array([float(text.replace(",", "."))]))
            if wall_ns[0] == UNREADABLE:
                raise ValueError(text)
            return Moment(int(from_wall(wall_ns, self.zone)[0]), "naive")
        size = int(text) if text.lstrip("-+").isdigit() else float(text)
        _, length_ns = epoch_unit(size)
        if abs(size) * length_ns >= _FAR_NS or EXCEL_SIZES[0] <= size < EXCEL_SIZES[1]:
            raise ValueError(text)
        t_ns = size * length_ns if isinstance(size, int) else round(size * (length_ns / 1000)) * 1000
        return Moment(int(t_ns), "epoch")

    def _day(self, text: str) -> date | None:
        """A date of the declared order, or one that begins with its year; None if it is neither. Raises `ValueError`."""
        declared = _pattern(self.dates).fullmatch(text) if self.dates and not self.is_excel else None
        match = declared or _YEAR_FIRST.fullmatch(text)
        if match is None:
            return None
        year = int(match["y"])
        return date(year + 2000 if len(match["y"]) == 2 else year, int(match["m"]), int(match["d"]))

    def _iso(self, text: str) -> Moment:
        when = datetime.fromisoformat(text)
        offset = when.utcoffset()
        if offset is None:
            return Moment(to_ns(when.replace(tzinfo=self.zone)), "naive")
        return Moment(to_ns(when), "aware", int(offset.total_seconds()))

    def _moment(self, day: date, minute: time, more_ns: int, offset: str | None) -> Moment:
        if offset is None:
            return Moment(to_ns(datetime.combine(day, minute, self.zone)) + more_ns, "naive")
        offset_s = offset_seconds(offset)
        t_ns = to_ns(datetime.combine(day, minute, UTC)) - offset_s * 1_000_000_000 + more_ns
        return Moment(t_ns, "aware", offset_s)

    def why_unreadable(self, text: str) -> str:
        """The conflict's code for a time that `parse` refuses."""
        text = text.strip()
        if not self.dates and _ANY_ORDER.fullmatch(text):
            return "date_order"
        if _NUMBER.fullmatch(text) and EXCEL_SIZES[0] <= float(text.replace(",", ".")) < EXCEL_SIZES[1]:
            return "excel_date"
        return "no_time"


def time_format(recording: RecordingModel, zone: ZoneInfo) -> TimeFormat:
    """How the file of a device writes its times. zone: the site's."""
    said = recording.timezone
    return TimeFormat(ZoneInfo(said) if said else zone, recording.dates, is_said=bool(said))


def parse(text: str, zone: ZoneInfo) -> Moment:
    """One written time of a file about which the site file says nothing. Raises `ValueError`."""
    return TimeFormat(zone).parse(text)


def joined(day: str, clock: str, offset: str) -> str:
    """The parts of a time that stand in several cells as one text. A complete time needs no date beside it."""
    day, clock, offset = day.strip(), clock.strip(), offset.strip()
    if day and _AT.fullmatch(clock):
        clock = f"{day} {clock}"
    elif _NUMBER.fullmatch(day) and _NUMBER.fullmatch(clock) and abs(float(clock.replace(",", "."))) < 1:
        clock = str(float(day.replace(",", ".")) + float(clock.replace(",", ".")))
    elif day and not clock:
        clock = day
    if not offset or _NUMBER.fullmatch(clock):
        return clock
    seconds = abs(offset_s := offset_seconds(offset))
    return f"{clock}{'-' if offset_s < 0 else '+'}{seconds // 3600:02}:{seconds // 60 % 60:02}"


def offset_seconds(text: str) -> int:
    """An offset from UTC: `+07:00`, `+0700`, `7`, `UTC+7`, `Z` [s]. Raises `ValueError`."""
    if text.strip().upper() in ("Z", "UTC", "GMT"):
        return 0
    match = _OFFSET.fullmatch(text.strip().upper())
    if match is None or int(match[2]) > 14 or int(match[3] or 0) > 59:
        raise ValueError(text)
    return (int(match[2]) * 3600 + int(match[3] or 0) * 60) * (-1 if match[1] == "-" else 1)


def _hour(at: "re.Match[str]") -> int:
    hour, half = int(at["hour"]), (at["half"] or "").replace(".", "").upper()
    if half and not 1 <= hour <= 12:
        raise ValueError(at[0])
    return hour if not half else hour % 12 + (12 if half in ("PM", "CH") else 0)


def _second_ns(at: "re.Match[str]") -> int:
    second = int(at["second"] or 0)
    if second > 59:
        raise ValueError(at[0])
    return second * 1_000_000_000 + int((at["fraction"] or "0").ljust(9, "0"))


@cache
def _pattern(dates: str) -> "re.Pattern[str]":
    parts = {"dd": r"(?P<d>\d{1,2})", "mm": r"(?P<m>\d{1,2})", "yyyy": r"(?P<y>\d{4})", "yy": r"(?P<y>\d\d)"}
    return re.compile(re.sub("yyyy|yy|mm|dd|[/.-]", lambda item: parts.get(item[0], re.escape(item[0])), dates))


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
    hours, index = np.unique(wall_ns // (HOUR_NS // 4), return_inverse=True)
    shift = np.array([_wall_offset_ns(zone, hour * (HOUR_NS // 4)) for hour in hours.tolist()], np.int64)
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

    def __init__(self, file: str, form: TimeFormat, conflicts: Conflicts) -> None:
        self._file, self.form, self._conflicts = file, form, conflicts
        self._first: str | None = None

    def moment(self, line: int, text: str, moment: Moment) -> None:
        """Any time that could be read."""
        if moment.style == "epoch":
            self.epoch(line, text, epoch_unit(float(text))[0])
        elif moment.offset_s is None:
            self.naive(line, text)
        else:
            self.aware(line, text, moment.offset_s, zone_offset_s(self.form.zone, moment.t_ns))

    def naive(self, line: int, text: str) -> None:
        """A time without an offset."""
        if not self.form.is_said:
            zone = self.form.zone.key
            self._conflicts.add(self._file, line, "naive_time", "time", text, severity="note", zone=zone)
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
