"""Numbers on the fleet's cards, rendered once for all viewers. Queries the store: not for the event loop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo

from markupsafe import Markup

from center.console import windows
from center.console.draw import time_labels
from center.console.draw.kpis import headline
from center.console.fleet import cards as fleet_cards
from center.model.buckets import clock_edges
from center.model.sites import Segments
from center.model.viewer import Viewer
from center.queries.question import Question, zone_of
from center.queries.trend import TrendRow, trend
from center.runtime.state import CenterState
from words import say

_HOUR_KPIS: Final = ("oee",)
_SHIFT_KPIS: Final = (
    "availability",
    "performance",
    "quality",
    "oee",
    "availability_performance",
    "oee_low",
    "oee_high",
    "coverage",
)


@dataclass(frozen=True)
class CardMarkup:
    """Rendered numbers of one card. score: of the current or last shift; hours: the last 24."""

    score: Markup
    hours: Markup


def site_numbers(
    center: CenterState, viewer: Viewer, site: str, machines: tuple[str, ...], lang: str
) -> dict[str, CardMarkup]:
    """The numbers of these machines of one site. Queries the store."""
    zone = zone_of(center, viewer, site)
    now_ns = center.now_ns()
    first_ns = windows.start_of("24h", zone, now_ns)
    edges = [
        (f"{time_labels.local(int(edge), zone):%H:%M}", int(edge))
        for edge in clock_edges("hour", zone, first_ns, now_ns)
    ]
    hours: dict[str, dict[int, TrendRow]] = {}
    question = Question(viewer, site, machines, start_ns=first_ns, bucket="hour", kpis=_HOUR_KPIS)
    for row in trend(center, question)["rows"]:
        hours.setdefault(row["machine"], {})[time_labels.parse_ns(row["start"])] = row
    present = _present_shifts(center, site, machines, zone, now_ns)
    shifts = _shift_rows(center, viewer, site, present, zone, now_ns)
    out: dict[str, CardMarkup] = {}
    for machine in machines:
        shift_row, shift = shifts.get(machine), present[machine]
        label = _shift_label(shift, shift_row, lang) if shift else ""
        drawn = fleet_cards.score(shift_row, label, lang)
        out[machine] = CardMarkup(drawn, fleet_cards.hours(edges, hours.get(machine, {}), lang))
    return out


def _present_shifts(
    center: CenterState, site: str, machines: Sequence[str], zone: ZoneInfo, now_ns: int
) -> dict[str, windows.PresentShift | None]:
    """By machine the current or last shift; computed once for machines that share a calendar."""
    back_ns = windows.day_start_ns(zone, now_ns, windows.SHIFT_BACK_DAYS)
    by_calendar: dict[tuple[tuple[int, int, int], ...], windows.PresentShift | None] = {}
    out = {}
    for machine in machines:
        segments: Segments = center.ledger_cache.sites.segments(site, machine, back_ns, now_ns) or []
        key = tuple((id(calendar), low, high) for calendar, low, high in segments)
        if key not in by_calendar:
            by_calendar[key] = windows.present_shift(segments, zone, now_ns)
        out[machine] = by_calendar[key]
    return out


def _shift_rows(
    center: CenterState,
    viewer: Viewer,
    site: str,
    present: Mapping[str, windows.PresentShift | None],
    zone: ZoneInfo,
    now_ns: int,
) -> dict[str, TrendRow]:
    """Each machine's row of its shift. The store is queried from the earliest of their dates on, usually today."""
    wanted = {machine: shift for machine, shift in present.items() if shift}
    if not wanted:
        return {}
    today_ns = windows.day_start_ns(zone, now_ns, 0)
    first_ns = min(today_ns, *(time_labels.parse_ns(start) for start in {shift.start for shift in wanted.values()}))
    question = Question(viewer, site, tuple(wanted), start_ns=first_ns, bucket="shift", kpis=_SHIFT_KPIS)
    return {
        row["machine"]: row
        for row in trend(center, question)["rows"]
        if (row["start"], row["shift"]) == (wanted[row["machine"]].start, wanted[row["machine"]].name)
    }


def _shift_label(present: windows.PresentShift, row: TrendRow | None, lang: str) -> str:
    shown = headline(row) if row else "oee"
    name = say("console.of_shift", lang, kpi=say(f"console.symbol.{shown}", lang), name=present.name)
    return name if present.on else f"{name} · {time_labels.day(time_labels.parse(present.start), lang)}"
