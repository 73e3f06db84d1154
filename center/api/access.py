"""The gate: the one place where a request becomes a `Viewer`, and where one without is refused.

It stands before every route, file and websocket of the application, so that a new endpoint needs no word about
accounts to be closed to strangers. What a viewer may see of an answer is `center.model.viewer`'s affair; which rights an
endpoint asks for stands in its signature: `viewer: Viewing`, `Writing`, `Watching` or `Administering`.

A browser sends its cookies along whoever made it ask. So what changes something, and every websocket, is refused to a
page of another origin: told by Sec-Fetch-Site where the browser sends it, else by Origin and Host. (The cookie itself
is SameSite=Lax; this holds where a sibling domain is hostile, and where there are no accounts.)
"""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Annotated, Final
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from center.contract.store import StoreUnavailable
from center.model.viewer import EVERYTHING, Right, Viewer

Identify = Callable[[HTTPConnection], Awaitable[Viewer | None]]
LOGIN: Final = "/login"
_OPEN: Final = ("/console/", "/favicon.ico")
"""What is the same for everybody and says nothing of anybody. Its library's files are not: downloads are among them."""
_LOGIN_BYTES: Final = 16_384
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_HERE: Final = ("localhost", "127.0.0.1", "::1")


class Forbidden(Exception):
    """The viewer lacks a right; the text says which and who has it."""


async def anybody_here(connection: HTTPConnection) -> Viewer | None:
    """Without accounts: whoever sits at the center's own machine may do everything, nobody else anything."""
    if not is_loopback(connection):
        raise Forbidden("accounts are off, so only from the center's own machine: log in there and use the command")
    return EVERYTHING


def is_loopback(connection: HTTPConnection) -> bool:
    """Whether the peer is this machine."""
    try:
        return ipaddress.ip_address(address_of(connection)).is_loopback
    except ValueError:
        return False


def address_of(connection: HTTPConnection) -> str:
    """The peer's address; "" where there is none."""
    return connection.client.host if connection.client else ""


def is_named_here(connection: HTTPConnection) -> bool:
    """Whether it was asked by a name of this machine: a hostile page can point its own name at loopback."""
    return (urlsplit(f"//{connection.headers.get('host', '')}").hostname or "") in _HERE


class Gate:
    """ASGI middleware: the viewer stands in the scope's state, or the request ends here."""

    def __init__(self, app: ASGIApp, identify: Identify) -> None:
        self._app, self._identify = app, identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """By ASGI's contract."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        scope.setdefault("state", {}).update(viewer=None, identify=self._identify)
        refusal = _of_another_origin(connection)
        if refusal is None and not _is_open(scope):
            try:
                viewer = await self._identify(connection)
            except StoreUnavailable as error:
                refusal = _problem(503, "store_away", str(error))
            except Forbidden as error:
                refusal = _problem(403, "forbidden", str(error))
            else:
                scope["state"]["viewer"] = viewer
                if viewer is None:
                    refusal = _too_long(scope, connection) if scope["path"] == LOGIN else _stranger(connection)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, send)


def _is_open(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] in _SAFE and scope["path"].startswith(_OPEN)


def _of_another_origin(connection: HTTPConnection) -> Response | None:
    if connection.scope["type"] == "http" and connection.scope["method"] in _SAFE:
        return None
    told, origin = connection.headers.get("sec-fetch-site"), connection.headers.get("origin")
    foreign = told not in ("same-origin", "none") if told else False
    if not told and origin:
        foreign = urlsplit(origin).netloc != connection.headers.get("host")
    return _problem(403, "forbidden", "a page of another origin may not do this") if foreign else None


def _too_long(scope: Scope, connection: HTTPConnection) -> Response | None:
    """A name and a password are short: a form is read into memory whole, and nobody knows yet who sends it."""
    told = connection.headers.get("content-length", "")
    if scope["type"] != "http" or scope["method"] in _SAFE or (told.isdecimal() and int(told) <= _LOGIN_BYTES):
        return None
    return _problem(413, "bad_question", f"a login has at most {_LOGIN_BYTES} bytes, and says how many")


def _stranger(connection: HTTPConnection) -> Response:
    path = connection.url.path
    if path.startswith("/api/") or "text/html" not in connection.headers.get("accept", ""):
        detail = "log in at /login, or send Authorization: Bearer and a token that an administrator made"
        return JSONResponse({"error": "unauthorized", "detail": detail}, 401, {"WWW-Authenticate": "Bearer"})
    asked = path + (f"?{connection.url.query}" if connection.url.query else "")
    return RedirectResponse(f"{LOGIN}?next={quote(asked, safe='')}", 303)


def _problem(status: int, name: str, detail: str) -> JSONResponse:
    return JSONResponse({"error": name, "detail": detail}, status)


def _with(right: Right) -> Callable[[Request], Viewer]:
    def viewer_of(request: Request) -> Viewer:
        viewer: Viewer | None = request.state.viewer  # set by the gate; an application without one fails here
        if viewer is None or not viewer.may(right):
            name = viewer.name if viewer else "nobody"
            raise Forbidden(f"this needs the right {right!r}, which {name} does not have; ask an administrator")
        return viewer

    return viewer_of


Viewing = Annotated[Viewer, Depends(_with("read"))]
"""Whoever may ask; the answer is about their sites alone."""
Writing = Annotated[Viewer, Depends(_with("write"))]
"""Whoever may enter something about their sites."""
Watching = Annotated[Viewer, Depends(_with("watch"))]
"""Whoever may see how the center itself is."""
Administering = Annotated[Viewer, Depends(_with("admin"))]
"""Administrators of the center."""
