"""Answers of the API as files for other programs: CSV, Parquet and Excel.

One table for all three (`table`), one file for each format, named after the parameter's value (`?format=csv`). A format is a
function `write(table, lang) -> bytes` beside `MEDIA_TYPE`; a new format is a new file.
"""

import importlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from center.api.exports.table import ExportTable, table_of

__all__ = ["FORMATS", "ExportTable", "Exported", "export", "table_of"]

FORMATS: Final = ("csv", "parquet", "xlsx")


class Exported(NamedTuple):
    """A file: its content, its media type, and a name for it."""

    content: bytes
    media_type: str
    name: str


def export(form: str, subject: str, answer: Mapping[str, Any], lang: str) -> Exported:
    """An answer of the API as a file of one of `FORMATS`.

    subject: `trend`, `losses`, `stops` ...: what the rows are, for the file's name and headings.
    lang: of names, and of headings where people read them (Excel); CSV and Parquet use the API's own names.
    """
    writer = importlib.import_module(f"center.api.exports.{form}")  # pyarrow is loaded only for Parquet
    table = table_of(subject, answer, lang)
    return Exported(writer.write(table, lang), writer.MEDIA_TYPE, f"{table.name}.{form}")
