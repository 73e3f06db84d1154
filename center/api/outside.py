"""The center as browsers reach it: under which path, from which address, over which scheme.

`Outside` is around the whole application. What a proxy says about a request (X-Forwarded-For, -Proto and -Prefix) is
believed from the addresses only that the center's file names under `proxy`; for anybody else's request these words have no
effect. X-Forwarded-Host is never believed: no address that the center writes contains a host name.

What every answer tells the browser about itself (what may run in it, who may frame it) is put into it by `Headers`.

Inside, a request's scope is as ASGI has it: `root_path` is part of `path`, whether the proxy passed it on or cut it off.
Every address that is given to a browser goes through `outside`. The root path of the request that is answered is kept in
a context variable, as Django keeps its script prefix: pages are built, and built anew while they are open, by functions
that know sites and machines but no request.
"""

import ipaddress
from collections.abc import Collection, Sequence
from contextvars import ContextVar
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from center.api.problems import problem
from config import InvalidValue, root_path_of

_ROOT_PATH: Final[ContextVar[str]] = ContextVar("root_path", default="")
_PREFIX: Final = b"x-forwarded-prefix"
_PROTO: Final = b"x-forwarded-proto"
_UNENCRYPTED: Final = "nhip.unencrypted"
POLICY: Final = "Content-Security-Policy"
_SELF: Final = (
    "default-src 'self'; img-src 'self' data: blob:; font-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; script-src 'self'"
)
POLICY_OF_DOCUMENTS: Final = _SELF
"""Of plain pages: no script but our own files."""
_OF_LIVE_PAGES: Final = f"{_SELF} 'unsafe-inline' 'unsafe-eval'"
"""NiceGUI 3 builds its pages from scripts inside them, and Vue compiles templates in the browser."""
_OF_DATA: Final = "default-src 'none'; frame-ancestors 'none'"
_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_HTTPS_ONLY: Final = "max-age=31536000"


def outside(path: str) -> str:
    """The address by which the browser that is answered reaches a path of the center. path: begins with a slash."""
    return _ROOT_PATH.get() + path


def inside(connection: HTTPConnection) -> str:
    """The path asked for, without the root path."""
    return inside_of(connection.scope)


def inside_of(scope: Scope) -> str:
    """The same, of a request's scope."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def is_unencrypted(connection: HTTPConnection) -> bool:
    """Whether a believed proxy says that the browser came without encryption."""
    return bool(connection.scope.get(_UNENCRYPTED))


class Outside:
    """ASGI middleware around everything else. app: what it is around."""

    def __init__(self, app: ASGIApp, root_path: str = "", proxies: Collection[str] = ()) -> None:
        """root_path: as in the center's file; proxies: the networks that are believed."""
        self.app: ASGIApp = ProxyHeadersMiddleware(app, [*proxies]) if proxies else app  # type: ignore[arg-type,assignment]
        self._root_path = root_path
        self._believed = [ipaddress.ip_network(text) for text in proxies]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI specifies."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        believed = self._believes(scope)
        said = _values(scope, _PREFIX)
        # NiceGUI would take anybody's word for it
        headers = [item for item in scope["headers"] if item[0] != _PREFIX]
        try:
            root_path = self._root_path or (root_path_of(said[-1]) if believed and said else "")
        except InvalidValue as error:
            await _refuse(scope, receive, send, f"X-Forwarded-Prefix: {said[-1][:200]!r}: {error}")
            return
        within = _within(scope["path"], root_path)
        scope = {**scope, "headers": headers, "root_path": root_path, "path": root_path + within}
        scope.pop("raw_path", None)  # it would say something else; nothing reads it
        scope[_UNENCRYPTED] = believed and _values(scope, _PROTO)[-1:] in (["http"], ["ws"])
        token = _ROOT_PATH.set(root_path)
        try:
            await self.app(scope, receive, send)
        finally:
            _ROOT_PATH.reset(token)

    def _believes(self, scope: Scope) -> bool:
        try:
            address = ipaddress.ip_address((scope.get("client") or ("",))[0])
        except ValueError:
            return False
        return any(address in network for network in self._believed)


def _within(path: str, root_path: str) -> str:
    """The path below the root path, whether the proxy passed the root path on or not."""
    if root_path and path == root_path:
        return "/"
    return path.removeprefix(root_path) if path.startswith(f"{root_path}/") else path


def _values(scope: Scope, name: bytes) -> Sequence[str]:
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key == name]


async def _refuse(scope: Scope, receive: Receive, send: Send, detail: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await problem(400, "bad_question", detail)(scope, receive, send)


class Headers:
    """ASGI middleware around all routes. secure: browsers reach the center over HTTPS only, and are told so for a year."""

    def __init__(self, app: ASGIApp, *, secure: bool = False) -> None:
        self._app, self._secure = app, secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI specifies."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message.setdefault("headers", [])
                headers = MutableHeaders(scope=message)
                is_page = headers.get("content-type", "").startswith("text/html")
                headers.setdefault(POLICY, _OF_LIVE_PAGES if is_page else _OF_DATA)
                for name, value in _ALWAYS.items():
                    headers[name] = value
                if self._secure:
                    headers["Strict-Transport-Security"] = _HTTPS_ONLY
            await send(message)

        await self._app(scope, receive, told)
