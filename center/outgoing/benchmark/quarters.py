"""Quarters, and a quarter's table as canonical JSON: integers, words of closed lists and no name of anything. Pure."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from oee.benchmark.table import CellKey, ShownCell

FORMAT: Final = 1
MILLION: Final = 1_000_000
SETTLING: Final = timedelta(days=10)
"""So long after its end a quarter waits for late data."""
_QUARTER: Final = re.compile(r"\d{4}-Q[1-4]")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TableCell(_Part):
    """A cell that may be shown. trade: "" for all trades; sites: how many contribute, as a band; p25_u, p50_u, p75_u: [millionths of
    the measure's unit].
    """

    trade: str
    kind: str
    measure: str
    sites: str
    p25_u: int
    p50_u: int
    p75_u: int


class QuarterTable(_Part):
    """What is published of a quarter."""

    format: int
    quarter: str
    cells: tuple[TableCell, ...]


def is_quarter(text: str) -> bool:
    """Whether it is a quarter as in `2026-Q1`."""
    return bool(_QUARTER.fullmatch(text)) and 1970 < int(text[:4]) < 2200


def quarter_of(day: date) -> str:
    """The quarter of a day."""
    return f"{day.year:04d}-Q{(day.month + 2) // 3}"


def quarter_ends(quarter: str) -> tuple[date, date]:
    """Its first day, and the first day after it."""
    year, number = int(quarter[:4]), int(quarter[6])
    first = date(year, 3 * number - 2, 1)
    return first, date(year + number // 4, 3 * number % 12 + 1, 1)


def last_settled(today: date) -> str:
    """The last quarter that has ended and whose late data have come."""
    first, _ = quarter_ends(quarter_of(today - SETTLING))
    return quarter_of(first - timedelta(days=1))


def table_of_cells(quarter: str, cells: Mapping[CellKey, ShownCell]) -> QuarterTable:
    """The table of what `oee.benchmark.table.shown_cells` shows."""
    rows = []
    for key, cell in sorted(cells.items()):
        found = cell.quartiles
        parts = {f"{name}_u": round(getattr(found, name) * MILLION) for name in ("p25", "p50", "p75")}
        rows.append(TableCell(trade=key.trade, kind=key.kind, measure=key.measure, sites=cell.sites, **parts))
    return QuarterTable(format=FORMAT, quarter=quarter, cells=tuple(rows))


def written(table: QuarterTable) -> bytes:
    """As UTF-8 JSON with sorted keys and without spaces."""
    plain: Any = table.model_dump(mode="json")
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def digest_of_table(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
