"""How a long answer leaves the API: whole or in pages, as JSON or as a file, and not at all to who has it already.

A question names its subject and how to answer it; `Presenting` brings what the client asked of the form. The `ETag` is
the answer's stamp (`center.api.cache`), so a page that looks again every minute costs a 304 while nothing changed.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Query, Request, Response

from center.api.cache import Answers, Kept, stamp
from center.exports import export
from center.queries.paging import MAX_ROWS, MOST_ROWS, address, cut, link
from center.runtime.state import CenterState

Format = Literal["json", "csv", "parquet", "xlsx"]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="Rows of a page; files have all of them.")]
Offset = Annotated[int, Query(ge=0, le=10_000_000, description="Rows before this page, as `next` says it.")]

FILES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "JSON, or the file asked for by `format`.",
        "headers": {
            "ETag": {"description": "Changes when the answer does.", "schema": {"type": "string"}},
            "Link": {"description": "The next page (RFC 8288).", "schema": {"type": "string"}},
        },
        "content": {
            "text/csv": {},
            "application/vnd.apache.parquet": {},
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": {},
        },
    },
    304: {"description": "Nothing has changed since the `ETag` that came in `If-None-Match`."},
}


@dataclass(frozen=True)
class Shown:
    """What the client wants of an answer's form."""

    request: Request
    format: Format
    lang: str
    limit: int
    offset: int


def _shown(
    request: Request,
    format: Annotated[Format, Query(description="json, or a file: csv, parquet, xlsx.")] = "json",  # noqa: A002
    lang: Annotated[Literal["vi", "en"], Query(description="Language of an Excel file.")] = "vi",
    limit: Limit = MAX_ROWS,
    offset: Offset = 0,
) -> Shown:
    return Shown(request, format, lang, limit, offset)


def _paging(request: Request, limit: Limit = MAX_ROWS, offset: Offset = 0) -> Shown:
    return Shown(request, "json", "vi", limit, offset)


Presenting = Annotated[Shown, Depends(_shown)]
"""Of an answer that may be a file."""
Paging = Annotated[Shown, Depends(_paging)]
"""Of a list."""


def present(
    center: CenterState,
    shown: Shown,
    subject: str,
    sites: Collection[str],
    window: tuple[int, int],
    ask: Callable[[], dict[str, Any]],
) -> Response:
    """The answer of `ask`, kept for whoever asks the same while nothing changes.

    sites, window: what the answer is about; the caller has made sure that the viewer sees the sites.
    Raises what `ask` raises.
    """
    asked = sorted(shown.request.query_params.multi_items())
    key = stamp(center, sites, shown.request.url.path, asked, window)
    headers = {"ETag": f'W/"{key}"', "Cache-Control": "private, no-cache"}
    if headers["ETag"] in (item.strip() for item in shown.request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    make = _page if shown.format == "json" else _file
    answers: Answers = shown.request.app.state.answers
    kept = answers.get(key, lambda: make(shown, subject, ask()))
    return Response(kept.content, headers=headers | dict(kept.headers))


def _page(shown: Shown, _subject: str, answer: dict[str, Any]) -> Kept:
    page, offset = cut(answer, shown.limit, shown.offset)
    request = shown.request
    after = None if offset is None else address(request.url.path, request.query_params.multi_items(), answer, offset)
    content = json.dumps(page | {"next": after}, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Kept(content.encode(), {"Content-Type": "application/json"} | ({"Link": link(after)} if after else {}))


def _file(shown: Shown, subject: str, answer: dict[str, Any]) -> Kept:
    made = export(shown.format, subject, answer, shown.lang)
    place = f'attachment; filename="{made.name}"'
    return Kept(made.content, {"Content-Type": made.media_type, "Content-Disposition": place})


def paged(shown: Shown, response: Response, answer: dict[str, Any]) -> dict[str, Any]:
    """A page of an answer that changes too fast to be kept, with the address of the next one."""
    page, offset = cut(answer, shown.limit, shown.offset)
    after = None
    if offset is not None:
        request = shown.request
        after = address(request.url.path, request.query_params.multi_items(), answer, offset)
        response.headers["Link"] = link(after)
    return page | {"next": after}


def part(shown: Shown, response: Response, rows: list[Any]) -> list[Any]:
    """A page of a plain list; where more follow, the header `Link` says so."""
    found: list[Any] = paged(shown, response, {"rows": rows})["rows"]
    return found
