"""Access control: the one place where a request gets its `Viewer`, and where a request without one is refused.

The gate is middleware in front of every route, file and websocket of the application, so a new endpoint refuses
unauthenticated requests without any code of its own. `center.model.viewer` decides which sites a viewer sees in an
answer; the right that an endpoint requires stands in its signature: `viewer: Viewing`, `Writing`, `Watching` or
`Administering`.

A browser sends cookies with cross-site requests too. So requests that change something, and every websocket, are
refused to pages of another origin, recognized by Sec-Fetch-Site where the browser sends it, else by Origin and Host.
(The cookie is SameSite=Lax; this check also covers hostile sibling domains and centers without accounts.)
"""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Annotated, Final
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from center.api.outside import inside, inside_of, outside
from center.api.problems import problem
from center.contract.store import StoreUnavailable
from center.model.viewer import EVERYTHING, Right, Viewer

Identify = Callable[[HTTPConnection], Awaitable[Viewer | None]]
ErrorPage = Callable[[HTTPConnection, Exception], Response]
"""An error as a page. The console puts it into `app.state.error_page`."""
LOGIN: Final = "/login"
LOGIN_CODE: Final = "/login/code"
_OPEN: Final = ("/console/", "/favicon.ico", "/statement/")
"""Static files, the same for everybody, and capability statements, whose links are secrets. NiceGUI's own paths are not open: downloads are
among them.
"""
_LOGIN_BYTES: Final = 16_384
_PLAIN: Final = "/:@!$&'()*+,;=~"
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")


class Forbidden(Exception):
    """The viewer lacks a right; the text says which, and who has it."""


class OnlyHere(Forbidden):
    """Accounts are off, and the request is from another machine."""


async def anybody_here(connection: HTTPConnection) -> Viewer | None:
    """The viewer of a center without accounts: requests from its own machine may do everything, all others nothing."""
    if not is_loopback(connection):
        raise OnlyHere(
            "accounts are off, so only the center's own machine may do this: log in there and use the command"
        )
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
    """Whether the Host header names this machine: a hostile page can point its own name at loopback (DNS rebinding)."""
    return (urlsplit(f"//{connection.headers.get('host', '')}").hostname or "") in _LOCAL_NAMES


class Gate:
    """ASGI middleware: puts the viewer into the scope's state, or ends the request."""

    def __init__(self, app: ASGIApp, identify: Identify) -> None:
        self._app, self._identify = app, identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI specifies."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        scope.setdefault("state", {}).update(viewer=None, identify=self._identify)
        refusal = _foreign_origin(connection)
        if refusal is None and not _is_open(scope):
            try:
                viewer = await self._identify(connection)
            except (StoreUnavailable, Forbidden) as error:
                refusal = _refusal(connection, error)
            else:
                scope["state"]["viewer"] = viewer
                if viewer is None:
                    refusal = (
                        _too_large(scope, connection)
                        if inside_of(scope) in (LOGIN, LOGIN_CODE)
                        else _unauthenticated(connection)
                    )
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await refusal(scope, receive, send)


def _is_open(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] in _SAFE and inside_of(scope).startswith(_OPEN)


def _foreign_origin(connection: HTTPConnection) -> Response | None:
    if connection.scope["type"] == "http" and connection.scope["method"] in _SAFE:
        return None
    site, origin = connection.headers.get("sec-fetch-site"), connection.headers.get("origin")
    if site:
        detail = "" if site in ("same-origin", "none") else "a page of another origin may not do this"
    else:
        host = connection.headers.get("host")
        foreign = bool(origin) and urlsplit(origin).netloc != host
        detail = f"a page of {origin} may not do this: this is {host} (a proxy must pass on Host)" if foreign else ""
    return problem(403, "forbidden", detail) if detail else None


def _too_large(scope: Scope, connection: HTTPConnection) -> Response | None:
    """Refuses large bodies on the login form: forms are read into memory completely, before the sender is authenticated."""
    length = connection.headers.get("content-length", "")
    if scope["type"] != "http" or scope["method"] in _SAFE or (length.isdecimal() and int(length) <= _LOGIN_BYTES):
        return None
    return problem(413, "bad_question", f"a login request needs a Content-Length of at most {_LOGIN_BYTES} bytes")


def _refusal(connection: HTTPConnection, error: StoreUnavailable | Forbidden) -> Response:
    """JSON for programs; a page outside the API, if this process has pages."""
    page: ErrorPage | None = getattr(connection.app.state, "error_page", None)
    if page is not None and is_page(connection):
        return page(connection, error)
    status, name = (403, "forbidden") if isinstance(error, Forbidden) else (503, "store_away")
    return problem(status, name, str(error))


def is_page(connection: HTTPConnection) -> bool:
    """Whether a person looks at what is answered under this address, rather than a program."""
    return not inside(connection).startswith(("/api/", "/metrics"))


def _unauthenticated(connection: HTTPConnection) -> Response:
    path = inside(connection)
    if path.startswith("/api/") or "text/html" not in connection.headers.get("accept", ""):
        detail = f"log in at {outside(LOGIN)}, or send Authorization: Bearer and a token that an administrator made"
        return JSONResponse({"error": "unauthorized", "detail": detail}, 401, {"WWW-Authenticate": "Bearer"})
    target = quote(path, safe=_PLAIN) + (f"?{connection.url.query}" if connection.url.query else "")
    return RedirectResponse(f"{outside(LOGIN)}?next={quote(target, safe='')}", 303)


def _require(right: Right) -> Callable[[Request], Awaitable[Viewer]]:
    async def viewer_of(request: Request) -> Viewer:  # a coroutine: needs no thread
        viewer: Viewer | None = request.state.viewer  # set by the gate; an application without one fails here
        if viewer is None or not viewer.may(right):
            name = viewer.name if viewer else "this request"
            raise Forbidden(f"this needs the right {right!r}, which {name} does not have; ask an administrator")
        return viewer

    return viewer_of


Viewing = Annotated[Viewer, Depends(_require("read"))]
"""May query; answers cover the viewer's sites only."""
Writing = Annotated[Viewer, Depends(_require("write"))]
"""May make declarations about the viewer's sites."""
Aiming = Annotated[Viewer, Depends(_require("aim"))]
"""May set targets of the viewer's sites: administrators and engineers of the center."""
Owning = Annotated[Viewer, Depends(_require("own"))]
"""May decide what others see of the viewer's sites: their owners."""
Watching = Annotated[Viewer, Depends(_require("watch"))]
"""May see the health and metrics of the center itself."""
Administering = Annotated[Viewer, Depends(_require("admin"))]
"""Administrators of the center."""
