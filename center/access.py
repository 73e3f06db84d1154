"""The gate: the one place where a request becomes a `Viewer`, and where one without is refused.

It stands before every route, static file and websocket of the application, so that a new endpoint needs no word about
accounts to be closed to strangers. What a viewer may see of an answer is `center.viewer`'s affair; which rights an
endpoint asks for stands in its signature: `viewer: Viewing`, `Writing` or `Administering`.
"""

import ipaddress
from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.responses import JSONResponse
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from center.viewer import EVERYTHING, Right, Viewer

Identify = Callable[[HTTPConnection], Viewer | None]
_POLICY_VIOLATION: Final = 1008


class Forbidden(Exception):
    """The viewer lacks a right; the text says which and who has it."""


def anybody_here(connection: HTTPConnection) -> Viewer | None:
    """Without accounts: whoever sits at the center's own machine may do everything, nobody else anything."""
    return EVERYTHING if is_loopback(connection) else None


def is_loopback(connection: HTTPConnection) -> bool:
    """Whether the peer is this machine."""
    try:
        return ipaddress.ip_address(connection.client.host if connection.client else "").is_loopback
    except ValueError:
        return False


class Gate:
    """ASGI middleware: the viewer stands in the scope's state, or the request ends here."""

    def __init__(self, app: ASGIApp, identify: Identify) -> None:
        self._app, self._identify = app, identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """By ASGI's contract."""
        if scope["type"] in ("http", "websocket"):
            viewer = self._identify(HTTPConnection(scope))
            if viewer is None:
                await _refuse(scope, receive, send)
                return
            scope.setdefault("state", {})["viewer"] = viewer
        await self._app(scope, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        return
    detail = "only from the center's own machine: log in there and use the command"
    await JSONResponse({"error": "forbidden", "detail": detail}, 403)(scope, receive, send)


def _with(right: Right) -> Callable[[Request], Viewer]:
    def viewer_of(request: Request) -> Viewer:
        viewer: Viewer = request.state.viewer  # set by the gate; an application without one fails here
        if not viewer.may(right):
            raise Forbidden(f"this needs the right {right!r}, which {viewer.name} does not have; ask an administrator")
        return viewer

    return viewer_of


Viewing = Annotated[Viewer, Depends(_with("read"))]
"""Whoever may ask; the answer is about their sites alone."""
Writing = Annotated[Viewer, Depends(_with("write"))]
"""Whoever may enter something about their sites."""
Administering = Annotated[Viewer, Depends(_with("admin"))]
"""Administrators of the center."""
