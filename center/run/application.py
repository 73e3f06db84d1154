"""The complete HTTP application of a center, put together in one place so that tests cover all of it."""

from functools import partial
from html import escape
from typing import Any, Final

from fastapi import FastAPI
from sqlalchemy import Connection, Engine
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from center.accounts import audit
from center.accounts.api import add_accounts
from center.accounts.audit import Actor
from center.accounts.identify import Accounts, add_sessions
from center.accounts.schema import prepare_accounts
from center.accounts.trail import Trail
from center.api.access import Forbidden, Identify, anybody_here, is_loopback, is_named_here
from center.api.advice.action_desk import RecordAction
from center.api.advice.action_routes import add_actions
from center.api.advice.finding_routes import Record as DismissalRecord
from center.api.advice.finding_routes import add_findings
from center.api.app import create_app
from center.api.calls import add_calls
from center.api.declarations import add_declarations
from center.api.outside import Headers
from center.api.parameters import V1
from center.api.quarantine import BoxDecisions, add_quarantine
from center.api.targets import add_targets
from center.api.upkeep.backup import add_backup
from center.api.upkeep.machines import MachineDeletion, add_machines
from center.api.upkeep.metrics import add_metrics, waiting_metrics
from center.database.benchmark import Consent, PublishedTable, RecordTable
from center.database.directory import Firm
from center.database.maintenance import KeptTask
from center.database.month_issues import IssuedMonth, MonthSignature, plain_issue
from center.database.month_papers import MonthObjective, MonthReference
from center.database.statements import Statement
from center.ingest.declaration_sender import DeclarationSender
from center.ingest.worker import Ingest
from center.model.kept_action import KeptAction
from center.model.kept_finding import KeptFinding
from center.model.viewer import Viewer
from center.outgoing.alerts.api import add_alerts
from center.outgoing.benchmark.api import BenchmarkDesk, RecordSaid, add_benchmark
from center.outgoing.directory.api import add_directory
from center.outgoing.directory.desk import DirectoryDesk, RecordChanged
from center.outgoing.monthly.api import add_months
from center.outgoing.monthly.desk import MonthDesk, RecordIssue
from center.outgoing.monthly.papers import PaperDesk, RecordWritten, add_papers
from center.outgoing.monthly.plan import PlanDesk, RecordChange, add_maintenance
from center.outgoing.reports.api import add_report, add_report_mails
from center.outgoing.statement.api import add_statements
from center.outgoing.statement.desk import RecordMade, StatementDesk
from center.run.bodies import BODY_S, Bodies
from center.runtime.patience import Patience
from center.runtime.state import CenterState
from config.alerts import AlertsModel
from wire.prometheus import CONTENT_TYPE
from words import say

_AGAIN_S: Final = 5
_AGAIN: Final = {"Retry-After": str(_AGAIN_S)}
_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def application(
    center: CenterState,
    ingest: Ingest,
    declaring: DeclarationSender,
    accounts: Accounts | None = None,
    *,
    identify: Identify | None = None,
    notices: Engine | None = None,
    findings: Engine | None = None,
    alerts: AlertsModel | None = None,
    body_s: float = BODY_S,
) -> FastAPI:
    """All routes but the console's.

    notices: the database of what people at the machines said, None without one; findings: the database of advice;
    alerts: None where none are raised.

    accounts: None where they are off; identify: replaces them as the way to find the viewer; body_s: how long a
    request's body of 64 kB may take [s].
    """
    app = create_app(center, identify or _identify(accounts))

    def record_decision(who: str, address: str, act: str, about: str, stream: str) -> None:
        audit.record_decision(declaring.engine, center.now_ns(), Actor(who, address), act, about, stream)

    add_quarantine(app, center, ingest, BoxDecisions(center, ingest, record_decision))
    add_metrics(app, center)
    add_declarations(app, center, declaring)
    if notices is not None:
        add_calls(app, center, notices)
    add_backup(app, center, declaring.engine)
    prepare_accounts(declaring.engine)  # the audit trail, also where accounts are off

    def record(who: str, address: str, site: str, machine: str) -> None:
        audit.record_deletion(declaring.engine, center.now_ns(), Actor(who, address), site, machine)

    add_machines(app, MachineDeletion(ingest, record))
    add_targets(app, center, declaring.engine, audit.record_target)
    if findings is not None:
        prepare_accounts(findings)  # a dismissal and its entry in the audit trail are one transaction
        add_findings(app, center, findings, _dismissal_recorder(center))
        add_actions(app, center, findings, _action_recorder(center))
    if alerts is not None:
        add_alerts(app, center, declaring.engine, alerts, audit.record_taken)
    months = MonthDesk(
        center, declaring.engine, _month_recorder(center), partial(audit.head, declaring.engine), findings, notices
    )
    add_months(app, months)
    add_maintenance(app, PlanDesk(center, declaring.engine, _plan_recorder(center), notices))
    add_papers(app, PaperDesk(center, declaring.engine, _paper_recorder(center)))
    add_benchmark(app, BenchmarkDesk(center, declaring.engine, _consent_recorder(center)))
    add_statements(app, StatementDesk(center, declaring.engine, _statement_recorder(center), findings))
    add_directory(app, DirectoryDesk(center, declaring.engine, _firm_recorder(center)))
    add_report(app, center)
    add_report_mails(app, center, declaring.engine)
    if accounts:
        add_accounts(app, accounts.engine)
        add_sessions(app, accounts)
    app.add_middleware(Trail, engine=declaring.engine, now_ns=center.now_ns)
    app.add_middleware(Bodies, routes=app.routes, body_s=body_s)
    app.add_middleware(Headers, secure=accounts is not None and accounts.secure)
    return app


def _dismissal_recorder(center: CenterState) -> DismissalRecord:
    def record(connection: Connection, who: str, address: str, item: KeptFinding) -> None:
        about = f"{item.site}/{item.record.finding.machine}/{item.record.finding.rule}"
        detail = {"finding": item.id, "key": list(item.record.finding.key), "reason": item.record.reason}
        audit.record(connection, center.now_ns(), Actor(who, address), "finding.dismissed", about, **detail)

    return record


def _action_recorder(center: CenterState) -> RecordAction:
    def record(connection: Connection, who: str, address: str, kind: str, item: KeptAction, text: str) -> None:
        plan = item.record.registered[-1].digest if item.record.registered else ""
        detail = {"text": text[:500], "digest": plan, "stage": item.record.stage}
        audit.record(
            connection, center.now_ns(), Actor(who, address), f"action.{kind}", f"{item.site}/{item.id}", **detail
        )

    return record


def _month_recorder(center: CenterState) -> RecordIssue:
    def record(
        connection: Connection, who: str, address: str, item: IssuedMonth, signed: MonthSignature | None
    ) -> None:
        detail = plain_issue(item) | ({"meaning": signed.meaning, "position": signed.position} if signed else {})
        what = "month.signed" if signed else "month.issued"
        audit.record(connection, center.now_ns(), Actor(who, address), what, item.site, **detail)

    return record


def _plan_recorder(center: CenterState) -> RecordChange:
    def record(
        connection: Connection, who: str, address: str, what: str, task: KeptTask, detail: dict[str, Any]
    ) -> None:
        about = f"{task.site}/{task.machine}"
        shown = {"text": task.title, **detail}
        audit.record(connection, center.now_ns(), Actor(who, address), f"maintenance.{what}", about, **shown)

    return record


def _paper_recorder(center: CenterState) -> RecordWritten:
    def record(connection: Connection, who: str, address: str, item: MonthObjective | MonthReference) -> None:
        if isinstance(item, MonthObjective):
            about = "/".join(part for part in (item.site, item.machine) if part)
            detail: dict[str, Any] = {"kind": item.kind, "since": item.since}
            detail |= {"value": None if item.value_u is None else item.value_u / 1e6}
            what = "month.aimed"
        else:
            about, what = item.site, "month.referred"
            detail = {"text": item.title, "place": item.place, "edition": item.edition, "owner": item.owner}
        audit.record(connection, center.now_ns(), Actor(who, address), what, about, **detail)

    return record


def _consent_recorder(center: CenterState) -> RecordSaid:
    def record(connection: Connection, address: str, item: Consent) -> None:
        what = "benchmark.given" if item.given else "benchmark.withdrawn"
        audit.record(connection, center.now_ns(), Actor(item.by, address), what, item.site)

    return record


def _statement_recorder(center: CenterState) -> RecordMade:
    def record(connection: Connection, who: str, address: str, item: Statement) -> None:
        what = "statement.revoked" if item.revoked_ns else "statement.made"
        detail = {"statement": item.id, "recipient": item.recipient, "purpose": item.purpose, "digest": item.digest}
        audit.record(connection, center.now_ns(), Actor(who, address), what, item.site, **detail)

    return record


def _firm_recorder(center: CenterState) -> RecordChanged:
    def record(
        connection: Connection, who: str, address: str, what: str, firm: Firm | None, counts: dict[str, int]
    ) -> None:
        detail: dict[str, Any] = {"text": firm.name, "shown": firm.shown} if firm else {}
        about = (firm.site or firm.code) if firm else ""
        audit.record(connection, center.now_ns(), Actor(who, address), f"directory.{what}", about, **detail, **counts)

    return record


def table_recorder(center: CenterState) -> RecordTable:
    """Enters a published benchmark into the audit trail, as done by the center itself."""

    def record(connection: Connection, table: PublishedTable) -> None:
        what, digest = "benchmark.published", table.digest
        audit.record(connection, center.now_ns(), Actor("center"), what, table.quarter, digest=digest)

    return record


def waiting_application(patience: Patience, language: str) -> Starlette:
    """The application of a center that waits for its store or database: health and metrics say so, every page too. Why
    it waits is told on this machine only, since accounts may be what is waited for.
    """

    async def health(request: Request) -> Response:
        detail = patience.why if is_loopback(request) and is_named_here(request) else ""
        return JSONResponse({"status": "starting", "store": detail, "conditions": {"start": detail}}, 503, _AGAIN)

    async def metrics(_request: Request) -> Response:
        return Response(waiting_metrics(patience.refusals), 200, {}, CONTENT_TYPE)

    async def page(_request: Request) -> Response:
        text = say("console.starting", language)
        head = (
            f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="{_AGAIN_S}"><title>Nhịp</title>'
        )
        return HTMLResponse(f"{head}<p>{escape(text)}</p>", 503, _AGAIN)

    return Starlette(
        routes=[
            Route(f"{V1}/health", health),
            Route("/metrics", metrics),
            Route("/{path:path}", page, methods=_METHODS),
        ]
    )


def worker_application(center: CenterState, accounts: Accounts | None, *, body_s: float = BODY_S) -> FastAPI:
    """The application of an ingest worker: health and metrics only."""
    app = create_app(center, _identify(accounts), health_only=True)
    add_metrics(app, center)
    if accounts:
        add_sessions(app, accounts)
    app.add_middleware(Bodies, routes=app.routes, body_s=body_s)
    app.add_middleware(Headers, secure=accounts is not None and accounts.secure)
    return app


def _identify(accounts: Accounts | None) -> Identify:
    return accounts.identify if accounts else _local_only


async def _local_only(connection: HTTPConnection) -> Viewer | None:
    if not is_named_here(connection):
        raise Forbidden("accounts are off, so the center answers only at http://localhost or http://127.0.0.1")
    return await anybody_here(connection)
