"""Buckets of time: local clock hours, and business dates, weeks and months. Pure.

Hours are local clock hours. Where the zone's offset changes, a bucket ends at the change, so that no minute belongs to
two. Days, weeks (ISO, from Monday) and months follow business dates, which are numbers of days
since 1970-01-01; such a bucket starts at the local midnight of its first date, whenever its first shift starts.
"""

from datetime import date, datetime, timedelta, tzinfo
from typing import Final, Literal

import numpy as np

from oee.model.calendars import to_ns
from oee.model.facts import HOUR_NS, MINUTE_NS, Int64

Bucket = Literal["minute", "hour", "shift", "day", "week", "month", "all"]
_EPOCH: Final = date(1970, 1, 1)
_DAY_NS: Final = 24 * HOUR_NS
BY_DATE: Final[tuple[Bucket, ...]] = ("shift", "day", "week", "month")


def offset_ns(zone: tzinfo, t_ns: int) -> int:
    """How far local time is ahead of UTC at that instant."""
    offset = datetime.fromtimestamp(t_ns // 1_000_000_000, zone).utcoffset()
    return int(offset.total_seconds()) * 1_000_000_000 if offset else 0


def offsets(zone: tzinfo, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
    """The offsets in force within the window: `(from_ns, offset_ns)`, the first from `start_ns` on."""
    out = [(start_ns, offset_ns(zone, start_ns))]
    position = start_ns
    while position < end_ns:
        ahead = min(position + _DAY_NS, end_ns)
        low, high = position, ahead
        if offset_ns(zone, ahead) != out[-1][1]:
            while high - low > 1_000_000_000:
                middle = (low + high) // 2
                low, high = (middle, high) if offset_ns(zone, middle) == out[-1][1] else (low, middle)
            change = high // 1_000_000_000 * 1_000_000_000
            out.append((change, offset_ns(zone, change)))
        position = ahead
    return out


def clock_edges(bucket: Bucket, zone: tzinfo, start_ns: int, end_ns: int) -> Int64:
    """The starts of the buckets that touch the window, ascending; the first may lie before it."""
    if bucket == "all":
        return np.array([start_ns], np.int64)
    if bucket == "minute":
        return np.arange(start_ns // MINUTE_NS * MINUTE_NS, end_ns, MINUTE_NS, dtype=np.int64)
    pieces = offsets(zone, start_ns, end_ns)
    ends = [*(from_ns for from_ns, _ in pieces[1:]), end_ns]
    edges = []
    for index, ((from_ns, ahead), until_ns) in enumerate(zip(pieces, ends, strict=True)):
        first = from_ns - (from_ns + ahead) % HOUR_NS
        steps = np.arange(first, until_ns, HOUR_NS, dtype=np.int64)
        edges.append(np.maximum(steps, from_ns) if index else steps)
    return np.unique(np.concatenate(edges))


def first_date(bucket: Bucket, dates: Int64) -> Int64:
    """The first date of each date's bucket: itself, its Monday, or the first of its month."""
    if bucket == "week":
        return dates - (dates + 3) % 7  # 1970-01-01 was a Thursday
    if bucket == "month":
        months = dates.astype("datetime64[D]").astype("datetime64[M]")
        firsts: Int64 = months.astype("datetime64[D]").astype(np.int64)
        return firsts
    return dates


def date_start_ns(zone: tzinfo, number: int) -> int:
    """Local midnight of a business date."""
    return to_ns(datetime.combine(date_of(number), datetime.min.time(), zone))


def date_of(number: int) -> date:
    """The date of a number of days since 1970-01-01."""
    return _EPOCH + timedelta(days=number)
