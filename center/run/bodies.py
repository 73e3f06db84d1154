"""How large a request's body may be, and how long it may take: one middleware before everything that reads one.

64 kB, and more only for a route that says so in its description: `openapi_extra={"x-most-bytes": ...}`. Bytes are counted
as they arrive; Content-Length only lets a request be refused sooner.
"""

import asyncio
import contextlib
import re
from collections.abc import Iterable
from typing import Final

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from center.api.outside import inside_of
from center.api.problems import problem

MOST_BYTES: Final = 65_536
BODY_S: Final = 30.0
MOST_OF_A_ROUTE: Final = "x-most-bytes"
_LINGER_S: Final = 2.0
_BODILESS: Final = (b"0", b"")


class _Refused(Exception):
    """Ends the reading of a body. status: of the answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Bodies:
    """ASGI middleware. routes: of the application; body_s: time for 64 kB [s]."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute], body_s: float) -> None:
        self._app, self._routes, self._body_s = app, routes, body_s
        self._larger: list[tuple[re.Pattern[str], int]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI specifies."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._most_bytes(scope)
        await _Body(self._app, most, self._body_s * most / MOST_BYTES).answer(scope, receive, send)

    def _most_bytes(self, scope: Scope) -> int:
        if self._larger is None:  # with the first request every route has been added
            said = [(route, getattr(route, "openapi_extra", None) or {}) for route in self._routes]
            self._larger = [
                (route.path_regex, int(extra[MOST_OF_A_ROUTE]))
                for route, extra in said
                if isinstance(route, Route) and MOST_OF_A_ROUTE in extra
            ]
        path = inside_of(scope)
        return next((most for regex, most in self._larger if regex.match(path)), MOST_BYTES)


class _Body:
    """One request. most: bytes; within_s: from the head on [s]."""

    def __init__(self, app: ASGIApp, most: int, within_s: float) -> None:
        self._app, self._most, self._within_s = app, most, within_s
        self._bytes, self._complete, self._started = 0, False, False
        self._refusal: _Refused | None = None

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        self._complete = length in _BODILESS and b"transfer-encoding" not in headers
        until_s = asyncio.get_running_loop().time() + self._within_s

        async def counted() -> Message:
            if self._complete:
                return await receive()
            if self._refusal is not None:
                raise self._refusal
            try:
                async with asyncio.timeout_at(until_s):
                    message = await receive()
            except TimeoutError:
                self._refusal = _Refused(408, f"the body did not arrive within {self._within_s:.0f} s")
                raise self._refusal from None
            self._bytes += len(message.get("body", b""))
            if self._bytes > self._most:
                self._refusal = self._too_large()
                raise self._refusal
            self._complete = not message.get("more_body", False)
            return message

        async def answered(message: Message) -> None:
            if self._refusal is not None and not self._started:
                return  # what the route makes of a body that ended early; the refusal is sent instead
            if message["type"] == "http.response.start":
                self._started = True
                if not self._complete:  # nobody reads the rest
                    message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
            await send(message)

        if length.isdigit() and int(length) > self._most:
            self._refusal = self._too_large()
        else:
            try:
                await self._app(scope, counted, answered)
            except Exception:
                if self._refusal is None:
                    raise
        if self._refusal is not None and not self._started:
            await self._refuse(self._refusal, receive, send)

    async def _refuse(self, refusal: _Refused, receive: Receive, send: Send) -> None:
        """Answers, and then reads on for a moment: a connection that is closed on unread bytes takes the answer with it."""
        answer = problem(refusal.status, "bad_question", str(refusal), {"connection": "close"})
        await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
        await send({"type": "http.response.body", "body": bytes(answer.body), "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body"})

    def _too_large(self) -> _Refused:
        return _Refused(413, f"the body is larger than the {self._most} bytes that are read here")
