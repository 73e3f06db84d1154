"""The page's routes (Starlette), behind one gate that every request passes."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from mimetypes import guess_type
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.andon.entries.forms import MOST_ENTRIES, Reply
from agent.andon.http.audience import Audience
from agent.andon.http.guard import COOKIE, HEADER, PinGuard, host_fits, is_near, origin_fits
from agent.andon.http.page_files import PageFile
from agent.outbox.disk import CannotStore, CorruptOutbox

MOST_BYTES: Final = 64 * 1024
MOST_TABLETS: Final = 40
_BODY_S: Final = 10.0
_QUIET_S: Final = 15.0
_YEAR_S: Final = 366 * 86_400
_OPEN: Final = ("/pin", "/words.json")
"""Answered to who has not given the PIN, beside the page's own files, which hold nothing of the factory."""
_METRICS: Final = "/metrics"
_SECURITY: Final = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True)
class Services:
    """What the routes call. files: the page by path; site, words: JSON; photos: files by reason; take: takes entries;
    confirm_clock: a person says what time it is [ns UTC]; tech: the technician's view, with the tags of one device;
    metrics: for Prometheus.
    """

    files: Mapping[str, PageFile]
    site: PageFile
    words: Callable[[], Awaitable[PageFile]]
    photos: Mapping[str, Path]
    audience: Audience
    guard: PinGuard
    take: Callable[[list[Any]], Awaitable[list[Reply]]]
    confirm_clock: Callable[[int], None]
    tech: Callable[[str], dict[str, Any]]
    metrics: Callable[[], Awaitable[str]] | None = None
    names: frozenset[str] = field(default_factory=frozenset)


def application(services: Services, *, page_port: int, metrics_port: int | None = None) -> ASGIApp:
    """The whole application. A path is answered on the port that it belongs to."""
    routes = [
        *(Route(path, _file(file)) for path, file in services.files.items()),
        Route("/site.json", _file(services.site)),
        Route("/words.json", _words(services)),
        Route("/photo/{reason}", _photo(services)),
        Route("/events", _events(services)),
        Route("/entries", _entries(services), methods=["POST"]),
        Route("/pin", _pin(services.guard), methods=["POST"]),
        Route("/clock", _clock(services), methods=["POST"]),
        Route("/tech.json", _tech(services)),
    ]
    if services.metrics is not None:
        routes.append(Route(_METRICS, _metrics(services.metrics)))
    return _Gate(Starlette(routes=routes), services, page_port, metrics_port)


class _Gate:
    """Refuses what is not meant for this page, before any route sees it, and adds the headers of every answer."""

    def __init__(self, app: ASGIApp, services: Services, page_port: int, metrics_port: int | None) -> None:
        self._app, self._services = app, services
        self._page_port, self._metrics_port = page_port, metrics_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_SECURITY)
            await send(message)

        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        peer = scope["client"][0] if scope.get("client") else ""
        if not is_near(peer):
            return _problem(403, "far")
        port = scope["server"][1] if scope.get("server") else None
        if port not in {self._metrics_port if path == _METRICS else self._page_port, None}:
            return _problem(404, "nothing here")
        host = headers.get("host", "")
        if not host_fits(host, self._services.names):
            return _problem(421, "host")
        if path == _METRICS:
            return None
        if scope["method"] not in ("GET", "HEAD"):
            typed = headers.get("content-type", "").partition(";")[0].strip()
            own = headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
            if HEADER not in headers or typed != "application/json" or not own:
                return _problem(403, "foreign")
            if not origin_fits(headers.get("origin", ""), host):
                return _problem(403, "origin")
        is_open = path in self._services.files or path in _OPEN
        if not is_open and not self._services.guard.knows(Request(scope).cookies.get(COOKIE, "")):
            return _problem(401, "pin")
        return None


Endpoint = Callable[[Request], Awaitable[Response]]


def _file(file: PageFile) -> Endpoint:
    async def answer(request: Request) -> Response:
        return _answer_file(file, request)

    return answer


def _answer_file(file: PageFile, request: Request) -> Response:
    headers = {"cache-control": "no-cache", "etag": file.etag, "vary": "accept-encoding"}
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    packed = "gzip" in request.headers.get("accept-encoding", "")
    if packed:
        headers["content-encoding"] = "gzip"
    return Response(file.packed if packed else file.unpacked(), media_type=file.media_type, headers=headers)


def _words(services: Services) -> Endpoint:
    async def answer(request: Request) -> Response:
        return _answer_file(await services.words(), request)

    return answer


def _photo(services: Services) -> Endpoint:
    async def answer(request: Request) -> Response:
        path = services.photos.get(request.path_params["reason"])
        if path is None:
            return _problem(404, "no photo")
        try:
            photo = await asyncio.to_thread(path.read_bytes)
        except OSError:
            return _problem(404, "no photo")
        return Response(photo, media_type=guess_type(path.name)[0], headers={"cache-control": "max-age=3600"})

    return answer


def _events(services: Services) -> Endpoint:
    async def answer(request: Request) -> Response:
        if len(services.audience) >= MOST_TABLETS:
            return _problem(503, "too many pages are open")
        machines = [name for name in request.query_params.get("m", "").split(",") if name]
        return _EventStream(_stream(services.audience, machines))

    return answer


class _EventStream(Response):
    """Server-sent events until the page is gone; the framework's own would load a library of a megabyte for it."""

    def __init__(self, texts: AsyncGenerator[str, None]) -> None:
        super().__init__(None, 200, {"cache-control": "no-store", "x-accel-buffering": "no"}, "text/event-stream")
        del self.headers["content-length"]
        self._texts = texts

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        work = (asyncio.ensure_future(self._send(send)), asyncio.ensure_future(_gone(receive)))
        try:
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in work:
                task.cancel()
            for result in await asyncio.gather(*work, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._texts) as texts:
            async for text in texts:
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _stream(audience: Audience, machines: list[str]) -> AsyncGenerator[str, None]:
    with audience.open(machines) as tablet:
        yield "retry: 2000\n\n"
        while not audience.closed:
            try:
                async with asyncio.timeout(_QUIET_S):
                    events = await tablet.take()
            except TimeoutError:
                yield ":\n\n"
                continue
            yield "".join(f"event: {event}\ndata: {text}\n\n" for event, text in events)


def _entries(services: Services) -> Endpoint:
    async def answer(request: Request) -> Response:
        sent = await _json_body(request)
        if not isinstance(sent, dict) or not isinstance(sent.get("entries"), list):
            return _problem(400, "entries")
        if len(sent["entries"]) > MOST_ENTRIES:
            return _problem(413, "too many entries")
        try:
            replies = await services.take(sent["entries"])
        except (CannotStore, CorruptOutbox):
            return _problem(503, "the disk refuses")  # the tablet keeps them; logged by the outbox's thread
        return JSONResponse({"entries": replies})

    return answer


def _pin(guard: PinGuard) -> Endpoint:
    async def answer(request: Request) -> Response:
        sent = await _json_body(request)
        pin = sent.get("pin") if isinstance(sent, dict) else None
        if not isinstance(pin, str):
            return _problem(400, "pin")
        address, now_s = request.client.host if request.client else "", time.monotonic()
        if wait_s := guard.wait_s(address, now_s):
            return JSONResponse({"right": False, "wait_s": round(wait_s)}, 429)
        if not guard.check(pin, address, now_s):
            return JSONResponse({"right": False, "wait_s": round(guard.wait_s(address, now_s))}, 403)
        response = JSONResponse({"right": True})
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, guard.cookie, _YEAR_S, httponly=True, samesite="strict", secure=secure)
        return response

    return answer


def _clock(services: Services) -> Endpoint:
    async def answer(request: Request) -> Response:
        sent = await _json_body(request)
        at_ms = sent.get("at_ms") if isinstance(sent, dict) else None
        if not isinstance(at_ms, int) or isinstance(at_ms, bool) or not 0 < at_ms < 2**43:
            return _problem(400, "at_ms")
        try:
            await asyncio.to_thread(services.confirm_clock, at_ms * 1_000_000)
        except OSError:
            return _problem(503, "the disk refuses")
        return JSONResponse({"confirmed": True})

    return answer


def _tech(services: Services) -> Endpoint:
    async def answer(request: Request) -> Response:
        return JSONResponse(
            services.tech(request.query_params.get("device", "")), headers={"cache-control": "no-store"}
        )

    return answer


def _metrics(text: Callable[[], Awaitable[str]]) -> Endpoint:
    from wire.prometheus import CONTENT_TYPE  # noqa: PLC0415  # costs a megabyte, so only where metrics are on

    async def answer(_request: Request) -> Response:
        return Response(await text(), media_type=CONTENT_TYPE)

    return answer


async def _json_body(request: Request) -> Any:
    """The decoded body; None if it is too large, too slow, not complete, or not JSON."""
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BYTES:
                    return None
        return json.loads(body)
    except (TimeoutError, ClientDisconnect, ValueError, RecursionError):
        return None


def _problem(status: int, why: str) -> Response:
    return JSONResponse({"problem": why}, status)
