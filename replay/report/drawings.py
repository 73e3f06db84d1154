"""Inline drawings of the report page. Colours are CSS classes, so that one drawing serves light, dark and print."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import escape
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from oee.model.calendars import cut, to_ns
from oee.model.facts import Int64
from oee.model.machine import Machine
from oee.model.states import CalendarClass, State
from replay.totals import BIN_NS, DAY_BINS, Totals

_NOTHING: Final = -1
_VISIBLE: Final = 0.01
_LABELS: Final = 5


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
    """OEE by period. percents: the labels of 0, 50 and 100 %. The drawing itself has no text, which a narrow screen would squeeze."""
    tallest = max([1.0, *(bar.value or 0 for bar in bars)])
    step = 1000 / max(len(bars), 1)
    out = ['<svg class="plot" viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">']
    out += [f'<path class="grid" d="M0 {100 - 100 * share / tallest:.2f}h1000"/>' for share in (0.0, 0.5, 1.0)]
    for index, bar in enumerate(bars):
        left, wide = (index + 0.14) * step, 0.72 * step
        out.append(
            f'<g><title>{escape(bar.tip)}</title><rect class="hit" x="{index * step:.2f}" width="{step:.2f}" height="100"/>'
        )
        if bar.value is not None:
            tall = 100 * max(bar.value, 0) / tallest
            css = "weak" if bar.weak else "oee"
            out.append(
                f'<rect class="{css}" x="{left:.2f}" y="{100 - tall:.2f}" width="{wide:.2f}" height="{tall:.2f}"/>'
            )
        if bar.low is not None and bar.high is not None and bar.high - bar.low > _VISIBLE:
            top, bottom = (100 - 100 * min(max(edge, 0), tallest) / tallest for edge in (bar.high, bar.low))
            out.append(f'<path class="whisker" d="M{left + wide / 2:.2f} {top:.2f}V{bottom:.2f}"/>')
        out.append("</g>")
    ys = "".join(
        f'<span style="bottom:{100 * share / tallest:.1f}%">{text}</span>'
        for share, text in zip((0.0, 0.5, 1.0), percents, strict=True)
    )
    every = max(1, -(-len(bars) // _LABELS))
    xs = "".join(
        f'<span style="left:{(index + 0.5) * step / 10:.2f}%">{bars[index].label}</span>'
        for index in range(every // 2, len(bars), every)
    )
    return f'<div class="trend"><div class="ys">{ys}</div>{"".join(out)}</svg><div class="xs">{xs}</div></div>'


def day_strip(totals: Totals, machine: Machine, day: date, zone: ZoneInfo) -> str:
    """One local day: the main state of each five minutes; paler outside the schedule."""
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
    for x, wide in off:  # a standstill outside the schedule is not shown
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
