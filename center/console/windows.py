"""The window of time that a page shows. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from center.model.buckets import HOUR_NS, clock_edges, date_start_ns
from center.model.sites import Segments
from center.model.times import iso
from oee.model.calendars import cut, local_date
from oee.model.facts import MINUTE_NS, NO_SHIFT

RANGES: Final = ("today", "24h", "7d", "30d")
BUCKETS: Final = ("hour", "shift", "day", "week")
_FITTING: Final = {
    "today": ("hour", "shift"),
    "24h": ("hour", "shift"),
    "7d": ("shift", "hour", "day"),
    "30d": ("day", "shift", "week"),
}
_DAYS: Final = {"today": 0, "7d": 6, "30d": 29}
SHIFT_BACK_DAYS: Final = 4
"""How far back to search for the last shift: a weekend and an adjacent holiday."""


@dataclass(frozen=True)
class View:
    """The selection of a machine's page: a range and a bucket that fits it."""

    span: str
    bucket: str


def view(span: str, bucket: str) -> View:
    """Range and bucket from a URL; unknown or unfitting ones are replaced by the defaults."""
    valid_span = span if span in RANGES else "24h"
    return View(valid_span, bucket if bucket in _FITTING[valid_span] else _FITTING[valid_span][0])


def fitting(span: str) -> Sequence[str]:
    """The buckets that a range can be cut into."""
    return _FITTING[span]


def start_of(span: str, zone: ZoneInfo, now_ns: int) -> int:
    """Start of a range: whole days, except the last 24 hours, which begin on an hour."""
    if span == "24h":
        return int(clock_edges("hour", zone, now_ns - 23 * HOUR_NS, now_ns)[0])
    return day_start_ns(zone, now_ns, _DAYS[span])


def day_start_ns(zone: ZoneInfo, now_ns: int, days_back: int) -> int:
    """Local midnight of today or some days before. Just after midnight, while no minute of the new day is complete, the
    previous day still counts as today.
    """
    today = local_date(zone, now_ns - 2 * MINUTE_NS)
    return date_start_ns(zone, today.toordinal() - _EPOCH_ORDINAL - days_back)


_EPOCH_ORDINAL: Final = 719_163  # date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class PresentShift:
    """The current shift, or the last one. start: local midnight of its business date, as answers contain it; on: whether it
    is the current one.
    """

    name: str
    start: str
    on: bool


def present_shift(segments: Segments | None, zone: ZoneInfo, now_ns: int) -> PresentShift | None:
    """The last shift that had begun by now; None without a calendar, or without a shift in the last days."""
    latest = None
    for calendar, start_ns, end_ns in segments or ():
        spans = cut(calendar, start_ns, min(end_ns, now_ns))
        for index in range(len(spans.start_ns)):
            if spans.shift[index] != NO_SHIFT:
                begin = date_start_ns(zone, int(spans.business_date[index]))
                on = int(spans.end_ns[index]) == now_ns
                latest = PresentShift(str(spans.shift[index]), iso(begin, zone), on)
    return latest
