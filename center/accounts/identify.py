"""Authentication: from a request's cookie or token to its viewer, and from name and password to a session."""

import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI
from itsdangerous import TimestampSigner
from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from center.accounts import guesses, people, second_factor, sessions, tokens
from center.accounts.audit import Actor
from center.accounts.guesses import Asker, FailedLogins, Wait
from center.accounts.hashing import Hashing
from center.accounts.keys import SigningKey
from center.api.access import address_of, is_loopback
from center.api.outside import inside
from center.model.sources import source_of
from center.model.viewer import Viewer

COOKIE: Final = "nhip_session"
KEY: Final = "key"
_CODES: Final = "codes"
_HOST_ONLY: Final = "__Host-"
_PROXY_HEADERS: Final = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-real-ip", "via")


@dataclass(frozen=True)
class SecondWanted:
    """The password is right; a code of the second factor is still wanted. is_set: else the account must set one up first."""

    user: people.User
    is_set: bool


@dataclass(frozen=True)
class LoggedIn:
    """A new session. key: of its cookie; failures: wrong passwords of others since the last login."""

    key: str
    failures: tuple[FailedLogins, ...] = ()


class Accounts:
    """The accounts of a running center."""

    def __init__(
        self,
        engine: Engine,
        *,
        watch_here: bool = True,
        now_ns: Callable[[], int] = time.time_ns,
        secure: bool = False,
        two_factors: bool = False,
    ) -> None:
        """watch_here: loopback may read health and metrics without an account; secure: browsers come over HTTPS only;
        two_factors: administrators and engineers must have a second factor.
        """
        self.engine, self.now_ns, self.secure, self.two_factors = engine, now_ns, secure, two_factors
        self.key, self.hashing = SigningKey(engine), Hashing()
        self._watch_here = watch_here

    async def identify(self, connection: HTTPConnection) -> Viewer | None:
        """As `center.api.access.Identify` requires. An invalid token is refused even if a valid cookie came with it."""
        scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return await run_in_threadpool(self._bearer, secret.strip(), is_here(connection))
        if key := connection.session.get(KEY):
            user = await run_in_threadpool(self._user_of, key)
            if user is not None:
                return people.viewer_of(user)
        is_local = self._watch_here and is_loopback(connection) and not _is_forwarded(connection)
        return _WATCHER if is_local and inside(connection) in _WATCHED else None

    def _bearer(self, secret: str, here: bool) -> Viewer | None:
        if secret.startswith(tokens.COMMAND_PREFIX):
            return tokens.viewer_of_pass(self.engine, secret) if here else None
        return tokens.viewer_of_token(self.engine, self.now_ns(), secret)

    def _user_of(self, key: str) -> people.User | None:
        return sessions.user_of_session(self.engine, self.now_ns(), key, two_factors=self.two_factors)

    async def log_in(
        self, name: str, password: str, asker: Asker, agent: str = ""
    ) -> LoggedIn | SecondWanted | Wait | None:
        """A new session, or what else is wanted; None for a wrong name or password. agent: what the browser says of itself.
        Raises `Busy`.
        """

        def work() -> LoggedIn | SecondWanted | Wait | None:
            user = self._check(name, password, asker)
            if user is None or isinstance(user, Wait):
                return user
            has_one = second_factor.is_set(self.engine, user.id)
            if has_one or (self.two_factors and user.role in sessions.TWO_FACTORS):
                return SecondWanted(user, has_one)
            return self.opened(user, asker, agent)

        return await self.hashing.run(work, known=bool(asker.browser))

    def opened(self, user: people.User, asker: Asker, agent: str) -> LoggedIn:
        """A new session of somebody who has shown all that is wanted. Blocks: not for the event loop."""
        source = source_of(asker.address)
        told = guesses.failures_of(self.engine, user.name)
        others = tuple(row for row in told if row.last_ns > user.seen_ns and row.source != source)
        actor = Actor(user.name, asker.address)
        return LoggedIn(sessions.open_session(self.engine, self.now_ns(), actor, user, agent), others)

    def accepts_code(self, user: people.User, code: str, asker: Asker) -> bool | Wait:
        """Whether a code of the second factor is right. Wrong ones are counted by account alone, from wherever: who tries
        them knows the password already. A browser in which somebody was logged in before has a count of its own, so that such a person does
        not keep the owner out. Blocks: not for the event loop.
        """
        counted = Asker(asker.address, f"{asker.browser} {_CODES}".strip())
        if wait := guesses.begin(self.engine, self.now_ns(), counted, user.name):
            return wait
        if not second_factor.accepts(self.engine, self.now_ns(), user, code, Actor(user.name, asker.address)):
            guesses.failed(self.engine, self.now_ns(), asker, user.name)
            return False
        guesses.succeeded(self.engine, counted, user.name)
        return True

    async def check(self, name: str, password: str, asker: Asker) -> people.User | Wait | None:
        """The account, if the password is correct and an attempt is allowed now. Raises `Busy`."""
        return await self.hashing.run(lambda: self._check(name, password, asker), known=True)

    def _check(self, name: str, password: str, asker: Asker) -> people.User | Wait | None:
        name = people.name_of(name)
        if wait := guesses.begin(self.engine, self.now_ns(), asker, name):
            return wait
        user = people.check_password(self.engine, name, password)
        if user is None:
            guesses.failed(self.engine, self.now_ns(), asker, name)
        else:
            guesses.succeeded(self.engine, asker, name)
        return user


def is_here(connection: HTTPConnection) -> bool:
    """Whether the request comes from the center's own machine and no proxy has passed it on: over loopback, or from the very
    address that it reached.
    """
    server = connection.scope.get("server")
    here = is_loopback(connection) or (server is not None and address_of(connection) == server[0])
    return here and not _is_forwarded(connection)


def _is_forwarded(connection: HTTPConnection) -> bool:
    return any(name in connection.headers for name in _PROXY_HEADERS)


_WATCHED: Final = ("/metrics", "/api/v1/health")
_WATCHER: Final = Viewer("loopback", frozenset(), frozenset({"watch"}))


class _Sessions(SessionMiddleware):
    """Cookies that are sent to this center only, not to what else the host shows under other paths; signed with the key of
    the moment.
    """

    def __init__(self, app: ASGIApp, accounts: Accounts) -> None:
        super().__init__(
            app, "", session_cookie=COOKIE, max_age=sessions.LASTS_S, same_site="lax", https_only=accounts.secure
        )
        self._accounts = accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI specifies."""
        here = copy(self)
        here.path = scope.get("root_path") or "/"
        here.session_cookie = cookie_name(COOKIE, here.path, secure=self._accounts.secure)
        here.signer = TimestampSigner(await self._accounts.key.current())
        await SessionMiddleware.__call__(here, scope, receive, send)


def cookie_name(name: str, path: str, *, secure: bool) -> str:
    """The name that lets a browser refuse the cookie to whoever could set one for this host from beside it."""
    return f"{_HOST_ONLY}{name}" if secure and path == "/" else name


def add_sessions(app: FastAPI, accounts: Accounts) -> None:
    """Adds signed session cookies, read before the gate."""
    app.add_middleware(_Sessions, accounts=accounts)


def actor_of(connection: HTTPConnection, viewer: Viewer) -> Actor:
    """Who makes a change, for the audit trail."""
    return Actor(viewer.name, address_of(connection))
