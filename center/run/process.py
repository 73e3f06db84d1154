"""The center as a process: store, ingest, API and console on one HTTP port, until it is stopped."""

import asyncio
import gc
import importlib
import importlib.util
import json
import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from center.accounts.identify import Accounts
from center.accounts.people import has_administrator
from center.accounts.schema import open_accounts
from center.api.outside import Outside
from center.contract.ledger import SharedLedger
from center.database.actions import prepare_actions
from center.database.declarations import open_declarations
from center.database.findings import open_findings
from center.database.notices import open_notices
from center.database.sql import PRIVATE, shown_url
from center.ingest.declaration_sender import DeclarationSender
from center.ingest.mqtt import BrokerSettings, subscriptions_of
from center.ingest.notice_keeper import NoticeKeeper
from center.ingest.worker import Ingest
from center.model.complaints import is_passing, misconfigured, not_ready
from center.outgoing.alerts.job import AlertJob
from center.outgoing.alerts.sender import AlertSender
from center.outgoing.benchmark.job import BenchmarkJob
from center.outgoing.reports.job import ReportMailJob
from center.run.application import application, table_recorder, waiting_application, worker_application
from center.run.bodies import MOST_BYTES
from center.run.connections import Connections, Count
from center.runtime.advice.advice_job import AdviceJob
from center.runtime.background import BackgroundJob
from center.runtime.opening import close_center, open_center
from center.runtime.patience import Patience
from center.runtime.rollup_job import RollupJob
from center.runtime.state import CenterState
from cli.files import write_whole
from cli.service import tell as tell_manager
from config import CenterFile, load_center

END_S: Final = 55.0
"""How long after a signal the center may live [s]: less than a service manager's patience (deploy/systemd)."""
_CONSOLE: Final = "center.console"
_PAGE_ENDS_S: Final = 10.0
_TURN_S: Final = 0.001
"""How long a thread that computes keeps the others waiting [s]; Python's own value is five times that."""
_MOST_OF_A_HEAD: Final = 32_768


def make_way() -> None:
    """Keeps the search for garbage away from modules and routes, 200,000 objects that live as long as the process: it would hold
    up everybody for 120 ms, every few pages. Threads that compute hand over sooner: a small answer passes from thread to
    thread several times. Call it once everything is loaded.
    """
    sys.setswitchinterval(_TURN_S)
    gc.collect()
    gc.freeze()


async def run(
    settings: CenterFile | str | Path,
    stop: asyncio.Event,
    ready_file: str | Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> None:
    """Runs the center until `stop` is set; then drains and closes.

    settings: the center's file, or its content. ready_file: written as soon as the port is open, as JSON with `url`
    and `pid`; `listen` may name port 0; tell: is told that address then, if there is a console at it. The caller turns
    signals into `stop`. While the store, the database or the disk does not let it start, it waits, and says so in the log
    and on its port.
    Files that the process makes are its owner's alone. Raises `Misconfigured`.
    """
    if not isinstance(settings, CenterFile):
        settings = load_center(settings)
    os.umask(PRIVATE)
    page = _WaitingPage(settings)
    listener = await page.patience.opened(partial(_listen, settings), stop, socket.socket.close)
    if listener is None:
        return
    page.listener = listener
    try:
        opened = await page.patience.opened(partial(_open, settings), stop, _close)
        await page.end()
        if opened is None:
            return
        try:
            await _serve(
                opened,
                settings,
                listener,
                stop,
                partial(_say_opened, ready_file, tell if settings.role != "ingest" else None),
            )
        finally:
            if ready_file:
                _remove_ready(Path(ready_file))
            await asyncio.to_thread(_close, opened)
    finally:
        await page.end()
        listener.close()


@dataclass(frozen=True)
class _Opened:
    accounts: Accounts | None
    declarations: Engine
    notices: Engine
    findings: Engine
    center: CenterState


def _open(settings: CenterFile) -> _Opened:
    """Everything that the center keeps its data in. Raises `Misconfigured` or `StoreUnavailable`; then nothing is open."""
    with ExitStack() as undo:
        accounts = _open_accounts(settings)
        if accounts:
            undo.callback(accounts.engine.dispose)
        declarations = open_declarations(settings.database_url)
        undo.callback(declarations.dispose)
        notices = open_notices(settings.database_url)
        undo.callback(notices.dispose)
        findings = open_findings(settings.database_url)
        undo.callback(findings.dispose)
        prepare_actions(findings)
        center = open_center(settings)
        undo.pop_all()
    return _Opened(accounts, declarations, notices, findings, center)


def _close(opened: _Opened) -> None:
    close_center(opened.center)
    opened.declarations.dispose()
    opened.notices.dispose()
    opened.findings.dispose()


class _WaitingPage:
    """What the center's port answers while the center waits. listener: the open port, None before."""

    def __init__(self, settings: CenterFile) -> None:
        self.patience, self._settings = Patience(self._begin), settings
        self.listener: socket.socket | None = None
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def _begin(self) -> None:
        tell_manager("READY=1")
        if self.listener is None:
            return
        app = waiting_application(self.patience, self._settings.language)
        self._server = _Server(_uvicorn(app, self._settings), self._settings)
        self._task = asyncio.create_task(self._server.serve(sockets=[self.listener.dup()]))

    async def end(self) -> None:
        """Frees the port for the center itself. May be called twice."""
        if self._server and self._task:
            self._server.should_exit = True
            await asyncio.wait([self._task], timeout=_PAGE_ENDS_S)
            self._server = self._task = None


def _open_accounts(settings: CenterFile) -> Accounts | None:
    if settings.accounts == "off":
        return None
    engine = open_accounts(settings.database_url)
    try:
        known = has_administrator(engine)
    except BaseException:
        engine.dispose()
        raise
    if not known:
        engine.dispose()
        raise misconfigured("accounts", shown_url(engine), "no_administrator")
    return Accounts(
        engine,
        watch_here=settings.monitoring == "loopback",
        secure=settings.secure,
        two_factors=settings.second_factor == "required",
    )


@dataclass(frozen=True)
class _Services:
    ingest: Ingest
    sums: RollupJob
    advice: AdviceJob | None
    outgoing: Sequence[BackgroundJob]
    app: FastAPI


def _services(opened: _Opened, settings: CenterFile, unfit: Callable[[str], None]) -> _Services:
    """The parts of the process by its role, not started yet. unfit: called if the broker cannot serve the role."""
    center, accounts = opened.center, opened.accounts
    broker = BrokerSettings(
        settings.host,
        settings.port,
        settings.tls,
        settings.username,
        settings.password_file,
        settings.ca_file,
        settings.certificate_file,
        settings.private_key_file,
    )
    group = center.ledger.processes.secret() if isinstance(center.ledger, SharedLedger) else ""
    ingest = Ingest(center, broker, subscriptions_of(settings.role, unfit, group), notices=NoticeKeeper(opened.notices))
    sender = DeclarationSender(opened.declarations, ingest.publish, center.now_ns, ingest.fits)
    ingest.on_everybody, ingest.on_status = sender.send_to_all, sender.record_status
    if settings.role == "ingest":
        app = worker_application(center, accounts, body_s=settings.connections.body)
    else:
        app = application(
            center,
            ingest,
            sender,
            accounts,
            notices=opened.notices,
            findings=opened.findings,
            alerts=settings.alerts,
            body_s=settings.connections.body,
        )
        app.state.live_pages = settings.connections.live_pages
        _mount_console(app, center, accounts)
    advice = None if settings.role == "ingest" else AdviceJob(center, opened.findings)
    outgoing = [] if settings.role == "ingest" else _outgoing(opened, settings)
    return _Services(ingest, RollupJob(center, answers=settings.role != "ingest"), advice, outgoing, app)


def _outgoing(opened: _Opened, settings: CenterFile) -> list[BackgroundJob]:
    """What the center tells people by itself."""
    center, engine, jobs = opened.center, opened.declarations, list[BackgroundJob]()
    jobs.append(BenchmarkJob(center, engine, table_recorder(center)))
    if settings.mail:
        jobs.append(ReportMailJob(center, engine, settings.mail, settings.reports))
    if settings.alerts:
        jobs.append(AlertJob(center, engine, opened.notices, settings.alerts))
        jobs.append(AlertSender(center, engine, settings.alerts, settings.mail))
    return jobs


async def _serve(
    opened: _Opened,
    settings: CenterFile,
    listener: socket.socket,
    stop: asyncio.Event,
    opened_at: Callable[[str], None],
) -> None:
    unfit: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    services = _services(opened, settings, _threadsafe_setter(unfit))
    server = _Server(_uvicorn(services.app, settings), settings, opened.center.health.count)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    services.ingest.start()
    services.sums.start()
    if services.advice:
        services.advice.start()
    for job in services.outgoing:
        job.start()
    try:
        up = asyncio.create_task(server.opened.wait())
        await asyncio.wait((serving, up), return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if server.opened.is_set():
            make_way()
            tell_manager("READY=1")
            opened_at(_address(listener, "https" if settings.https else "http"))
        await asyncio.wait((serving, stopping, unfit), return_when=asyncio.FIRST_COMPLETED)
        if unfit.done():
            reason = unfit.result()
            raise misconfigured("role", settings.role, "no_shared_subscriptions", broker=settings.broker, detail=reason)
        if not stop.is_set():
            raise RuntimeError("the HTTP server ended by itself; its log says why")
    finally:
        stopping.cancel()
        await asyncio.to_thread(services.ingest.stop)
        await asyncio.to_thread(services.sums.stop)
        if services.advice:
            await asyncio.to_thread(services.advice.stop)
        for job in services.outgoing:
            await asyncio.to_thread(job.stop)
        server.should_exit = True
        await serving


def _threadsafe_setter(future: "asyncio.Future[str]") -> Callable[[str], None]:
    """Sets the future's result from another thread; further calls are ignored."""
    loop = asyncio.get_running_loop()

    def set_once(text: str) -> None:
        if not future.done():
            future.set_result(text)

    return lambda text: cast(None, loop.call_soon_threadsafe(set_once, text))


def _uvicorn(app: ASGIApp, settings: CenterFile) -> uvicorn.Config:
    encrypted: dict[str, Any] = {}
    if settings.https:
        encrypted = {"ssl_certfile": settings.https.certificate, "ssl_keyfile": settings.https.key}
    config = uvicorn.Config(
        Outside(app, settings.root_path, settings.proxy),
        http=H11Protocol,  # `Connections` asks it what it is waiting for
        h11_max_incomplete_event_size=_MOST_OF_A_HEAD,
        ws_max_size=MOST_BYTES,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
        proxy_headers=False,  # as far as they are believed, `Outside` does it
        **encrypted,
    )
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise misconfigured(
            "https", str(encrypted.get("ssl_certfile")), "certificate_unusable", detail=error
        ) from error
    return config


class _Server(uvicorn.Server):
    """Sets `opened` once the port is open, and leaves signals to whoever runs the event loop."""

    def __init__(self, config: uvicorn.Config, settings: CenterFile, count: Count = lambda _name: None) -> None:
        """count: counts events of the port by name."""
        super().__init__(config)
        self.opened = asyncio.Event()
        self._settings, self._count = settings, count
        self._connections: list[Connections] = []

    def capture_signals(self) -> Any:
        return nullcontext()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        if self.started:
            self._connections = [self._accepting(listener) for listener in sockets or []]
            self.opened.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connections in self._connections:
            await connections.stop()
        await super().shutdown(sockets)

    def _accepting(self, listener: socket.socket) -> Connections:
        connections = Connections(
            listener,
            lambda: H11Protocol(self.config, self.server_state, self.lifespan.state),
            self._settings.connections,
            self.config.ssl,
            proxies=self._settings.proxy,
            count=self._count,
        )
        connections.start()
        return connections


def _listen(settings: CenterFile) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in settings.listen_host else socket.AF_INET
        return socket.create_server((settings.listen_host.strip("[]"), settings.listen_port), family=family)
    except OSError as error:
        complaint_of = not_ready if is_passing(error) else misconfigured
        raise complaint_of("listen", settings.listen, "cannot_listen", detail=error.strerror or error) from error


def _address(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _say_opened(ready_file: str | Path | None, tell: Callable[[str], None] | None, url: str) -> None:
    if ready_file:
        write_whole(Path(ready_file), json.dumps({"url": url, "pid": os.getpid()}))
    if tell:
        tell(url)


def _remove_ready(path: Path) -> None:
    path.unlink(missing_ok=True)


def _mount_console(app: FastAPI, center: CenterState, accounts: Accounts | None) -> None:
    if importlib.util.find_spec(_CONSOLE) is not None:
        from center.outgoing.reports.page import add_report_page  # noqa: PLC0415  # NiceGUI is loaded only where pages are

        add_report_page(app, center)  # before the console, which answers every other path
        if months := getattr(app.state, "months", None):
            from center.outgoing.benchmark.page import add_benchmark_pages  # noqa: PLC0415  # as above
            from center.outgoing.directory.page import add_directory_pages  # noqa: PLC0415  # as above
            from center.outgoing.monthly.page import add_month_pages  # noqa: PLC0415  # as above
            from center.outgoing.monthly.papers_page import add_paper_pages  # noqa: PLC0415  # as above
            from center.outgoing.monthly.plan_page import add_plan_pages  # noqa: PLC0415  # as above
            from center.outgoing.statement.page import add_statement_pages  # noqa: PLC0415  # as above
            from center.outgoing.statement.public import add_public_statements  # noqa: PLC0415  # as above

            add_month_pages(app, months)
            add_plan_pages(app, app.state.maintenance)
            add_paper_pages(app, app.state.papers)
            add_benchmark_pages(app, app.state.benchmark)
            add_statement_pages(app, app.state.statements)
            add_public_statements(app, app.state.statements)
            add_directory_pages(app, app.state.directory)
        if desk := getattr(app.state, "alerts", None):
            from center.outgoing.alerts.page import add_alert_page  # noqa: PLC0415  # as above

            add_alert_page(app, center, desk)
        importlib.import_module(_CONSOLE).mount(app, center, accounts)
