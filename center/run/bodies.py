"""How large a request's body may be, and how long it may take: one middleware before everything that reads one.

64 kB, and more only for a route that says so in its description: `openapi_extra={"x-most-bytes": ...}`. Bytes are counted
as they arrive; Content-Length only lets a request be refused sooner.

A route that takes more holds it until it is complete, in memory or on disk, and whoever is logged in may send it as slowly as the
deadline allows. So of such bodies a few are read at once, by address and in all.
"""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from center.api.access import address_of
from center.api.outside import inside_of
from center.api.problems import problem
from center.model.sources import source_of

MOST_BYTES: Final = 65_536
BODY_S: Final = 30.0
MOST_OF_A_ROUTE: Final = "x-most-bytes"
LARGE_OF_ONE: Final = 4
"""Bodies of more than 64 kB that are read at once of one address: some people of an office who file pictures."""
LARGE_IN_ALL: Final = 12
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
        self._large: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI specifies."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._most_bytes(scope)
        body = _Body(self._app, most, self._body_s * most / MOST_BYTES, self._large)
        try:
            await body.answer(scope, receive, send)
        finally:
            body.give_back()

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
    """One request. most: bytes; within_s: from the head on [s]; large: by address the large bodies that are being read."""

    def __init__(self, app: ASGIApp, most: int, within_s: float, large: Counter[str]) -> None:
        self._app, self._most, self._within_s, self._large = app, most, within_s, large
        self._place: str | None = None
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
            elif self._bytes > MOST_BYTES and self._place is None:
                self._refusal = self._without_place(source_of(address_of(HTTPConnection(scope))))
            if self._refusal is not None:
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
        name, again = ("too_many", {"retry-after": "10"}) if refusal.status == 429 else ("bad_question", {})
        answer = problem(refusal.status, name, str(refusal), {"connection": "close"} | again)
        await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
        await send({"type": "http.response.body", "body": bytes(answer.body), "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body"})

    def _without_place(self, source: str) -> _Refused | None:
        """Takes a place among the large bodies; says so if there is none."""
        if self._large[source] >= LARGE_OF_ONE or self._large.total() >= LARGE_IN_ALL:
            return _Refused(429, "other large bodies are being read; send this one again when they have arrived")
        self._large[source] += 1
        self._place = source
        return None

    def give_back(self) -> None:
        """The body is gone, or kept by whoever asked for it."""
        if self._place is not None:
            self._large[self._place] -= 1
            self._large += Counter()  # without those that are at zero

    def _too_large(self) -> _Refused:
        return _Refused(413, f"the body is larger than the {self._most} bytes that are read here")
