"""Places of their own for live pages: how many a viewer and an address have at once, and how many are built at once for a viewer.

A live page costs the center memory until its browser has been gone for half a minute, and a tenth of a second of the one
event loop to build. So nobody who may log in can take either from the others.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from fastapi.responses import Response
from nicegui import core
from nicegui.client import Client
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from center.api.access import address_of
from center.api.outside import inside_of
from center.model.sources import source_of
from center.runtime.places import Places, TooManyQuestions

_ACCOUNTS_OF_ADDRESS: Final = 3
"""So many accounts with all their pages may be behind one address, such as an office's."""
_BUILT_AT_ONCE: Final = 2
_NICEGUI: Final = "/_nicegui"
_SOCKETS: Final = "/_nicegui_ws/"
_OF_A_SESSION: Final = b"sid="
_HTTP_ANSWER: Final = "websocket.http.response"


class LivePages:
    """ASGI middleware around NiceGUI's application, inside the gate. Refuses with 429."""

    def __init__(self, app: ASGIApp, refusal: Callable[[HTTPConnection], Response], most: int) -> None:
        """refusal: the answer to whoever has too many; most: pages, and connections of pages, of one account."""
        self._app, self._refusal, self._most = app, refusal, most
        self._building = Places(_BUILT_AT_ONCE)
        self._sockets: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI specifies."""
        viewer = scope.get("state", {}).get("viewer")
        if viewer is None or scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif inside_of(scope).startswith(_SOCKETS):
            await self._polled(scope, receive, send)
        elif scope["method"] != "GET" or inside_of(scope).startswith(_NICEGUI):
            await self._app(scope, receive, send)
        else:
            await self._page(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = self._names(HTTPConnection(scope))
        if any(self._sockets[name] >= most for name, most in names):
            await self._refuse(scope, receive, send)
            return
        with self._counted(names):
            await self._app(scope, receive, send)

    @contextmanager
    def _counted(self, names: list[tuple[str, int]]) -> Iterator[None]:
        for name, _ in names:
            self._sockets[name] += 1
        try:
            yield
        finally:
            for name, _ in names:
                self._sockets[name] -= 1
                if not self._sockets[name]:
                    del self._sockets[name]

    async def _polled(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Where a proxy passes on no websockets, requests take their place; the first one opens a session."""
        if _OF_A_SESSION not in scope["query_string"]:
            begun = [HTTPConnection(environ["asgi.scope"]) for environ in core.sio.environ.values()]
            if self._is_full(HTTPConnection(scope), begun):
                await self._refuse(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        try:
            async with self._building.of(scope["state"]["viewer"].name):
                if not self._make_room(connection):
                    await self._refuse(scope, receive, send)
                    return
                await self._app(scope, receive, send)
        except TooManyQuestions:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and _HTTP_ANSWER not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1013})
            return
        await self._refusal(HTTPConnection(scope))(scope, receive, send)

    def _names(self, connection: HTTPConnection) -> list[tuple[str, int]]:
        """Who has the page, and from where, each with how many that may be."""
        viewer, source = connection.state.viewer, source_of(address_of(connection))
        return [(f"viewer {viewer.name}", self._most), (f"address {source}", self._most * _ACCOUNTS_OF_ADDRESS)]

    def _is_full(self, connection: HTTPConnection, others: Iterable[HTTPConnection]) -> bool:
        known = (other for other in others if other.state.viewer is not None)
        has = Counter(name for other in known for name, _ in self._names(other))
        return any(has[name] >= most for name, most in self._names(connection))

    def _make_room(self, connection: HTTPConnection) -> bool:
        """Whether there is room for one more page. One of the same viewer that no browser has ever connected to makes room: it
        was asked for by a program, or left before it was drawn.
        """
        pages = list(Client.instances.values())
        if not self._is_full(connection, [page.request for page in pages]):
            return True
        mine = connection.state.viewer
        left = [page for page in pages if page.environ is None and page.request.state.viewer == mine]
        if left:
            min(left, key=lambda page: page.created).delete()
        return bool(left)
