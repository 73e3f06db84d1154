"""Excel for people: headings in their language, local times, lengths in minutes, ratios in percent, a sheet that
describes the query.

Texts are written as strings, so none can become a formula.
"""

import io
from datetime import datetime, timedelta
from typing import Any, Final

import xlsxwriter

from center.api.exports.table import Column, ExportTable
from words import say
from words.catalogue import catalogue

MEDIA_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_MOST_ROWS: Final = 1_048_575
_WORDS: Final = {
    "state": "state",
    "calendar": "calendar",
    "step": "waterfall",
    "of": "waterfall",
    "group": "loss_group",
    "big_loss": "loss",
}
"""Columns whose values are words of the catalogue, and under which name."""
_WIDTHS: Final = {"time": 17, "text": 16, "integer": 11, "number": 11, "truth": 8}


def write(table: ExportTable, lang: str) -> bytes:
    """A workbook of two sheets: the rows, and what they are."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "default_date_format": "yyyy-mm-dd hh:mm"})
    book.set_properties({"title": table.name, "comments": "Nhịp"})
    _rows(book, table, lang)
    _about(book, table, lang)
    book.close()
    return out.getvalue()


def _rows(book: Any, table: ExportTable, lang: str) -> None:
    sheet = book.add_worksheet(say("export.sheet.rows", lang))
    head = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 1, "bg_color": "#EEF2F5"})
    sheet.set_row(0, 45)
    sheet.freeze_panes(1, min(2, len(table.columns)))
    for index, column in enumerate(table.columns):
        sheet.set_column(index, index, _WIDTHS[column.kind], book.add_format({"num_format": _number_format(column)}))
        sheet.write_string(0, index, heading(column, lang), head)
        write_cell = {"text": sheet.write_string, "time": sheet.write_datetime, "truth": sheet.write_boolean}.get(
            column.kind, sheet.write_number
        )
        for row, value in enumerate(column.values[:_MOST_ROWS], 1):
            if value is not None:
                write_cell(row, index, _cell(column, value, lang))
    if table.columns and len(table):
        sheet.autofilter(0, 0, min(len(table), _MOST_ROWS), len(table.columns) - 1)


def _about(book: Any, table: ExportTable, lang: str) -> None:
    sheet = book.add_worksheet(say("export.sheet.about", lang))
    sheet.set_column(0, 0, 18)
    sheet.set_column(1, 1, 60)
    for row, (key, value) in enumerate(table.about.items()):
        sheet.write_string(row, 0, say(f"export.{key}", lang))
        sheet.write_string(row, 1, value)
    sheet.write_string(len(table.about) + 1, 0, say("export.note", lang))


def heading(column: Column, lang: str) -> str:
    """The column's name for people, with its unit."""
    words = catalogue()
    stem = column.key.removesuffix("_ms")
    for key in (f"kpi.{column.key}", f"state.{stem}", f"export.{column.key}"):
        if key in words:
            name = words[key][lang]
            return f"{name} [{say('export.minutes', lang)}]" if column.is_ms else name
    return f"{stem} [{say('export.minutes', lang)}]" if column.is_ms else column.key


def _number_format(column: Column) -> str:
    if column.kind == "time":
        return "yyyy-mm-dd hh:mm:ss" if column.key in ("end", "since") else "yyyy-mm-dd hh:mm"
    if column.is_ratio:
        return "0.0%"
    if column.is_ms or column.kind == "number":
        return "#,##0.0"
    return "#,##0" if column.kind == "integer" else "General"


def _cell(column: Column, value: Any, lang: str) -> Any:
    if isinstance(value, datetime):  # Excel has no time zones: the site's local time, as the second sheet states
        return value.replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, timedelta):
        return value.total_seconds()
    if column.is_ms:
        return value / 60_000
    if column.kind == "text" and column.key in _WORDS:
        key = f"{_WORDS[column.key]}.{value}"
        return catalogue()[key][lang] if key in catalogue() else value
    return value
