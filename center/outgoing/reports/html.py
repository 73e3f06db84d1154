"""The report as HTML: for the page, styled by the console, and for mail, whose readers know only inline styles. Pure."""

from collections.abc import Callable, Sequence
from typing import Final

from markupsafe import Markup

from center.console.draw.markup import Child, el, join
from center.outgoing.reports.sheet import (
    ReportSheet,
    SheetCell,
    SheetLine,
    SheetRow,
    SheetSection,
    SheetTable,
    SheetTile,
    stretches,
)

_INK: Final = {"": "#18211e", "strong": "#18211e", "faint": "#6b7671", "good": "#1f7a53", "bad": "#b53030"}
_RULE: Final = "border-bottom:1px solid #e2e5de"
_WIDE: Final = 6
"""So many columns may be wider than a phone."""
_FONT: Final = "font-family:Roboto,'Segoe UI',Arial,sans-serif"


def page_content(sheet: ReportSheet) -> Markup:
    """The report's tiles and sections, with classes of the console's style sheet."""
    tiles = el("div", *(_tile(item) for item in sheet.tiles), cls="report-tiles")
    return join(tiles, el("div", *(_section(item) for item in sheet.sections), cls="report"))


def _tile(item: SheetTile) -> Markup:
    below = el("div", item.below, cls="of") if item.below else None
    return el(
        "div", el("div", item.label, cls="label"), el("div", item.value, cls=f"value {item.tone}"), below, cls="tile"
    )


def _section(item: SheetSection) -> Markup:
    notes = (el("p", note.text, cls=f"note {note.tone}".strip()) for note in item.notes)
    table = _scrolled(item.title, item.table) if item.table else None
    lines = el("div", *map(_line, item.lines), cls="r-lines") if item.lines else None
    return el("section", el("h2", item.title), *notes, lines, table, cls=f"panel r-{item.key}")


def _line(item: SheetLine) -> Markup:
    drawn = []
    for kind, points in (("aim", item.aims), ("reached", item.values)):
        drawn += [
            el("path", d=path, cls=kind, vector_effect="non-scaling-stroke")
            for path in paths(points, lambda x, y: f"{100 * x:.2f} {100 - 100 * y:.2f}")
        ]
    svg = el("svg", *drawn, viewBox="0 0 100 100", preserveAspectRatio="none", aria_hidden="true")
    last = max(len(item.values) - 1, 1)
    marks = (
        el("i", style=f"left:{100 * index / last:.2f}%", cls="mark", title=text) for index, text in item.marks.items()
    )
    rules = (el("span", f"{level}", style=f"bottom:{level}%") for level in (0, 50, 100))
    below = el("div", el("span", item.low), el("span", item.high), cls="below")
    area = el("div", *rules, svg, *marks, cls="drawn")
    return el("figure", el("figcaption", item.title), area, below, cls="r-line", role="img", aria_label=item.alt)


def paths(points: Sequence[float | None], at: Callable[[float, float], str]) -> list[str]:
    """Stretches without a gap as paths of SVG; a single point is a short dash. at: writes a point, both 0 to 1."""
    last, out = max(len(points) - 1, 1), []
    for start, end in stretches(points):
        xs = [(index / last, min(max(points[index] or 0.0, 0.0), 1.0)) for index in range(start, end)]
        if len(xs) == 1:
            xs = [(max(xs[0][0] - 0.012, 0.0), xs[0][1]), (min(xs[0][0] + 0.012, 1.0), xs[0][1])]
        out.append("M" + "L".join(at(x, y) for x, y in xs))
    return out


def _scrolled(title: str, table: SheetTable) -> Markup:
    """The table; a wide one scrolls on a phone, by the keyboard too."""
    if len(table.heads) < _WIDE:
        return el("div", _table(table), cls="scroll")
    return el("div", _table(table), cls="scroll", tabindex="0", role="region", aria_label=title)


def _table(table: SheetTable) -> Markup:
    def cell(index: int, item: SheetCell) -> Markup:
        css = f"{'num ' if index in table.numeric else ''}{item.tone}".strip()
        below = el("small", item.below) if item.below else None
        return el("td", item.text, below, cls=css)

    def line(row: SheetRow) -> Markup:
        cells: list[Child] = [cell(index, item) for index, item in enumerate(row.cells)]
        if table.bars:
            cells.insert(1, el("td", _bar(row), cls="bars"))
        return el("tr", *cells, cls="total" if row.kind == "total" else "")

    heads: list[Child] = [
        el("th", text, cls="num" if index in table.numeric else "") for index, text in enumerate(table.heads)
    ]
    if table.bars:
        heads.insert(1, el("th", ""))
    return el(
        "table",
        el("thead", el("tr", *heads)),
        el("tbody", *(line(row) for row in table.rows)),
        cls="tall" if table.tall else "",
    )


def _bar(row: SheetRow) -> Markup | None:
    if row.bar is None:
        return None
    left, right = row.bar
    return el("i", style=f"left:{100 * left:.2f}%;width:{100 * (right - left):.2f}%", cls=f"w-{row.kind}")


def mail_html(sheet: ReportSheet, link: str = "") -> str:
    """The report as the body of a mail. link: address of its page, "" where it has none."""
    tiles = (
        el(
            "td",
            el("div", item.label, style="font-size:12px;color:#56625d"),
            el("div", item.value, style=f"font-size:20px;color:{_INK[item.tone]}"),
            el("div", item.below, style="font-size:12px;color:#56625d"),
            style="padding:8px 18px 8px 0;vertical-align:top",
        )
        for item in sheet.tiles
    )
    title = el(
        "h1",
        el("a", sheet.title, href=link, style="color:#0b6e74") if link else sheet.title,
        style="font-size:20px;margin:0 0 4px",
    )
    body = el(
        "body",
        title,
        el("p", sheet.subtitle, style="color:#56625d;margin:0 0 8px"),
        el("table", el("tr", *tiles), cellspacing="0"),
        *(_mail_section(item) for item in sheet.sections),
        style=f"{_FONT};font-size:14px;color:{_INK['']};margin:16px;max-width:860px",
    )
    return "<!DOCTYPE html>\n" + el(
        "html", el("head", el("meta", charset="utf-8"), el("title", sheet.title)), body, lang=sheet.lang
    )


def _mail_section(item: SheetSection) -> Markup:
    notes = (el("p", note.text, style=f"margin:4px 0;color:{_INK[note.tone]}") for note in item.notes)
    return join(
        el("h2", item.title, style="font-size:16px;margin:22px 0 6px"),
        *notes,
        _mail_table(item.table) if item.table else None,
    )


def _mail_table(table: SheetTable) -> Markup:
    def cell(index: int, item: SheetCell) -> Markup:
        style = f"padding:5px 10px 5px 0;{_RULE};color:{_INK[item.tone]};vertical-align:top"
        style += ";text-align:right" if index in table.numeric else ""
        style += ";font-weight:600" if item.tone == "strong" else ""
        below = el("div", item.below, style="font-size:12px;font-weight:400;color:#6b7671") if item.below else None
        return el("td", item.text, below, style=style)

    heads = (
        el(
            "th",
            text,
            style=f"padding:4px 10px 4px 0;{_RULE};font-size:12px;color:#56625d;text-align:{'right' if index in table.numeric else 'left'}",
        )
        for index, text in enumerate(table.heads)
    )
    rows = (el("tr", *(cell(index, item) for index, item in enumerate(row.cells))) for row in table.rows)
    return el("table", el("tr", *heads), *rows, cellspacing="0", style="border-collapse:collapse;width:100%")


def mail_text(sheet: ReportSheet, link: str = "") -> str:
    """The report as plain text, for readers without HTML."""
    lines = [sheet.title, sheet.subtitle, *([link] if link else []), ""]
    lines += [f"{item.label}: {item.value}" + (f" ({item.below})" if item.below else "") for item in sheet.tiles]
    for section in sheet.sections:
        lines += ["", section.title, *(note.text for note in section.notes)]
        if section.table:
            lines += [" | ".join(section.table.heads)]
            lines += [" | ".join(_plain(cell) for cell in row.cells) for row in section.table.rows]
    return "\n".join(lines) + "\n"


def _plain(cell: SheetCell) -> str:
    return f"{cell.text} ({cell.below})" if cell.below else cell.text
