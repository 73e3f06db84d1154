"""Targets at the center: those of the site files and those that were set here, and what they come to in a cell of time. Pure.

`oee.kpi.targets` decides which counts; this module knows which planned time each is about.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, tzinfo
from typing import Final, NamedTuple

import numpy as np

from center.model.buckets import BY_DATE, Bucket, clock_edges, date_start_ns, first_date
from center.model.sites import LineSpan, Segments, Sites, line_at
from oee.kpi.targets import KINDS, RATIOS, Slice, Target
from oee.model.calendars import Calendar, cut
from oee.model.facts import MS_NS
from oee.model.states import CalendarClass

_EPOCH: Final = date(1970, 1, 1).toordinal()
_AROUND_NS: Final = 2 * 86_400_000_000_000
"""A shift that a segment cuts begins and ends no further away."""
MOST: Final = {"pieces": 1e9, "takt_s": 31_536_000.0} | dict.fromkeys(RATIOS, 1.0)
"""The largest value of each kind."""


@dataclass(frozen=True)
class SaidTarget:
    """A target that somebody at the center set: one kind at one place. since: None for always; value: see
    `oee.kpi.targets`; by: the account; at_ns: when [ns UTC].
    """

    site: str
    line: str
    machine: str
    product: str
    since: date | None
    kind: str
    value: float
    by: str
    at_ns: int

    @property
    def target(self) -> Target:
        """As the domain has it."""
        return Target({self.kind: self.value}, self.line, self.machine, self.product, self.since, "center")


def is_possible(kind: str, value: float) -> bool:
    """Whether a target of this kind may have this value."""
    return kind in KINDS and math.isfinite(value) and 0 < value <= MOST[kind]


def site_targets(sites: Sites, site: str, machine: str) -> list[Target]:
    """The targets of the site file of the machine's gateway, the newest one; values that cannot be are left out."""
    body = sites.body_of(site, machine)
    return [
        Target(values, item.line, item.machine, item.product, item.since)
        for item in (body.targets if body else ())
        if (values := {kind: value for kind, value in item.values.items() if is_possible(kind, value)})
    ]


def all_targets(sites: Sites, site: str, machine: str, said: Iterable[SaidTarget]) -> list[Target]:
    """Every target that may be about the machine, of both sources."""
    found = [*site_targets(sites, site, machine), *(item.target for item in said if item.site == site)]
    return [item for item in found if item.machine in ("", machine)]


class PlannedPart(NamedTuple):
    """Planned time of one machine in a bucket, of one shift of one business date. ms: [ms]; shift_share: which part of that
    shift's planned time it is [1].
    """

    start_ns: int
    day: date
    shift: str
    ms: int
    shift_share: float


def planned_parts(bucket: Bucket, segments: Segments, window: tuple[int, int]) -> list[PlannedPart]:
    """The planned time in `[window)` by bucket, business date and shift; buckets begin where the store's do."""
    parts: dict[tuple[int, int, str], tuple[int, float]] = {}
    for calendar, low_ns, high_ns in segments:
        low_ns, high_ns = max(low_ns, window[0]), min(high_ns, window[1])  # noqa: PLW2901
        if low_ns >= high_ns:
            continue
        edges = None if bucket in BY_DATE else clock_edges(bucket, calendar.zone, *window).tolist()
        spans = cut(calendar, low_ns - _AROUND_NS, high_ns + _AROUND_NS)
        rows = np.flatnonzero(spans.calendar == CalendarClass.SCHEDULED).tolist()
        whole: dict[tuple[int, str], int] = {}
        inside: dict[tuple[int, int, str], int] = {}
        for row in rows:
            start_ns, end_ns = int(spans.start_ns[row]), int(spans.end_ns[row])
            day, shift = int(spans.business_date[row]), str(spans.shift[row])
            whole[day, shift] = whole.get((day, shift), 0) + _ms(start_ns, end_ns)
            begin_ns, stop_ns = max(start_ns, low_ns), min(end_ns, high_ns)
            if begin_ns < stop_ns:
                for at_ns, piece_ns, until_ns in _pieces(bucket, calendar, edges, day, begin_ns, stop_ns):
                    key = (at_ns, day, shift)
                    inside[key] = inside.get(key, 0) + _ms(piece_ns, until_ns)
        for (at_ns, day, shift), ms in inside.items():
            before_ms, before = parts.get((at_ns, day, shift), (0, 0.0))
            parts[at_ns, day, shift] = before_ms + ms, before + ms / whole[day, shift]
    return [
        PlannedPart(at_ns, date.fromordinal(_EPOCH + day), shift, ms, share)
        for (at_ns, day, shift), (ms, share) in sorted(parts.items())
        if ms > 0
    ]


def _ms(start_ns: int, end_ns: int) -> int:
    return end_ns // MS_NS - start_ns // MS_NS


def _pieces(
    bucket: Bucket, calendar: Calendar, edges: Sequence[int] | None, day: int, start_ns: int, end_ns: int
) -> list[tuple[int, int, int]]:
    """A stretch of one business date by bucket: the bucket's start, and the stretch in it."""
    if edges is not None:
        return _cut_at(edges, start_ns, end_ns)
    first = int(first_date(bucket, np.array([day], np.int64))[0])
    return [(date_start_ns(calendar.zone, first), start_ns, end_ns)]


def _cut_at(edges: Sequence[int], start_ns: int, end_ns: int) -> list[tuple[int, int, int]]:
    """The pieces of `[start_ns, end_ns)` between ascending edges, each with the edge at which its bucket begins."""
    index = bisect_right(edges, start_ns) - 1
    out = []
    while start_ns < end_ns:
        until_ns = min(edges[index + 1] if index + 1 < len(edges) else end_ns, end_ns)
        out.append((edges[index], start_ns, until_ns))
        start_ns, index = until_ns, index + 1
    return out


def slices_of(
    machine: str,
    parts: Iterable[PlannedPart],
    lines: Sequence[LineSpan],
    zone: tzinfo,
    product_ms: Mapping[str, float],
) -> list[Slice]:
    """The parts as the domain wants them. lines: of the machine, each day has the line of its local midnight; product_ms:
    known time by product [ms], {} where targets do not depend on products: unknown time is divided as the known.
    """
    known_ms = sum(product_ms.values())
    shares = {product: ms / known_ms for product, ms in product_ms.items() if ms > 0} if known_ms > 0 else {"": 1.0}
    out = []
    for part in parts:
        span = line_at(lines, date_start_ns(zone, part.day.toordinal() - _EPOCH))
        line = span.line if span else ""
        for product, share in shares.items():
            out.append(Slice(line, machine, product, part.day, part.ms * share, part.shift_share * share))
    return out
