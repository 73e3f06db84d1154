"""The audit trail of requests: what is entered by one middleware, for every route, so that none can forget it.

A route that changes something either enters it itself, in the transaction of its change, and stands in `ENTERS_ITSELF`; or
this middleware enters it before the answer is sent, under the name in `ENTERED`, and under "request" where it stands in
neither. `tests/center/test_trail.py` asks for every route to stand in one of them.
"""

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from center.accounts.audit import Actor, record
from center.api.access import address_of
from center.api.problems import problem
from center.contract.store import StoreUnavailable
from center.database.sql import writing
from center.model.viewer import Viewer

_CHANGING: Final = ("POST", "PUT", "PATCH", "DELETE")
_OTHER: Final = "request"
ENTERED: Final = {
    "GET /api/v1/backup/{part}": "backup.downloaded",
    "POST /api/v1/envelopes": "envelopes.imported",
    "POST /api/v1/quarantine/{number}/replay": "quarantine.replayed",
}
"""Routes whose requests are entered here, and as what."""
ENTERS_ITSELF: Final = {
    "POST /login": "login, and failures by account and hour",
    "POST /logout": "logout",
    "POST /login/code": "login, second_factor.set, second_factor.recovery_used",
    "POST /account": "user.password",
    "POST /account/second-factor": "second_factor.*",
    "POST /account/sessions": "sessions.ended",
    "POST /admin/users": "user.added",
    "POST /admin/users/{name}/{what}": "user.*",
    "POST /admin/tokens": "token.added",
    "POST /admin/tokens/{name:path}/revoke": "token.revoked",
    "POST /admin/machines": "machine.deleted",
    "DELETE /api/v1/machines/{machine:path}": "machine.deleted",
    "POST /api/v1/quarantine/{site}/{gateway}/{act}": "boxes.*",
    "POST /delivery/{site}/{gateway}": "boxes.*",
    "PUT /api/v1/targets": "target.set",
    "DELETE /api/v1/targets": "target.withdrawn",
    "POST /targets/{site}": "target.*",
    "POST /api/v1/findings/{finding}/dismiss": "finding.dismissed",
    "POST /advice/{finding}/dismiss": "finding.dismissed",
    "POST /api/v1/actions": "action.*",
    "PUT /api/v1/actions/{action}": "action.*",
    "POST /api/v1/actions/{action}/register": "action.*",
    "POST /api/v1/actions/{action}/revise": "action.*",
    "POST /api/v1/actions/{action}/standardise": "action.*",
    "POST /api/v1/actions/{action}/give_up": "action.*",
    "POST /api/v1/actions/{action}/comment": "action.*",
    "POST /api/v1/actions/{action}/files": "action.*",
    "POST /actions/new": "action.*",
    "POST /actions/{action}/edit": "action.*",
    "POST /actions/{action}/register": "action.*",
    "POST /actions/{action}/standardise": "action.*",
    "POST /actions/{action}/give_up": "action.*",
    "POST /actions/{action}/comment": "action.*",
    "POST /actions/{action}/files": "action.*",
    "POST /api/v1/alerts/{number}/acknowledge": "alert.taken",
    "POST /alerts/{number}": "alert.taken",
    "POST /api/v1/months": "month.issued",
    "POST /months/{site}": "month.*",
    "PUT /api/v1/months/objectives": "month.aimed",
    "PUT /api/v1/months/references": "month.referred",
    "POST /months/{site}/papers": "month.*",
    "PUT /api/v1/benchmark/consent": "benchmark.given, benchmark.withdrawn",
    "POST /benchmark/{site}": "benchmark.given, benchmark.withdrawn",
    "POST /api/v1/statements": "statement.made",
    "POST /api/v1/statements/{statement}/revoke": "statement.revoked",
    "POST /statements/{site}": "statement.*",
    "PUT /api/v1/directory": "directory.set",
    "POST /api/v1/directory/import": "directory.imported",
    "DELETE /api/v1/directory/{firm}": "directory.removed",
    "POST /directory": "directory.*",
    "POST /api/v1/maintenance": "maintenance.added",
    "POST /api/v1/maintenance/{task}/done": "maintenance.done",
    "POST /api/v1/maintenance/{task}/end": "maintenance.ended",
    "POST /maintenance/{site}": "maintenance.*",
    "POST /api/v1/declarations": "none: a declaration is itself a record of who said what and when",
    "POST /declare/{site}/{machine}": "none, likewise",
    "POST /declare/{site}/{machine}/many": "none, likewise",
}
"""Routes that do it in the transaction of their change: what they enter."""


class Trail:
    """ASGI middleware outside the gate, which finds the viewer. now_ns: the time [ns]."""

    def __init__(self, app: ASGIApp, engine: Engine, now_ns: Callable[[], int]) -> None:
        self._app, self._engine, self._now_ns = app, engine, now_ns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI specifies. What cannot be entered is answered with 503 instead."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        failure: StoreUnavailable | None = None

        async def entered(message: Message) -> None:
            nonlocal failure
            if message["type"] == "http.response.start" and message["status"] < 400 and (what := _what(scope)):
                try:
                    await run_in_threadpool(self._enter, scope, what)
                except StoreUnavailable as error:
                    failure = error
            if failure is None:
                await send(message)

        await self._app(scope, receive, entered)
        if failure is not None:
            detail = f"done or not, it is not answered without an entry in the audit trail: {failure}"
            await problem(503, "store_away", detail)(scope, receive, send)

    def _enter(self, scope: Scope, what: str) -> None:
        connection = HTTPConnection(scope)
        viewer: Viewer = scope["state"]["viewer"]
        detail = {"method": scope["method"], "path": _path(scope)} if what == _OTHER else {}
        with writing(self._engine) as transaction:
            actor = Actor(viewer.name, address_of(connection))
            record(transaction, self._now_ns(), actor, what, _about(scope), **detail)


def _what(scope: Scope) -> str:
    """As what a request is entered; "" for one that changes nothing, enters itself, or came without a viewer."""
    route = f"{scope['method']} {_path(scope)}"
    if route in ENTERED:
        return ENTERED[route]
    known = route in ENTERS_ITSELF or scope["method"] not in _CHANGING
    return "" if known or scope.get("state", {}).get("viewer") is None else _OTHER


def _path(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", ""))


def _about(scope: Scope) -> str:
    """The values in the path, else the site and the gateway that the query names."""
    values: list[Any] = list(scope.get("path_params", {}).values())
    if not values:
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        values = [query[name] for name in ("site", "gateway") if name in query]
    return "/".join(map(str, values))
