"""Inline drawings of the report page. Colours are classes, so that one drawing serves light, dark and paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from oee.calendars import cut, to_ns
from oee.facts import Int64
from oee.machine import Machine
from oee.states import CalendarClass, State
from replay.totals import BIN_NS, DAY_BINS, Totals

_NOTHING: Final = -1


@dataclass(frozen=True)
class Bar:
    """One period of the trend; values [1], None where undefined. weak: too little of the time was watched."""

    label: str
    tip: str
    value: float | None
    low: float | None
    high: float | None
    weak: bool


def strip(start: float, length: float, css: str, *, dot: float | None = None) -> str:
    """A bar within a row, in percent of its width."""
    width = max(length, 0.35)
    mark = "" if dot is None else f'<circle class="dot" cx="{dot * 10:.1f}" cy="9" r="3.2"/>'
    return (
        '<svg class="strip" viewBox="0 0 1000 18" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{css}" x="{start * 10:.1f}" y="2" width="{width * 10:.1f}" height="14" rx="2"/>{mark}</svg>'
    )


def dial(value: float | None, low: float | None, high: float | None) -> str:
    """A value on a scale from 0 to 1 with the range in which the true one lies."""
    parts = ['<svg class="dial" viewBox="0 0 1000 22" preserveAspectRatio="none" aria-hidden="true">']
    parts.append('<rect class="rail" x="0" y="7" width="1000" height="8" rx="4"/>')
    if low is not None and high is not None:
        left, right = (min(max(edge, 0.0), 1.0) * 1000 for edge in (low, high))
        parts.append(
            f'<rect class="range" x="{left:.1f}" y="3" width="{max(right - left, 4):.1f}" height="16" rx="4"/>'
        )
    if value is not None:
        parts.append(
            f'<rect class="needle" x="{min(max(value, 0.0), 1.0) * 1000 - 3:.1f}" y="0" width="6" height="22"/>'
        )
    return "".join(parts) + "</svg>"


def trend(bars: Sequence[Bar], percents: Sequence[str]) -> str:
    """OEE by period. percents: the words for 0, 50 and 100 %."""
    width, height, left, top, bottom = 720, 190, 44, 8, 26
    tallest = max([1.0, *(bar.value or 0 for bar in bars)])
    plot = height - top - bottom
    step = (width - left - 6) / max(len(bars), 1)
    out = [f'<svg class="trend" viewBox="0 0 {width} {height}" role="img">']
    for share, text in zip((0.0, 0.5, 1.0), percents, strict=True):
        y = top + plot * (1 - share / tallest)
        out.append(f'<line class="grid" x1="{left}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"/>')
        out.append(f'<text class="tick" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    every = max(1, -(-len(bars) // 9))
    for index, bar in enumerate(bars):
        x, wide = left + index * step + step * 0.14, step * 0.72
        out.append(f"<g><title>{escape(bar.tip)}</title>")
        out.append(f'<rect class="hit" x="{left + index * step:.1f}" y="{top}" width="{step:.2f}" height="{plot}"/>')
        if bar.value is not None:
            y = top + plot * (1 - max(bar.value, 0) / tallest)
            css = "weak" if bar.weak else "oee"
            bottom_y = top + plot
            out.append(f'<rect class="{css}" x="{x:.1f}" y="{y:.1f}" width="{wide:.2f}" height="{bottom_y - y:.1f}"/>')
        if bar.low is not None and bar.high is not None and bar.high - bar.low > 0.01:
            y1, y2 = (top + plot * (1 - min(max(edge, 0), tallest) / tallest) for edge in (bar.high, bar.low))
            middle = x + wide / 2
            out.append(f'<line class="whisker" x1="{middle:.1f}" x2="{middle:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>')
        out.append("</g>")
        if index % every == 0:
            anchor = "start" if index == 0 else "middle"
            out.append(
                f'<text class="tick" x="{x + wide / 2:.1f}" y="{height - 8}" text-anchor="{anchor}">{bar.label}</text>'
            )
    return "".join(out) + "</svg>"


def day_strip(totals: Totals, machine: Machine, day: date, zone: ZoneInfo) -> str:
    """One local day: what each five minutes were mostly spent on; paler outside the schedule."""
    midnight = datetime.combine(day, datetime.min.time(), zone)
    start_ns, end_ns = to_ns(midnight), to_ns(midnight + timedelta(days=1))
    states = _states(totals, machine.id, start_ns // BIN_NS, end_ns // BIN_NS)
    spans = cut(machine.calendar, start_ns, end_ns)
    off = [
        ((begin - start_ns) / BIN_NS, (end - begin) / BIN_NS)
        for begin, end, code in zip(
            spans.start_ns.tolist(), spans.end_ns.tolist(), spans.calendar.tolist(), strict=True
        )
        if code != CalendarClass.SCHEDULED
    ]
    for x, wide in off:  # nobody asks why a machine stands still then
        part = states[round(x) : round(x + wide)]
        part[part != State.RUNNING] = _NOTHING
    edges = np.flatnonzero(np.append(True, states[1:] != states[:-1])).tolist()
    paths: dict[int, list[str]] = {}
    for begin, end in zip(edges, [*edges[1:], len(states)], strict=True):
        if states[begin] != _NOTHING:
            paths.setdefault(int(states[begin]), []).append(f"M{begin} 0h{end - begin}v10H{begin}z")
    out = [f'<svg class="day" viewBox="0 0 {len(states)} 10" preserveAspectRatio="none" aria-hidden="true">']
    out += [f'<path class="s-{State(state).word}" d="{"".join(parts)}"/>' for state, parts in paths.items()]
    out += [f'<rect class="veil" x="{x:g}" y="0" width="{wide:g}" height="10"/>' for x, wide in off]
    return "".join(out) + "</svg>"


def _states(totals: Totals, machine: str, first: int, last: int) -> Int64:
    """The state that took most of each five minutes, -1 where nothing was recorded."""
    out = np.full(last - first, _NOTHING, np.int64)
    for day in range(first // DAY_BINS, (last - 1) // DAY_BINS + 1):
        picture = totals.pictures.get((machine, day))
        if picture is None:
            continue
        low, high = max(first, day * DAY_BINS), min(last, (day + 1) * DAY_BINS)
        part = picture[low - day * DAY_BINS : high - day * DAY_BINS]
        out[low - first : high - first] = np.where(part.any(axis=1), part.argmax(axis=1), _NOTHING)
    return out
