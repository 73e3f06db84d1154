"""The complete HTTP application of a center, put together in one place so that tests cover all of it."""

from fastapi import FastAPI
from starlette.requests import HTTPConnection

from center.accounts.api import add_accounts
from center.accounts.identify import Accounts, add_sessions
from center.api.access import Forbidden, Identify, anybody_here, is_named_here
from center.api.app import create_app
from center.api.backup import add_backup
from center.api.declarations import add_declarations
from center.api.metrics import add_metrics
from center.api.quarantine import add_quarantine
from center.ingest.declaration_sender import DeclarationSender
from center.ingest.worker import Ingest
from center.model.viewer import Viewer
from center.runtime.state import CenterState


def application(
    center: CenterState,
    ingest: Ingest,
    declaring: DeclarationSender,
    accounts: Accounts | None = None,
    *,
    identify: Identify | None = None,
    secure: bool = False,
) -> FastAPI:
    """All routes but the console's.

    accounts: None where they are off; identify: replaces them as the way to find the viewer; secure: browsers reach the
    center over HTTPS.
    """
    app = create_app(center, identify or _identify(accounts))
    add_quarantine(app, center, ingest)
    add_metrics(app, center)
    add_declarations(app, center, declaring)
    add_backup(app, center, declaring.engine)
    if accounts:
        add_accounts(app, accounts.engine)
        add_sessions(app, accounts.engine, secure=secure)
    return app


def worker_application(center: CenterState, accounts: Accounts | None, *, secure: bool = False) -> FastAPI:
    """The application of an ingest worker: health and metrics only."""
    app = create_app(center, _identify(accounts), health_only=True)
    add_metrics(app, center)
    if accounts:
        add_sessions(app, accounts.engine, secure=secure)
    return app


def _identify(accounts: Accounts | None) -> Identify:
    return accounts.identify if accounts else _local_only


async def _local_only(connection: HTTPConnection) -> Viewer | None:
    if not is_named_here(connection):
        raise Forbidden("accounts are off, so the center answers only at http://localhost or http://127.0.0.1")
    return await anybody_here(connection)
