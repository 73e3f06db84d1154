"""OEE over time as SVG of our own: the factors, the band of bounds, the target or the period before laid over it, and a link
for each bucket to its stops. Pure but for addresses.

The drawing is stretched to its place; what must keep its size (labels, notes, links) is HTML over it. A table behind it has
the same numbers.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from center.console.draw.goals import gap_of, goal_line
from center.console.draw.kpis import lies_between
from center.console.draw.markup import el, join, share
from center.console.machine.points import TrendPoint
from center.console.machine.stop_filter import Address, pick, within
from words import percent, say

Row = Mapping[str, Any]
_FACTORS: Final = ("availability", "performance", "quality")
_MANY_POINTS: Final = 60
_LABELS, _FEW_LABELS = 14, 5
_QUARTER: Final = 0.25
Values = Sequence[float | None]


def draw(points: Sequence[TrendPoint], over: str, before: str, lang: str, address: Address) -> Markup:
    """The chart and its table. over: what is laid over OEE, of `windows.OVERLAYS`; before: the period before in words."""
    if not points:
        return el("div", say("console.not_planned", lang), cls="empty")
    series = {kpi: [_kpi(point.row, kpi) for point in points] for kpi in ("oee", *_FACTORS)}
    laid = _laid_over(points, over)
    highest = max((value for values in (*series.values(), laid) for value in values if value is not None), default=1)
    top = max(1.0, math.ceil(highest / _QUARTER - 1e-9) * _QUARTER)
    frame = _Frame(len(points), top)
    lines = [_line(frame, series[kpi], f"l-{kpi}") for kpi in (*_FACTORS, "oee")]
    lines.insert(3, _line(frame, laid, f"l-{over}", steps=over == "target"))
    grid = [el("path", d=f"M0 {frame.y(part):.2f}H100", cls="grid") for part in _quarters(top)]
    picture = el(
        "svg",
        *grid,
        _band(frame, points),
        *lines,
        viewBox="0 0 100 100",
        preserveAspectRatio="none",
        aria_hidden="true",
    )
    side = (el("span", percent(part, lang, 0), style=f"bottom:{share(part / top)}") for part in _quarters(top))
    cells = (_cell(point, index, len(points), over, lang, address) for index, point in enumerate(points))
    return join(
        _legend(over, before, lang, known=any(value is not None for value in laid)),
        el(
            "figure",
            el("div", *side, cls="y-labels"),
            el("div", picture, *cells, cls="area", data_zoom="trend"),
            el("div", *_labels(points), cls="x-labels"),
            cls="trend",
            role="group",
            aria_label=say("console.trend", lang),
        ),
        _table(points, over, before, lang),
    )


class _Frame:
    """Places in the drawing, from 0 to 100; a bucket's point is in its middle."""

    def __init__(self, count: int, top: float) -> None:
        self.count, self.top = count, top

    def x(self, index: float) -> float:
        return 100 * (index + 0.5) / self.count

    def y(self, value: float) -> float:
        return 100 - 100 * value / self.top


def _quarters(top: float) -> list[float]:
    return [step * _QUARTER for step in range(round(top / _QUARTER) + 1)]


def _kpi(row: Row | None, kpi: str) -> float | None:
    value: float | None = row["kpis"].get(kpi) if row else None
    return value


def _laid_over(points: Sequence[TrendPoint], over: str) -> Values:
    if over == "before":
        return [_kpi(point.before, "oee") for point in points]
    aims = [gap_of(point.row, "oee") if point.row and over == "target" else None for point in points]
    return [aim["target"] if aim else None for aim in aims]


def _runs(values: Values) -> Iterable[list[int]]:
    """Indices of values that stand side by side."""
    run: list[int] = []
    for index, value in enumerate(values):
        if value is not None:
            run.append(index)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _line(frame: _Frame, values: Values, css: str, *, steps: bool = False) -> Markup:
    """A line through the values that are known, interrupted where one is not; steps: level within each bucket."""
    path, dots = "", ""
    for run in _runs(values):
        known = [(index, frame.y(value)) for index in run if (value := values[index]) is not None]
        if steps:
            path += f"M{frame.x(run[0] - 0.5):.2f} {known[0][1]:.2f}"
            path += "".join(f"V{y:.2f}H{frame.x(index + 0.5):.2f}" for index, y in known)
        else:
            path += "M" + "L".join(f"{frame.x(index):.2f} {y:.2f}" for index, y in known)
        dots += "".join(f"M{frame.x(index):.2f} {y:.2f}h0" for index, y in known)
    with_dots = not steps and (len(values) <= _MANY_POINTS or all(len(run) == 1 for run in _runs(values)))
    return join(
        el("path", d=path, cls=css) if path else None,
        el("path", d=dots, cls=f"{css} dots") if dots and with_dots else None,
    )


def _band(frame: _Frame, points: Sequence[TrendPoint]) -> Markup | None:
    """The range in which the OEE of the whole schedule can lie."""
    low, high = ([_kpi(point.row, kpi) for point in points] for kpi in ("oee_low", "oee_high"))
    path = ""
    for run in _runs([top if bottom is not None else None for bottom, top in zip(low, high, strict=True)]):
        upper = [f"{frame.x(index):.2f} {frame.y(high[index] or 0):.2f}" for index in run]
        lower = [f"{frame.x(index):.2f} {frame.y(low[index] or 0):.2f}" for index in reversed(run)]
        path += "M" + "L".join(upper + lower) + "Z"
    return el("path", d=path, cls="bounds-band") if path else None


def _cell(point: TrendPoint, index: int, count: int, over: str, lang: str, address: Address) -> Markup:
    """The place of a bucket: its note, and the way to its stops."""
    words = {"stops": "longest", "within": within(point.span)}
    note = _note(point, over, lang)
    return el(
        "a",
        href=address(words),
        data_pick=pick(**words),
        data_tip=note,
        aria_label=say("console.trend.pick", lang, what=note.replace("\n", ", ")),
        style=f"left:{share(index / count)};width:{share(1 / count)}",
    )


def _note(point: TrendPoint, over: str, lang: str) -> str:
    row = point.row
    if row is None:
        return f"{point.name}\n{say('console.not_planned', lang)}"
    kpis = row["kpis"]
    lines = [point.name, f"OEE {percent(kpis['oee'], lang)}"]
    lines += [range_text] if (range_text := lies_between(kpis, lang)) else []
    lines += [f"{goal_line(gap, lang)}" for kind in ("oee", "pieces") if (gap := gap_of(row, kind))]
    if over == "before" and (then := _kpi(point.before, "oee")) is not None:
        lines.append(say("console.before", lang, oee=percent(then, lang)))
    lines += [f"{say(f'console.kpi.{kpi}', lang)} {percent(kpis[kpi], lang)}" for kpi in _FACTORS]
    lines.append(say("console.coverage_short", lang, coverage=percent(kpis["coverage"], lang)))
    if kpis["oee"] is None:
        lines.append(say(f"why_null.{row['why_null']['oee']}", lang))
    return "\n".join(lines)


def _labels(points: Sequence[TrendPoint]) -> Iterable[Markup]:
    """Labels that fit side by side; those of class `few` also on a narrow screen."""
    count = len(points)
    every, wide = -(-count // _LABELS), -(-count // _FEW_LABELS)
    wide = -(-wide // every) * every
    for index in range(0, count, every):
        css = "few" if index % wide == 0 else ""
        yield el("span", points[index].label, style=f"left:{share((index + 0.5) / count)}", cls=css)


def _legend(over: str, before: str, lang: str, *, known: bool) -> Markup:
    items = [el("span", el("i", cls="k-oee"), "OEE")]
    items += [el("span", el("i", cls=f"k-{kpi}"), say(f"console.kpi.{kpi}", lang)) for kpi in _FACTORS]
    if over == "before" and not known:
        items.append(el("em", say("console.over.nothing_before", lang, when=before)))
    elif over == "target" and known:
        items.append(el("span", el("i", cls="k-target"), say("target.line", lang)))
    elif over == "before":
        items.append(el("span", el("i", cls="k-before"), say("console.over.before_of", lang, when=before)))
    return el("div", *items, cls="keys")


def _table(points: Sequence[TrendPoint], over: str, before: str, lang: str) -> Markup:
    heads = ["", "OEE", say("console.bounds", lang), say("console.kpi.coverage", lang)]
    heads += [say(f"console.kpi.{kpi}", lang) for kpi in _FACTORS]
    laid = [None if over == "none" else value for value in _laid_over(points, over)]
    heads += [say("console.over.before_of", lang, when=before) if over == "before" else say("target.line", lang)]
    body = []
    for point, value in zip(points, laid, strict=True):
        kpis: Row = point.row["kpis"] if point.row else {}
        low, high = kpis.get("oee_low"), kpis.get("oee_high")
        between = "–" if low is None else say("console.range", lang, low=percent(low, lang), high=percent(high, lang))
        cells = [percent(kpis.get("oee"), lang), between, percent(kpis.get("coverage"), lang)]
        cells += [percent(kpis.get(kpi), lang) for kpi in _FACTORS]
        cells.append(percent(value, lang))
        body.append(el("tr", el("th", point.name, scope="row"), *(el("td", cell) for cell in cells)))
    head = el("tr", *(el("th", text, scope="col") for text in heads))
    return el(
        "details",
        el("summary", say("console.as_table", lang)),
        el("div", el("table", el("thead", head), el("tbody", *body), cls="figures"), cls="scrolled"),
        cls="fold",
    )
