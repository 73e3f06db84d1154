"""What a center answers over HTTP, put together: one place, so that a test of all of it needs no list."""

from fastapi import FastAPI
from starlette.requests import HTTPConnection

from center.accounts.api import add_accounts
from center.accounts.identify import Accounts, add_sessions
from center.api.access import Forbidden, Identify, anybody_here, is_named_here
from center.api.app import create_app
from center.api.backup import add_backup
from center.api.declarations import add_declarations
from center.api.metrics import add_metrics
from center.api.quarantine import add_by_hand
from center.ingest.declare import Declaring
from center.ingest.worker import Ingest
from center.model.viewer import Viewer
from center.runtime.state import CenterState


def application(
    center: CenterState,
    ingest: Ingest,
    declaring: Declaring,
    accounts: Accounts | None = None,
    *,
    identify: Identify | None = None,
    secure: bool = False,
) -> FastAPI:
    """Everything but the console. accounts: None where they are off; identify: tells who asks, if not these do;
    secure: browsers reach it over HTTPS.
    """
    app = create_app(center, identify or _identify(accounts))
    add_by_hand(app, center, ingest)
    add_metrics(app, center)
    add_declarations(app, center, declaring)
    add_backup(app, center, declaring.engine)
    if accounts:
        add_accounts(app, accounts.engine)
        add_sessions(app, accounts.engine, secure=secure)
    return app


def watched(center: CenterState, accounts: Accounts | None, *, secure: bool = False) -> FastAPI:
    """What an ingest worker answers: how it is."""
    app = create_app(center, _identify(accounts), health_only=True)
    add_metrics(app, center)
    if accounts:
        add_sessions(app, accounts.engine, secure=secure)
    return app


def _identify(accounts: Accounts | None) -> Identify:
    return accounts.identify if accounts else _whoever_is_here


async def _whoever_is_here(connection: HTTPConnection) -> Viewer | None:
    if not is_named_here(connection):
        raise Forbidden("accounts are off, so only by a name of this machine: http://localhost or http://127.0.0.1")
    return await anybody_here(connection)
