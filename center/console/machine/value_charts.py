"""Process values under the state band of a machine's page, on one axis of time: envelope, gaps, unit, a table behind it. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

from markupsafe import Markup

from center.console.draw import time_labels
from center.console.draw.markup import el, join, share
from center.console.machine import timeline
from words import moment, number, say

Row = Mapping[str, Any]
_NOTES: Final = 48
_LABELS: Final = 4
_MOST: Final = 12
_BAND_PARTS: Final = 800
_COARSE, _FINE = 500, 10
_S_NS: Final = 1_000_000_000


@dataclass(frozen=True)
class ValuesShown:
    """Curves of a window [ns], as the API has them."""

    answer: Row
    window: tuple[int, int]
    zone: ZoneInfo


def draw(shown: ValuesShown, lang: str) -> Markup:
    """A drawing for each tag, and the axis below the last one; nothing where no tag has a number."""
    series = shown.answer["series"]
    drawn = [_curve(shown, row, lang) for row in series[:_MOST]]
    if not drawn:
        return el("div", say("console.values.none", lang), cls="empty")
    left = [row["tag"] for row in series[_MOST:]]
    more = el("p", say("console.values.more", lang, tags=", ".join(left)), cls="soft") if left else None
    return join(*drawn, el("div", el("div", *_axis(shown, lang), cls="x-labels"), cls="curve-axis"), more)


def band(story: timeline.TimelineData, zone: ZoneInfo, reasons: Mapping[str, Row], lang: str) -> Markup:
    """The states of the whole window on the same axis; stops of less than a part of a pixel are left out."""
    shortest_ns = (story.end_ns - story.start_ns) // _BAND_PARTS
    stops = [stop for stop in story.stops if (stop.end_ns or story.end_ns) - stop.start_ns >= shortest_ns]
    ends = (time_labels.local(t_ns, zone) for t_ns in (story.start_ns, story.end_ns))
    name = " – ".join(_day_and_time(end, lang) for end in ends)
    strip = timeline.Strip("", story.start_ns, story.end_ns, ("",) * (_LABELS + 1), name)
    return timeline.draw(replace(story, stops=stops), [strip], reasons, lang)


def _day_and_time(local: datetime, lang: str) -> str:
    return f"{time_labels.day(local, lang)} {local:%H:%M}"


def _axis(shown: ValuesShown, lang: str) -> Iterable[Markup]:
    (start_ns, end_ns), zone = shown.window, shown.zone
    several = end_ns - start_ns > 2 * 86_400 * _S_NS
    for step in range(_LABELS + 1):
        local = time_labels.local(start_ns + (end_ns - start_ns) * step // _LABELS, zone)
        text = _day_and_time(local, lang) if several else f"{local:%H:%M}"
        yield el("span", text, style=f"left:{share(step / _LABELS)}", cls="few")


def _curve(shown: ValuesShown, row: Row, lang: str) -> Markup:
    known = [value for value in (*row["low"], *row["high"]) if value is not None]
    low, high = min(known), max(known)
    unit = f" {row['unit']}" if row["unit"] else ""
    least, most = (figure(value, (low, high), lang) for value in (low, high))
    spread = f"{least} – {most}{unit}"
    frame = _CurveFrame(low, high, shown.answer["every_s"] * _S_NS / (shown.window[1] - shown.window[0]))
    picture = el(
        "svg",
        *(el("path", d=path, cls="envelope") for path in frame.paths(row)),
        viewBox="0 0 100 100",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
    lost = sum(row["unknown"]) / max(len(row["unknown"]), 1)
    alt = say("console.values.alt", lang, tag=row["tag"], spread=spread, lost=f"{100 * lost:.0f}")
    return el(
        "section",
        el("div", el("b", row["tag"]), el("span", spread), cls="curve-head"),
        el(
            "figure",
            el("div", el("span", most), el("span", least), cls="y-labels"),
            el("div", *frame.gaps(row), picture, *_notes(shown, row, unit, lang), cls="area", data_zoom="time"),
            cls="curve",
            role="img",
            aria_label=alt,
        ),
        _table(shown, row, unit, lang),
        cls="curve-of",
        data_tag=row["tag"],
    )


def figure(value: float, spread: tuple[float, float], lang: str) -> str:
    """A value with as many decimals as tell values of this spread (lowest, highest) apart."""
    width = spread[1] - spread[0]
    return number(value, lang, 0 if width >= _COARSE else 1 if width >= _FINE else 2 if width >= 1 else 3)


class _CurveFrame:
    """Places in a drawing from 0 to 100. width: of a part, as part of the window."""

    def __init__(self, low: float, high: float, width: float) -> None:
        self.low, self.high, self.width = low, high, width * 100

    def y(self, value: float) -> float:
        """A little room above and below, so that the extremes are seen; a constant value is in the middle."""
        if self.high == self.low:
            return 50.0
        return 96 - 92 * (value - self.low) / (self.high - self.low)

    def paths(self, row: Row) -> Iterable[str]:
        """An outline for each run of parts in which some value is known: along the highest, back along the lowest."""
        places = [place for place, value in enumerate(row["low"]) if value is not None]
        for _, group in groupby(enumerate(places), key=lambda item: item[1] - item[0]):
            run = [place for _, place in group]
            upper = "".join(self._level(place, row["high"][place]) for place in run)
            lower = "".join(self._level(place, row["low"][place], back=True) for place in reversed(run))
            yield f"M{upper[1:]}{lower}Z"

    def _level(self, place: int, value: float, *, back: bool = False) -> str:
        begin, end = self.width * place, min(self.width * (place + 1), 100)
        begin, end = (end, begin) if back else (begin, end)
        y = self.y(value)
        return f"L{begin:.3f} {y:.2f}L{end:.3f} {y:.2f}"

    def gaps(self, row: Row) -> Iterable[Markup]:
        """The runs of parts that are not wholly known."""
        place = 0
        for is_unknown, group in groupby(row["unknown"]):
            count = len(list(group))
            if is_unknown:
                begin, end = self.width * place, min(self.width * (place + count), 100)
                yield el("b", cls="gap hatched", style=f"left:{begin:.3f}%;right:{100 - end:.3f}%")
            place += count


def _notes(shown: ValuesShown, row: Row, unit: str, lang: str) -> Iterable[Markup]:
    """Invisible parts that say their values when they are pointed at."""
    for first, last, _ in _groups(row):
        left, right = (share(shown.answer["every_s"] * place * _S_NS / (shown.window[1] - shown.window[0])) for place in (first, last))  # fmt: skip
        tip = f"{_times(shown, first, last, lang)}\n{row['tag']}: {_said(row, first, last, unit, lang)}"
        yield el("i", style=f"left:{left};right:calc(100% - {right})", data_tip=tip)


def _groups(row: Row) -> Iterable[tuple[int, int, int]]:
    count = len(row["low"])
    step = max(-(-count // _NOTES), 1)
    for first in range(0, count, step):
        yield first, min(first + step, count), step


def _times(shown: ValuesShown, first: int, last: int, lang: str) -> str:
    every_ns = shown.answer["every_s"] * _S_NS
    begin, end = (
        time_labels.local(min(shown.window[0] + every_ns * place, shown.window[1]), shown.zone)
        for place in (first, last)
    )
    return f"{moment(begin, lang)} – {end:%H:%M}"


def _said(row: Row, first: int, last: int, unit: str, lang: str) -> str:
    low = [value for value in row["low"][first:last] if value is not None]
    high = [value for value in row["high"][first:last] if value is not None]
    if not low:
        return say("console.values.unknown", lang)
    known = [value for value in (*row["low"], *row["high"]) if value is not None]
    least, most = (figure(value, (min(known), max(known)), lang) for value in (min(low), max(high)))
    text = f"{least}{unit}" if least == most else f"{least} – {most}{unit}"
    return f"{text} ({say('console.values.partly', lang)})" if any(row["unknown"][first:last]) else text


def _table(shown: ValuesShown, row: Row, unit: str, lang: str) -> Markup:
    body: Sequence[Markup] = [
        el("tr", el("th", _times(shown, first, last, lang), scope="row"), el("td", _said(row, first, last, unit, lang)))
        for first, last, _ in _groups(row)
    ]
    return el(
        "details",
        el("summary", say("console.as_table", lang)),
        el("div", el("table", el("tbody", *body), cls="figures"), cls="scrolled"),
        cls="fold",
    )
