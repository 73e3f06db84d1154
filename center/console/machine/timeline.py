"""A machine's time as strips, one a day: its states, unknown time, and unscheduled time. Pure.

Drawn in layers: running wherever there are facts, over it every stop at its full length, over both the time without any
facts (hatched where it was scheduled, empty elsewhere). Unscheduled time (breaks, outside shifts) is grey unless the
machine ran, which shows faded. Facts are by hour here, so the edges of a gap are exact only if the gap begins or ends
once within an hour.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from markupsafe import Markup, escape

from center.console.draw import time_labels
from center.console.draw.markup import el
from center.console.draw.names import reason_name
from center.console.machine.stop_filter import pick, within
from center.model.buckets import clock_edges
from center.model.sites import Segments
from oee.model.calendars import cut, to_ns
from oee.model.facts import HOUR_NS, MS_NS, Stop
from oee.model.states import CalendarClass, State
from words import duration, say

Row = Mapping[str, Any]
Span = tuple[int, int]
Unwanted = tuple[int, int, str]
"""Start and end [ns], and why: `break` or `outside`."""
_SLACK_MS: Final = 120_000
"""Facts of the last minutes may still be in transit; less than this missing in an hour is no gap."""
_TICKS: Final = 4
_SHORTEST_MS: Final = 60_000
"""In a drawing of several days shorter stops would be less than a pixel wide and are left out."""
_DETAILED: Final = 2
MOST_STOPS: Final = 2_000
"""So many are drawn, the longest: more would be less than a pixel apart, and the page as large as a picture."""


@dataclass(frozen=True)
class Strip:
    """One row of the drawing; name: what it is called where no label stands beside it."""

    label: str
    start_ns: int
    end_ns: int
    ticks: tuple[str, ...]
    name: str = ""


class HourKnown(NamedTuple):
    """What is known of an hour in one class of the calendar [ms]."""

    start_ns: int
    calendar: str
    known_ms: int
    running_ms: int


@dataclass(frozen=True)
class TimelineData:
    """A machine's window [ns]. known_ns: when the center first knew of the machine, its start at the earliest; ran, silent, scheduled, unwanted: disjoint spans; stops: by start."""

    start_ns: int
    end_ns: int
    zone: ZoneInfo
    ran: Sequence[Span]
    silent: Sequence[Span]
    scheduled: Sequence[Span]
    unwanted: Sequence[Unwanted]
    stops: Sequence[Stop]
    known_ns: int


def timeline_data(
    window: Span, zone: ZoneInfo, segments: Segments | None, hours: Iterable[HourKnown], stops: Sequence[Stop]
) -> TimelineData:
    """hours: of this machine; stops: those in the window that are to be drawn, by start."""
    scheduled, unwanted = _calendar(segments, window)
    off = [(low, high) for low, high, _ in unwanted]
    known_ms: dict[int, int] = {}
    ran_off: set[int] = set()
    for hour in hours:
        known_ms[hour.start_ns] = known_ms.get(hour.start_ns, 0) + hour.known_ms
        if hour.calendar != CalendarClass.SCHEDULED.word and hour.running_ms > 0:
            ran_off.add(hour.start_ns)
    edges = clock_edges("hour", zone, *window).tolist()
    hours_off = [(edge, edge + HOUR_NS) for edge in edges if edge in ran_off]
    ran = [*scheduled, *(part for span in hours_off for part in _within(off, span))]
    known_ns = known_since(segments, window)
    return TimelineData(
        *window, zone, ran, _gaps(edges, window, known_ms, known_ns), scheduled, unwanted, stops, known_ns
    )


def known_since(segments: Segments | None, window: Span) -> int:
    """When the center first knew the machine's calendar [ns], the window's start at the earliest."""
    if segments is None:
        return window[0]
    return min(max(min((start_ns for _, start_ns, _ in segments), default=window[1]), window[0]), window[1])


def _calendar(segments: Segments | None, window: Span) -> tuple[list[Span], list[Unwanted]]:
    if segments is None:
        return [window], []
    scheduled: list[Span] = []
    unwanted: list[Unwanted] = []
    for calendar, start_ns, end_ns in segments:
        spans = cut(calendar, start_ns, end_ns)
        rows = zip(spans.start_ns.tolist(), spans.end_ns.tolist(), spans.calendar.tolist(), strict=True)
        for low, high, code in rows:
            if code == CalendarClass.SCHEDULED:
                scheduled.append((low, high))
            else:
                unwanted.append((low, high, CalendarClass(code).word))
    return scheduled, unwanted


def _gaps(edges: list[int], window: Span, known_ms: Mapping[int, int], known_ns: int) -> list[Span]:
    """Spans without facts: at the end of an hour if the next hour has none either, else at its beginning. In the hour in
    which the machine became known it is at the beginning.
    """
    lengths = np.diff(np.array([*edges, window[1]], np.int64))
    lengths[0] -= max(window[0] - edges[0], 0)
    missing = [
        max(int(length) - known_ms.get(edge, 0) * MS_NS, 0)
        for edge, length in zip(edges, lengths.tolist(), strict=True)
    ]
    out = []
    for index, (edge, missing_ns) in enumerate(zip(edges, missing, strict=True)):
        low, high = max(edge, window[0]), max(edge, window[0]) + int(lengths[index])
        if missing_ns <= _SLACK_MS * MS_NS and missing_ns < high - low:
            continue
        last = index + 1 == len(edges)
        began = low < known_ns < high or (last and index > 0 and missing[index - 1] >= int(lengths[index - 1]))
        at_end = missing_ns == high - low or (not began and (last or missing[index + 1] >= int(lengths[index + 1])))
        out.append((high - missing_ns, high) if at_end else (low, low + missing_ns))
    return out


def _within(spans: Iterable[Span], window: Span) -> list[Span]:
    clipped = ((max(low, window[0]), min(high, window[1])) for low, high in spans)
    return [(low, high) for low, high in clipped if low < high]


def strips(window: Span, zone: ZoneInfo, lang: str, until_ns: int | None = None) -> list[Strip]:
    """One row for each day, the latest first; with `until_ns` a single one from the window's start to there."""
    first = time_labels.local(window[0], zone)
    if until_ns is not None:
        at = (window[0] + (until_ns - window[0]) * step // _TICKS for step in range(_TICKS + 1))
        return [Strip("", window[0], until_ns, tuple(f"{time_labels.local(t_ns, zone):%H:%M}" for t_ns in at))]
    rows = []
    day = first
    while to_ns(day) < window[1]:
        following = day + timedelta(days=1)
        ticks = tuple(f"{6 * step:02d}:00" for step in range(_TICKS + 1))
        rows.append(Strip(time_labels.weekday(day, lang), to_ns(day), to_ns(following), ticks))
        day = following
    return rows[::-1]


def shortest_ms(rows: Sequence[Strip]) -> int:
    """How long a stop has to be to be seen in these strips."""
    return 0 if len(rows) <= _DETAILED else _SHORTEST_MS


def draw(story: TimelineData, rows: Sequence[Strip], reasons: Mapping[str, Row], lang: str) -> Markup:
    """The strips as a grid of labels and drawings."""
    height = 26 if len(rows) == 1 else 15 if len(rows) <= 10 else 11
    cells: list[Markup] = []
    for row in rows:
        drawing = el(
            "svg",
            *_layers(story, row, reasons, lang),
            height=height,
            role="img",
            tabindex="0",
            aria_label=f"{say('console.timeline.row', lang, day=row.label or row.name or row.ticks[0])}",
            cls="band",
        )
        cells += [el("div", row.label, cls="day"), drawing]
    ticks = (el("span", text, style=f"left:{100 * index / _TICKS:g}%") for index, text in enumerate(rows[0].ticks))
    cells += [el("div", cls="day"), el("div", *ticks, cls="ticks")]
    return el("div", *cells, cls="days")


@lru_cache(maxsize=1024)  # of some hundred stops on a page a few kinds
def _picked(state: State, reason: str) -> str:
    return pick(states=state.word, reason=reason)


def _layers(story: TimelineData, row: Strip, reasons: Mapping[str, Row], lang: str) -> Iterable[Markup]:
    window = (max(row.start_ns, story.start_ns), min(row.end_ns, story.end_ns))
    off = _within([(low, high) for low, high, _ in story.unwanted], window)
    scheduled = _within(story.scheduled, window)
    yield from (_rect(row, span, "off") for span in off)
    for span in _within(story.ran, window):
        yield _rect(row, span, "s s-running")
    ends = ((stop, story.end_ns if stop.end_ns is None else stop.end_ns) for stop in story.stops)
    for stop, end_ns in [(stop, end_ns) for stop, end_ns in ends if stop.start_ns < window[1] and end_ns > window[0]]:
        shown = (max(stop.start_ns, window[0]), min(end_ns, window[1]))
        tip = note(stop, end_ns, story.zone, reasons, lang)
        asked = f"{_picked(stop.state, stop.reason)}&within={within((stop.start_ns, end_ns))}"
        yield from (_rect(row, span, f"s s-{stop.state.word}", tip, asked) for span in _within(scheduled, shown))
        yield from (_rect(row, span, "off", tip, asked) for span in _within(off, shown))
    for gap in _within(story.silent, window):
        yield _rect(row, gap, "blank")
        for span in _within(scheduled, gap):
            yield _rect(row, span, "s s-unknown", say("console.no_facts", lang))
    yield from (_rect(row, span, "veil") for span in off)
    for span in _within([(story.start_ns, story.known_ns)], window):
        yield _rect(row, span, "before", say("console.not_known_yet", lang))


def note(stop: Stop, end_ns: int, zone: ZoneInfo, reasons: Mapping[str, Row], lang: str) -> str:
    """The tooltip of a stop. end_ns: its end, or that of the window while it goes on."""
    begin, end = time_labels.local(stop.start_ns, zone), time_labels.local(end_ns, zone)
    lines = [say(f"state.{stop.state.word}", lang)]
    lines += [reason_name(stop.reason, reasons, lang)] if stop.reason else []
    length = duration((end_ns - stop.start_ns) // MS_NS, lang)
    lines.append(f"{begin:%H:%M:%S} – {'…' if stop.end_ns is None else f'{end:%H:%M:%S}'} · {length}")
    return "\n".join(lines)


def _rect(row: Strip, span: Span, cls: str, tip: str | None = None, asked: str | None = None) -> Markup:
    length = row.end_ns - row.start_ns
    left, width = 100 * (span[0] - row.start_ns) / length, 100 * (span[1] - span[0]) / length
    notes = "" if tip is None else f' data-tip="{escape(tip)}"'
    notes += "" if asked is None else f' data-pick="{escape(asked)}"'
    # as `el` writes it, which takes twice as long: a month has hundreds
    return Markup(f'<rect class="{cls}" x="{left:.3f}%" width="{width:.3f}%"{notes}/>')  # noqa: S704  # texts are escaped
