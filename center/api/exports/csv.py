"""CSV that Excel in Vietnam and any program can read: UTF-8 with a byte order mark, commas, ISO 8601 times.

Unknown values are empty cells, never zero. Texts that a spreadsheet would run as a formula get an apostrophe in front,
since product names come from PLCs and reasons from people at the machine (CSV injection).
"""

import csv
import io
from datetime import datetime
from typing import Any, Final

from center.api.exports.table import ExportTable

MEDIA_TYPE: Final = "text/csv; charset=utf-8"
_FORMULA: Final = ("=", "+", "-", "@", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}",
                   "\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}")  # fmt: skip
_CONTROL: Final = ("\t", "\r", "\n")
_UNSEEN: Final = "\ufeff\u200b\u200c\u200d\u2060"
"""Characters without width, which spreadsheets may drop as they drop blanks."""


def write(table: ExportTable, _lang: str) -> bytes:
    """The table with the API's names in its first line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([column.key for column in table.columns])
    writer.writerows(zip(*([_cell(item) for item in column.values] for column in table.columns), strict=True))
    return text.getvalue().encode("utf-8-sig")


def _runs(text: str) -> bool:
    """Whether a spreadsheet might run it: some look behind blanks, or take full-width characters for the narrow ones."""
    seen, before = text.lstrip().lstrip(_UNSEEN), ""
    while seen != before:
        seen, before = seen.lstrip().lstrip(_UNSEEN), seen
    return text.startswith(_CONTROL) or seen.startswith(_FORMULA)


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return f"'{value}" if len(value) > 1 and _runs(value) else value
    return (
        {None: "", True: "true", False: "false"}.get(value, value) if isinstance(value, (bool, type(None))) else value
    )
