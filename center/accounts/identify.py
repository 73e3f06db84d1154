"""Authentication: from a request's cookie or token to its viewer, and from name and password to a session."""

import threading
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from typing import Final

from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from center.accounts import people, sessions, tokens
from center.accounts.attempts import Attempts
from center.accounts.audit import Actor
from center.api.access import address_of, is_loopback
from center.api.outside import inside
from center.model.viewer import Viewer

COOKIE: Final = "nhip_session"
KEY: Final = "key"
_PROXY_HEADERS: Final = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-real-ip", "via")


@dataclass(frozen=True)
class Wait:
    """Too many failed logins: the next attempt is allowed in `s` seconds."""

    s: float


@dataclass(frozen=True)
class Accounts:
    """The accounts of a running center. watch_here: loopback may read health and metrics without an account."""

    engine: Engine
    watch_here: bool = True
    now_ns: Callable[[], int] = time.time_ns
    attempts: Attempts = field(default_factory=Attempts)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def identify(self, connection: HTTPConnection) -> Viewer | None:
        """As `center.api.access.Identify` requires. An invalid token is refused even if a valid cookie came with it."""
        scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await run_in_threadpool(self._bearer, secret.strip())
        if key := connection.session.get(KEY):
            user = await run_in_threadpool(sessions.user_of_session, self.engine, self.now_ns(), key)
            if user is not None:
                return people.viewer_of(user)
        is_local = (
            self.watch_here
            and is_loopback(connection)
            and not any(name in connection.headers for name in _PROXY_HEADERS)
        )
        return _WATCHER if is_local and inside(connection) in _WATCHED else None

    def _bearer(self, secret: str) -> Viewer | None:
        if secret.startswith(tokens.COMMAND_PREFIX):
            return tokens.viewer_of_pass(self.engine, secret)
        return tokens.viewer_of_token(self.engine, self.now_ns(), secret)

    def log_in(self, name: str, password: str, address: str) -> str | Wait | None:
        """The key of a new session; None for a wrong name or password. Blocks: not for the event loop."""
        user = self.check(name, password, address)
        if user is None or isinstance(user, Wait):
            return user
        return sessions.open_session(self.engine, self.now_ns(), Actor(user.name, address), user)

    def check(self, name: str, password: str, address: str) -> people.User | Wait | None:
        """The account, if the password is correct and an attempt is allowed now. Blocks: not for the event loop."""
        name, now_s = name.strip().lower()[:80], self.now_ns() / 1e9
        with self._lock:
            if wait_s := self.attempts.wait_s(name, address, now_s):
                return Wait(wait_s)
            self.attempts.failed(name, address, now_s)
        user = people.check_password(self.engine, name, password)
        if user is not None:
            with self._lock:
                self.attempts.succeeded(name, address)
        return user


_WATCHED: Final = ("/metrics", "/api/v1/health")
_WATCHER: Final = Viewer("loopback", frozenset(), frozenset({"watch"}))


class _Sessions(SessionMiddleware):
    """Cookies that are sent to this center only, not to what else the host shows under other paths."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI specifies."""
        here = copy(self)
        here.path = scope.get("root_path") or "/"
        await SessionMiddleware.__call__(here, scope, receive, send)


def add_sessions(app: FastAPI, engine: Engine, *, secure: bool) -> None:
    """Adds signed session cookies, read before the gate. secure: browsers send them only over HTTPS."""
    app.add_middleware(
        _Sessions,
        secret_key=sessions.signing_key(engine),
        session_cookie=COOKIE,
        max_age=sessions.LASTS_S,
        same_site="lax",
        https_only=secure,
    )


def actor_of(connection: HTTPConnection, viewer: Viewer) -> Actor:
    """Who makes a change, for the audit trail."""
    return Actor(viewer.name, address_of(connection))
