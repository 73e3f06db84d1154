"""Responses to long answers: complete or in pages, as JSON or as a file, or "304 Not Modified".

A route names its subject and the query that computes the answer; `Presenting` holds the form that the client asked for.
The `ETag` is the answer's stamp, so a page that polls every minute costs a 304 while nothing has changed, and a second
person who opens the same page costs the store nothing.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar

from fastapi import Depends, Query, Request, Response

from center.api.exports import export
from center.model.sites import newest_bodies
from center.model.times import BadQuestion
from center.queries.paging import MAX_ROWS, MOST_ROWS, address, cut, link
from center.runtime.answer_cache import AnswerCache
from center.runtime.places import Places
from center.runtime.state import CenterState

T = TypeVar("T")
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


def _version() -> str:
    try:
        return version("nhip")
    except PackageNotFoundError:  # run from a checkout
        return "0"


PROGRAM: Final = _version()
"""Part of every stamp: another version of the program may answer differently."""


@dataclass(frozen=True)
class Presentation:
    """The form of the answer that the client asked for."""

    request: Request
    format: Format
    lang: str
    limit: int
    offset: int


async def _presentation(
    request: Request,
    format: Annotated[Format, Query(description="json, or a file: csv, parquet, xlsx.")] = "json",  # noqa: A002
    lang: Annotated[Literal["vi", "en"], Query(description="Language of an Excel file.")] = "vi",
    limit: Limit = MAX_ROWS,
    offset: Offset = 0,
) -> AsyncIterator[Presentation]:
    places: Places = request.app.state.places
    async with places.of(request.state.viewer.name if request.state.viewer else ""):
        yield Presentation(request, format, lang, limit, offset)


async def _paging(request: Request, limit: Limit = MAX_ROWS, offset: Offset = 0) -> Presentation:
    return Presentation(request, "json", "vi", limit, offset)


Presenting = Annotated[Presentation, Depends(_presentation)]
"""For an answer that may be a file, and takes work: each viewer has some places. Raises `TooManyQuestions`."""
Paging = Annotated[Presentation, Depends(_paging)]
"""For a list."""


_LONGEST_NS: Final = 3 * 366 * 86_400_000_000_000


class Rendered(NamedTuple):
    """An answer as it is sent: its bytes, and the headers that belong to it."""

    content: bytes
    headers: Mapping[str, str]


def stamp(center: CenterState, sites: Collection[str], *parts: object) -> str:
    """A digest of everything that an answer about these sites depends on: answers with the same stamp are the same.

    That is: what has been settled and stored of the sites' streams, their site files, targets, and the program.
    parts: whatever else the answer depends on: the question itself, its window with both ends fixed.
    """
    cache = center.ledger_cache
    dependencies = [PROGRAM, cache.generation, *map(str, parts)]
    for site, gateway in cache.gateways():
        if site in sites:
            states = sorted(cache.of_gateway(site, gateway).items(), key=lambda item: item[0].stream)
            dependencies += [f"{site}/{gateway}/{key.stream}/{state.marks}/{state.stored}" for key, state in states]
    for site in sites:
        current = cache.sites.current(site)
        dependencies += [site, current.body.config_hash if current else "", *cache.sites.machines(site)]
        dependencies += [repr(body.targets) for body in newest_bodies(cache.sites, site)]
        dependencies.append(repr(center.said_targets(site)))
    return hashlib.blake2b("\n".join(dependencies).encode(), digest_size=12).hexdigest()


def present(
    center: CenterState,
    presentation: Presentation,
    subject: str,
    sites: Collection[str],
    window: tuple[int | None, int | None],
    compute: Callable[[], Mapping[str, Any]],
) -> Response:
    """The answer that `compute` gives, cached for all who ask the same while nothing changes.

    sites, window: what the answer is about; the caller has made sure that the viewer may see the sites.
    Raises what `compute` raises, and `BadQuestion` for a file of too long a time.
    """
    start_ns, end_ns = window
    if (
        presentation.format != "json"
        and end_ns is not None
        and start_ns is not None
        and end_ns - start_ns > _LONGEST_NS
    ):
        raise BadQuestion("to: a file holds at most three years; ask for a longer time in pieces")
    parameters = sorted(presentation.request.query_params.multi_items())
    key = stamp(center, sites, presentation.request.url.path, parameters, window)
    headers = {"ETag": f'W/"{key}"', "Cache-Control": "private, no-cache"}
    if headers["ETag"] in (item.strip() for item in presentation.request.headers.get("if-none-match", "").split(",")):
        return Response(status_code=304, headers=headers)
    render = _page if presentation.format == "json" else _file
    cache: AnswerCache = presentation.request.app.state.answers
    rendered = cache.get(key, lambda: render(presentation, subject, compute()), lambda response: len(response.content))
    return Response(rendered.content, headers=headers | dict(rendered.headers))


def _page(presentation: Presentation, _subject: str, answer: Mapping[str, Any]) -> Rendered:
    page, url = _cut(presentation, answer)
    content = json.dumps(page | {"next": url}, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Rendered(content.encode(), {"Content-Type": "application/json"} | ({"Link": link(url)} if url else {}))


def _file(presentation: Presentation, subject: str, answer: Mapping[str, Any]) -> Rendered:
    exported = export(presentation.format, subject, answer, presentation.lang)
    disposition = f'attachment; filename="{exported.name}"'
    return Rendered(exported.content, {"Content-Type": exported.media_type, "Content-Disposition": disposition})


def _cut(presentation: Presentation, answer: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The page asked for, and the address of the next one."""
    page, offset = cut(answer, presentation.limit, presentation.offset)
    request = presentation.request
    return page, (
        None if offset is None else address(request.url.path, request.query_params.multi_items(), answer, offset)
    )


def paged(presentation: Presentation, response: Response, answer: Mapping[str, Any]) -> dict[str, Any]:
    """A page of an answer that changes too fast to be cached, with the address of the next one."""
    page, url = _cut(presentation, answer)
    if url:
        response.headers["Link"] = link(url)
    return page | {"next": url}


def paged_list(presentation: Presentation, response: Response, rows: Sequence[T]) -> list[T]:
    """A page of a plain list; the header `Link` has the address of the next one."""
    page: list[T] = paged(presentation, response, {"rows": rows})["rows"]
    return page
