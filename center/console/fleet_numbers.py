"""What the fleet's cards show besides the live picture. Asks the store; not for the event loop."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from center import queries
from center.buckets import clock_edges
from center.console import clock, windows
from center.state import Center
from center.viewer import Viewer
from words import say

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Numbers:
    """One site's numbers. shifts: of the shift that is on or the last one, by machine; hours: by machine and start."""

    edges: list[tuple[str, int]]
    shifts: dict[str, tuple[Row, str]]
    hours: dict[str, dict[int, Row]]


def site_numbers(center: Center, viewer: Viewer, site: str, machines: tuple[str, ...], lang: str) -> Numbers:
    """What the cards of these machines of one site show besides the live picture. Asks the store; not for the event loop."""
    zone = ZoneInfo(queries.site(center, viewer, site)["timezone"])
    now_ns = center.now_ns()
    first_ns = windows.start_of("24h", zone, now_ns)
    hours: dict[str, dict[int, Row]] = {}
    for row in queries.trend(center, viewer, site, machines, bucket="hour", start_ns=first_ns)["rows"]:
        hours.setdefault(row["machine"], {})[clock.ns(row["start"])] = row
    edges = [(f"{clock.at(int(edge), zone):%H:%M}", int(edge)) for edge in clock_edges("hour", zone, first_ns, now_ns)]
    back_ns = windows.day_start_ns(zone, now_ns, windows.SHIFT_BACK_DAYS)
    by_shift = {
        (row["machine"], row["start"], row["shift"]): row
        for row in queries.trend(center, viewer, site, machines, bucket="shift", start_ns=back_ns)["rows"]
    }
    shifts = {}
    for machine in machines:
        segments = center.memory.sites.segments(site, machine, back_ns, now_ns)
        present = windows.present_shift(segments, zone, now_ns)
        if present and (machine, present.start, present.name) in by_shift:
            label = _shift_label(present, lang)
            shifts[machine] = (by_shift[machine, present.start, present.name], label)
    return Numbers(edges, shifts, hours)


def _shift_label(present: windows.PresentShift, lang: str) -> str:
    name = say("console.oee_of_shift", lang, name=present.name)
    return name if present.on else f"{name} · {clock.day(clock.read(present.start), lang)}"
