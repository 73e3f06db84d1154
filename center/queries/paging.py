"""Long answers in pages. Pure.

`limit` and `offset` select a page; the address of the next one is in the answer (`next`) and in the header `Link`
(RFC 8288). That address fixes both ends of the window, so that new data does not move rows between pages.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

MAX_ROWS: Final = 10_000
"""Rows of a page unless asked otherwise: a month by hour for thirteen machines."""
MOST_ROWS: Final = 100_000


def cut(answer: Mapping[str, Any], limit: int, offset: int) -> tuple[dict[str, Any], int | None]:
    """The answer with this page of its `rows`, and the offset of the next page; None on the last one.

    An answer that has a `total` larger than its rows is this page already.
    """
    rows: Sequence[Any] = answer["rows"]
    if answer.get("total", len(rows)) > len(rows):
        more = offset + len(rows) < answer["total"]
        return dict(answer), offset + len(rows) if more and rows else None
    more = offset + limit < len(rows)
    return {**answer, "rows": rows[offset : offset + limit]}, offset + limit if more else None


def address(path: str, parameters: Sequence[tuple[str, str]], answer: Mapping[str, Any], offset: int) -> str:
    """Where the next page is: the same question with the answer's own window.

    parameters: of this request, as they were sent.
    """
    pinned = {key: str(answer[key]) for key in ("from", "to") if key in answer}
    others = [(key, value) for key, value in parameters if key not in ("offset", "from", "to")]
    return f"{path}?{urlencode([*others, *pinned.items(), ('offset', str(offset))])}"


def link(url: str) -> str:
    """The header's text."""
    return f'<{url}>; rel="next"'
