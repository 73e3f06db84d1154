"""Tables of firms as CSV and Excel files: read within bounds, and written."""

import csv
import io
import zipfile
from collections.abc import Sequence
from typing import Any, Final

from center.api.exports import Exported, export
from center.database.directory import Firm
from center.outgoing.directory.rows import COLUMNS, MOST_ROWS, row_of
from words import LANGUAGES
from words.catalogue import catalogue

MOST_FILE: Final = 2_000_000
"""Of an uploaded file [B]."""
_MOST_UNPACKED: Final = 40_000_000
"""Of an Excel file's parts [B], which may be packed a thousandfold."""
_MOST_COLUMNS: Final = 64


class UnreadableFile(ValueError):
    """A file that is no table; the text says what to do."""


def table_of_file(content: bytes) -> list[list[object]]:
    """The rows of an Excel file's first sheet, or of a CSV file. Raises `UnreadableFile`."""
    if len(content) > MOST_FILE:
        raise UnreadableFile(f"the file has {len(content)} bytes, more than {MOST_FILE}; divide it")
    return _excel(content) if content.startswith(b"PK") else _csv(content)


def _excel(content: bytes) -> list[list[object]]:
    from openpyxl import load_workbook  # noqa: PLC0415  # only where a file is read

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            size = sum(item.file_size for item in parts.infolist())
        book = (
            load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
            if size <= _MOST_UNPACKED
            else None
        )
        sheet = book.worksheets[0] if book else None
        rows = sheet.iter_rows(max_row=MOST_ROWS + 2, max_col=_MOST_COLUMNS, values_only=True) if sheet else ()
        found = [list(row) for row in rows]
    except Exception as error:  # the library raises whatever its parts do
        told = f"no Excel file that can be read ({type(error).__name__}); save it as .xlsx or .csv"
        raise UnreadableFile(told) from error
    if size > _MOST_UNPACKED:
        raise UnreadableFile(f"the file unpacks to {size} bytes, more than {_MOST_UNPACKED}; divide it")
    return found


def _csv(content: bytes) -> list[list[object]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"byte {error.start} is no UTF-8; save it as CSV UTF-8 or as .xlsx") from error
    first = text.partition("\n")[0]
    separator = max((",", ";", "\t"), key=first.count)
    try:
        rows: Sequence[Any] = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise UnreadableFile(f"no table: {error}; save it as CSV UTF-8 or as .xlsx") from error
    return [list(row) for row in rows[: MOST_ROWS + 2]]


def file_of_firms(found: Sequence[Firm], form: str, lang: str) -> Exported:
    """The firms as a file of one of `center.api.exports.FORMATS`, which `table_of_file` and `read_rows` read again."""
    rows = [row_of(firm) for firm in found] or [dict.fromkeys(COLUMNS, "")]
    return export(form, "directory", {"rows": rows}, lang)


def written_words() -> dict[str, dict[str, str]]:
    """What people may write for columns, trades and kinds, in each language."""
    words = catalogue()
    out: dict[str, dict[str, str]] = {"columns": {}, "trade": {}, "kinds": {}}
    for prefix, part in (("export.", "columns"), ("trade.", "trade"), ("machine_kind.", "kinds")):
        for key, texts in words.items():
            stem = key.removeprefix(prefix)
            if key.startswith(prefix) and (part != "columns" or stem in COLUMNS):
                out[part] |= {texts[lang]: stem for lang in LANGUAGES}
    return out
