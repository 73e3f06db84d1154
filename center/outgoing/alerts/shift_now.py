"""The shift in which each machine is now. Computed once for machines that share a calendar."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from center.console.windows import shifts_until
from center.model.sites import Segments
from center.runtime.state import CenterState
from oee.model.calendars import cut
from oee.model.states import CalendarClass

_AROUND_NS: Final = 36 * 3_600_000_000_000


@dataclass(frozen=True)
class ShiftNow:
    """A shift that is on. date: number of its business date (days since 1970); start_ns, end_ns: with its breaks [ns UTC];
    in_break: whether it is interrupted now.
    """

    date: int
    name: str
    start_ns: int
    end_ns: int
    in_break: bool

    def part(self, now_ns: int) -> float:
        """Which part of it is over [1]."""
        return (now_ns - self.start_ns) / max(self.end_ns - self.start_ns, 1)


def shifts_now(center: CenterState, site: str, machines: Sequence[str], now_ns: int) -> dict[str, ShiftNow | None]:
    """By machine the shift that is on; None outside of all. A machine without a known calendar is left out."""
    found: dict[tuple[tuple[int, int, int], ...], ShiftNow | None] = {}
    out = {}
    for machine in machines:
        segments = center.ledger_cache.sites.segments(site, machine, now_ns - _AROUND_NS, now_ns + _AROUND_NS)
        if segments is None:
            continue
        key = tuple((id(calendar), low, high) for calendar, low, high in segments)
        if key not in found:
            found[key] = _shift_at(segments, now_ns)
        out[machine] = found[key]
    return out


def _shift_at(segments: Segments, now_ns: int) -> ShiftNow | None:
    on = [row for row in shifts_until(segments, now_ns) if now_ns < row[1]]
    here = next((calendar for calendar, low, high in segments if low <= now_ns < high), None)
    if not on or here is None:
        return None
    start_ns, end_ns, date, name = on[-1]
    return ShiftNow(date, name, start_ns, end_ns, int(cut(here, now_ns, now_ns + 1).calendar[0]) == CalendarClass.BREAK)
