"""How a device's recorded file is written, where it differs from what `nhip replay` reads without being told."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from config.yaml.common import Strict
from config.yaml.complaints import InvalidValue

IGNORED: Final = "-"
"""In `columns` and `names`: a column that is not read."""
TIME, DATE, OFFSET, TAG, VALUE, QUALITY = "time", "date", "offset", "tag", "value", "quality"
ROLES: Final = (TIME, DATE, OFFSET, TAG, VALUE, QUALITY)
"""What a column may be instead of a tag: the time or its parts, or one of a file with a row for each value of a tag."""
EXCEL: Final = "excel"
_DATES: Final = re.compile(r"(dd|mm|yyyy|yy)([/.-])(dd|mm|yyyy|yy)\2(dd|mm|yyyy|yy)")


def _dates(value: Any) -> str:
    text = value.strip().lower() if isinstance(value, str) else ""
    match = _DATES.fullmatch(text)
    if text in ("", EXCEL) or (match and sorted(part[0] for part in match.group(1, 3, 4)) == ["d", "m", "y"]):
        return text
    raise InvalidValue("bad_dates", "write the order of day, month and year: dd/mm/yyyy, mm/dd/yyyy; or excel")


class RecordingModel(Strict):
    """How one device's file is written."""

    skip_lines: int = Field(0, ge=0, le=1000, description="Lines before the header that are no part of the table.")
    columns: tuple[str, ...] = Field(
        (),
        description="The columns in order, of a file without a header: a tag, time, date, offset, tag, value, quality, "
        "or - for one that is not read.",
        examples=["[time, running, strokes]"],
    )
    names: dict[str, str] = Field(
        {},
        description="What the file calls a column (or a tag, in a file with a row for each value): what it is here.",
        examples=['{"Ngày giờ": time, "Sản lượng [cái]": strokes}'],
    )
    words: dict[str, float] = Field(
        {}, description="Words in columns of numbers: their value.", examples=["{ON: 1, OFF: 0, START: 1, STOP: 0}"]
    )
    dates: Annotated[str, BeforeValidator(_dates)] = Field(
        "", description="How dates are written: dd/mm/yyyy, mm/dd/yyyy, dd.mm.yy ..., or excel (days since 1900)."
    )
    timezone: str = Field("", description="Zone of times without an offset; default: the site's.", examples=["UTC"])
    decimal: Literal["point", "comma"] | None = Field(
        None, description="The decimal mark; the other mark then separates thousands."
    )
    order: Literal["oldest_first", "newest_first", "any"] = Field(
        "oldest_first", description="Order of the rows; `any` holds the whole file in memory."
    )
    counts: dict[str, str] = Field(
        {},
        description="A counter that the file does not have: the tag whose changes from 0 it counts.",
        examples=["{strokes: running}"],
    )

    @property
    def decimal_mark(self) -> str:
        """`,` or `.`; "" where the file must show it."""
        return {None: "", "point": ".", "comma": ","}[self.decimal]
