"""The report as a PDF of A4 pages, with its own font, so that Vietnamese looks the same everywhere."""

import io
import json
from collections.abc import Callable, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Final

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from center.outgoing.reports.sheet import (
    ReportSheet,
    SheetCell,
    SheetLine,
    SheetRow,
    SheetSection,
    SheetTable,
    SheetTile,
    sheet,
    stretches,
)
from words import say

_FONTS: Final = Path(__file__).parent / "fonts"
_PLAIN, _BOLD = "Nhip", "Nhip-Bold"
_MARGIN: Final = 15 * mm
_WIDTH: Final = A4[0] - 2 * _MARGIN - 12
"""Inside the padding of the page's frame, so that tables begin where text does."""
_INK: Final = {"": "#18211e", "strong": "#18211e", "faint": "#6b7671", "good": "#1f7a53", "bad": "#b53030"}
_LINE: Final = HexColor("#d5d9d1")
_COLOURS: Final = {
    "total": "#9aa39e", "breakdown": "#cd3d3d", "unplanned_stop": "#e57f3a", "setup": "#8467c9", "starved": "#3f8fc9",
    "blocked": "#b8578f", "minor_stop": "#deb12f", "slow_cycles": "#a08a3a", "planned_stop": "#8b969e",
    "process_reject": "#7d5a4a", "startup_reject": "#7d5a4a", "rework": "#7d5a4a",
}  # fmt: skip
_OTHER: Final = "#b4bcb7"
_BAR_MM: Final = 3.0
_TALL: Final = 15 * mm
_ACROSS: Final = 3


@cache
def _register() -> None:
    pdfmetrics.registerFont(TTFont(_PLAIN, str(_FONTS / "Roboto-Regular.ttf")))
    pdfmetrics.registerFont(TTFont(_BOLD, str(_FONTS / "Roboto-Bold.ttf")))


def shift_pdf(told: bytes, lang: str) -> bytes:
    """The shift report's file. told: JSON with `answer`, a `ReportAnswer`, and `made`, when it is made, by language."""
    asked = json.loads(told)
    return report_pdf(sheet(asked["answer"], lang), asked["made"][lang])


def report_pdf(page: ReportSheet, made: str) -> bytes:
    """The file. made: when it was made, as people read it."""
    return built(parts_of(page), page.title, page.lang, say("report.made", page.lang, when=made))


def built(
    parts: list[Flowable],
    title: str,
    lang: str,
    foot: str,
    finish: Callable[[Any], None] = lambda _canvas: None,
    under: Callable[[Any], None] = lambda _canvas: None,
) -> bytes:
    """A file of these parts. foot: a line at the end of each page; finish: called with the canvas on the first page; under: with that of
    each page, before anything else is drawn.
    """
    _register()
    out = io.BytesIO()
    document = SimpleDocTemplate(
        out, pagesize=A4, title=title, author="Nhịp", creator="Nhịp", subject=title, lang=lang, leftMargin=_MARGIN,
        rightMargin=_MARGIN, topMargin=_MARGIN, bottomMargin=18 * mm, initialFontName=_PLAIN,
    )  # fmt: skip

    def footer(canvas: Any, _document: Any) -> None:
        under(canvas)
        canvas.setFont(_PLAIN, 8)
        canvas.setFillColor(HexColor(_INK["faint"]))
        canvas.drawString(_MARGIN, 10 * mm, foot)
        canvas.drawRightString(A4[0] - _MARGIN, 10 * mm, say("report.page", lang, n=canvas.getPageNumber()))

    def first(canvas: Any, made: Any) -> None:
        finish(canvas)
        footer(canvas, made)

    document.build(parts, onFirstPage=first, onLaterPages=footer)
    return out.getvalue()


def parts_of(page: ReportSheet) -> list[Flowable]:
    """The report as it flows over pages."""
    _register()
    parts: list[Flowable] = [_text(page.title, 17, bold=True, leading=21), _text(page.subtitle, 9, tone="faint")]
    parts += [Spacer(0, 4 * mm), _tiles(page.tiles)]
    for section in page.sections:
        parts += _section(section)
    return parts


def _text(
    text: str, size: float = 9, *, bold: bool = False, tone: str = "", right: bool = False, leading: float | None = None
) -> Paragraph:
    """A paragraph; its words are text, never markup."""
    style = ParagraphStyle(
        "",
        fontName=_BOLD if bold else _PLAIN,
        fontSize=size,
        leading=leading or size * 1.28,
        textColor=HexColor(_INK[tone]),
        alignment=TA_RIGHT if right else 0,
    )
    return Paragraph(escape(text, quote=False), style)


def _tiles(tiles: Sequence[SheetTile]) -> Table:
    cells = [
        [
            _text(item.label, 8, tone="faint"),
            _text(item.value, 14, tone=item.tone, leading=18),
            _text(item.below, 8, tone="faint"),
        ]
        for item in tiles
    ]
    table = Table([cells], colWidths=[_WIDTH / len(cells)] * len(cells))
    table.setStyle(
        TableStyle(
            [
                ("FONT", (0, 0), (-1, -1), _PLAIN, 9),
                ("BOX", (0, 0), (-1, -1), 0.6, _LINE),
                ("INNERGRID", (0, 0), (-1, -1), 0.6, _LINE),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ]
        )
    )
    return table


def _section(section: SheetSection) -> list[Flowable]:
    head: list[Flowable] = [Spacer(0, 5 * mm), _text(section.title, 11.5, bold=True), Spacer(0, 1.5 * mm)]
    head += [_text(note.text, 9, tone=note.tone) for note in section.notes]
    if section.lines:
        head.append(_lines(section.lines))
    if section.table is None:
        return [KeepTogether(head)]
    table = _table(section.table)
    short = len(section.table.rows) <= 25  # of a longer one only the title stays with its beginning
    return [KeepTogether([*head, table])] if short else [*head, table]


def _table(table: SheetTable) -> Table:
    heads = [_text(text, 8, tone="faint", right=index in table.numeric) for index, text in enumerate(table.heads)]
    rows: list[list[Any]] = [
        heads,
        *([_cell(item, right=index in table.numeric) for index, item in enumerate(row.cells)] for row in table.rows),
    ]
    widths = _widths(table)
    if table.bars:
        heads.insert(1, _text("", 8))
        for line, row in zip(rows[1:], table.rows, strict=True):
            line.insert(1, _Bar(row, widths[1] - 4 * mm))
    heights = [None, *[_TALL] * len(table.rows)] if table.tall else None
    made = Table(rows, colWidths=widths, rowHeights=heights, repeatRows=1)
    made.setStyle(
        TableStyle(
            [
                ("FONT", (0, 0), (-1, -1), _PLAIN, 9),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (0, -1), 0),
                ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 2.2 if table.bars else 3),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 2.2 if table.bars else 3),
            ]
        )
    )
    return made


def _cell(item: SheetCell, *, right: bool) -> list[Paragraph]:
    lines = [_text(item.text, 9, bold=item.tone == "strong", tone=item.tone, right=right)]
    return [*lines, _text(item.below, 7.5, tone="faint", right=right)] if item.below else lines


def _widths(table: SheetTable) -> list[float]:
    """The first column and those of text are wider than numbers; all together are as wide as the page."""
    of_number = 1.3 if len(table.heads) <= 5 else 1.0
    weights = [of_number if index in table.numeric else 1.5 for index in range(len(table.heads))]
    weights[0] = 2.8 if table.bars else 1.7
    if table.bars:
        weights.insert(1, 4.0)
    return [_WIDTH * weight / sum(weights) for weight in weights]


def _lines(lines: Sequence[SheetLine]) -> Table:
    """Diagrams, three in a row."""
    width = _WIDTH / _ACROSS
    cells = [[_text(item.title, 8, bold=True), _Line(item, width - 4 * mm)] for item in lines]
    cells += [[] for _ in range(-len(cells) % _ACROSS)]
    made = Table([cells[at : at + _ACROSS] for at in range(0, len(cells), _ACROSS)], colWidths=[width] * _ACROSS)
    made.setStyle(
        TableStyle([("FONT", (0, 0), (-1, -1), _PLAIN, 9), ("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, -1), 0)])
    )  # fmt: skip
    return made


class _Line(Flowable):  # type: ignore[misc]  # the library has no types
    """A ratio by month with its target."""

    def __init__(self, line: SheetLine, width: float) -> None:
        super().__init__()
        self._line, self.width, self.height = line, width, 25 * mm

    def wrap(self, _width: float, _height: float) -> tuple[float, float]:
        """As platypus asks for the size."""
        return self.width, self.height

    def draw(self) -> None:
        """As platypus lets a flowable draw itself."""
        canvas, line = self.canv, self._line
        left, bottom = 6 * mm, 4 * mm
        wide, high = self.width - left, self.height - bottom - 2 * mm
        canvas.setFont(_PLAIN, 6.5)
        for level in (0.0, 0.5, 1.0):
            canvas.setStrokeColor(_LINE)
            canvas.setLineWidth(0.4)
            canvas.line(left, bottom + level * high, left + wide, bottom + level * high)
            canvas.setFillColor(HexColor(_INK["faint"]))
            canvas.drawRightString(left - 1.5 * mm, bottom + level * high - 2, f"{level * 100:.0f}")
        canvas.drawString(left, 0, line.low)
        canvas.drawRightString(left + wide, 0, line.high)
        last = max(len(line.values) - 1, 1)
        for index in line.marks:
            canvas.setFillColor(HexColor(_INK["bad"]))
            x = left + wide * index / last
            path = canvas.beginPath()
            path.moveTo(x, bottom + high)
            path.lineTo(x - 1.3 * mm, bottom + high + 2 * mm)
            path.lineTo(x + 1.3 * mm, bottom + high + 2 * mm)
            canvas.drawPath(path, stroke=0, fill=1)
        for points, colour, dashed in ((line.aims, "#6b7671", True), (line.values, "#0b6e74", False)):
            canvas.setStrokeColor(HexColor(colour))
            canvas.setLineWidth(0.8 if dashed else 1.5)
            canvas.setDash([2, 2] if dashed else [])
            for start, end in stretches(points):
                xs = [
                    (left + wide * at / last, bottom + high * min(max(points[at] or 0.0, 0.0), 1.0))
                    for at in range(start, end)
                ]
                xs = xs if len(xs) > 1 else [(xs[0][0] - 1.5, xs[0][1]), (xs[0][0] + 1.5, xs[0][1])]
                path = canvas.beginPath()
                path.moveTo(*xs[0])
                for x, y in xs[1:]:
                    path.lineTo(x, y)
                canvas.drawPath(path, stroke=1, fill=0)
        canvas.setDash([])


class _Bar(Flowable):  # type: ignore[misc]  # the library has no types
    """A bar of the waterfall."""

    def __init__(self, row: SheetRow, width: float) -> None:
        super().__init__()
        self._row, self.width, self.height = row, width, _BAR_MM * mm

    def wrap(self, _width: float, _height: float) -> tuple[float, float]:
        """As platypus asks for the size."""
        return self.width, self.height

    def draw(self) -> None:
        """As platypus lets a flowable draw itself."""
        if self._row.bar is None:
            return
        left, right = self._row.bar
        self.canv.setFillColor(HexColor(_COLOURS.get(self._row.kind, _OTHER)))
        self.canv.rect(left * self.width, 0, max((right - left) * self.width, 0.4), self.height, stroke=0, fill=1)
