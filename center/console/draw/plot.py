"""Small diagrams of points, columns and steps as HTML that is as wide as its place: labels keep their size. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from center.console.draw.markup import el, join, share

_ROOM: Final = 1.08
"""How much higher than the highest value the axis ends."""
_EDGE: Final = 0.07
"""Half a date on a telephone, as a share of the axis."""


@dataclass(frozen=True)
class PlotMark:
    """One value. x, y: in the diagram's units; strong: it is what the finding is about; beside: it is only compared with; tip:
    its note.
    """

    x: float
    y: float
    strong: bool = False
    tip: str = ""
    beside: bool = False


@dataclass(frozen=True)
class PlotLevel:
    """A horizontal line at `y` with its label; from_x, to_x: how far it reaches, None for all the way."""

    y: float
    label: str
    strong: bool = False
    from_x: float | None = None
    to_x: float | None = None


@dataclass(frozen=True)
class PlotBand:
    """A part of the axis with its label, shaded over the whole height."""

    from_x: float
    to_x: float
    label: str
    strong: bool = False


def plot(
    marks: Sequence[PlotMark],
    levels: Sequence[PlotLevel] = (),
    x_ticks: Sequence[tuple[float, str]] = (),
    y_ticks: Sequence[tuple[float, str]] = (),
    *,
    columns: bool = False,
    steps: bool = False,
    bands: Sequence[PlotBand] = (),
    alt: str = "",
) -> Markup:
    """The diagram. columns: a bar for each value instead of a dot; steps: a line that rises to each value; bands:
    shaded parts; x_ticks, y_ticks: position and text of labels; alt: what it shows, for those who cannot see it.
    """
    xs = [mark.x for mark in marks] + [x for x, _ in x_ticks] + [x for band in bands for x in (band.from_x, band.to_x)]
    ys = [mark.y for mark in marks] + [level.y for level in levels] + [y for y, _ in y_ticks] + [0.0]
    low_x, high_x = min(xs, default=0.0), max(xs, default=1.0)
    low_y, high_y = min(ys) * _ROOM, max(ys) * _ROOM
    if columns:
        low_x, high_x = low_x - 0.5, high_x + 0.5

    def at_x(x: float) -> float:
        return (x - low_x) / (high_x - low_x) if high_x > low_x else 0.5

    def at_y(y: float) -> float:
        return (y - low_y) / (high_y - low_y) if high_y > low_y else 0.0

    inside: list[Markup] = []
    for band in bands:
        style = f"left:{share(at_x(band.from_x))};width:{share(at_x(band.to_x) - at_x(band.from_x))}"
        inside.append(el("span", el("em", band.label), cls=f"band{' strong' if band.strong else ''}", style=style))
    if low_y < 0:
        inside.append(el("i", cls="zero", style=f"bottom:{share(at_y(0))}"))
    if steps:
        inside.append(_steps([(at_x(mark.x), at_y(mark.y)) for mark in marks]))
    width = 0.8 / (high_x - low_x) if columns and high_x > low_x else 0.0
    for mark in marks:
        if columns:
            style = f"left:{share(at_x(mark.x) - width / 2)};width:{share(width)};height:{share(at_y(mark.y))}"
        else:
            style = f"left:{share(at_x(mark.x))};bottom:{share(at_y(mark.y))}"
        kind = f"{'col' if columns else 'dot'}{' strong' if mark.strong else ''}{' beside' if mark.beside else ''}"
        inside.append(el("i", cls=kind, style=style, data_tip=mark.tip or None))
    for level in levels:
        left = 0.0 if level.from_x is None else at_x(level.from_x)
        right = 1.0 if level.to_x is None else at_x(level.to_x)
        style = f"bottom:{share(at_y(level.y))};left:{share(left)};width:{share(right - left)}"
        inside.append(el("span", el("em", level.label), cls=f"level{' strong' if level.strong else ''}", style=style))
    widest = el("b", max((text for _, text in y_ticks), key=len, default=""), aria_hidden="true")  # makes the room
    side = [el("span", text, style=f"bottom:{share(at_y(y))}") for y, text in y_ticks]
    below = [el("span", text, cls=_edge(at_x(x)), style=f"left:{share(at_x(x))}") for x, text in x_ticks]
    return el(
        "figure",
        join(el("div", widest, *side, cls="ys"), el("div", *inside, cls="area"), el("div", *below, cls="xs")),
        cls="plot",
        role="img",
        aria_label=alt,
    )


def _edge(at: float) -> str:
    """A label at an end of the axis stands inside of it, the others in the middle of what they name."""
    return "start" if at < _EDGE else "end" if at > 1 - _EDGE else ""


def _steps(points: Sequence[tuple[float, float]]) -> Markup:
    path = "M0 100"
    for x, y in points:
        path += f"H{100 * x:.2f}V{100 - 100 * y:.2f}"
    path += "H100"
    line = el("path", d=path, vector_effect="non-scaling-stroke")
    return el("svg", line, viewBox="0 0 100 100", preserveAspectRatio="none", aria_hidden="true")
