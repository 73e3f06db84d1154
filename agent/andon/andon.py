"""The page at the machine, wired: what it needs of the agent, and its life."""

import asyncio
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from agent.andon.board import Board
from agent.andon.desk import Desk
from agent.andon.http.guard import PinGuard, read_pin
from agent.andon.http.page_files import Words, json_file, page_files
from agent.andon.http.server import AndonServer
from agent.andon.http.web import Services
from agent.andon.notices import Notices
from agent.andon.views.site_view import andon_machines, photos, site_view
from agent.andon.views.tech import tech_view
from agent.clock import files as clock_files
from agent.process.periodic import every
from agent.reports.status import GatewayReport
from agent.store.commit import Committer
from config import Site
from config.site.andon import AndonModel
from oee.model.facts import MS_NS
from oee.model.machine import Machine

_LOG: Final = logging.getLogger("nhip.agent.andon")
_KEY: Final = "andon_secret"
"""The outbox's setting that holds this gateway's secret for cookies."""
_READ_S: Final = 10.0
"""How often it is looked for what `nhip declare` has noted meanwhile."""
_WITHIN_NS: Final = 60_000_000_000
"""How exact a person's confirmation of the time is."""


class Andon:
    """The page. `board` is told what is stored and what machines do; `open` and `close` are its life."""

    def __init__(
        self,
        site: Site,
        machines: Mapping[str, Machine],
        committer: Committer,
        report: GatewayReport,
        settings: Mapping[str, str],
        window_ns: int,
    ) -> None:
        """settings: the outbox's; window_ns: how far corrections reach back [ns]. `site` still has its devices."""
        self._model = site.andon or AndonModel.model_validate({})
        self._committer, self._report = committer, report
        self._clock, self._health = report.acquisition.clock, report.acquisition.health
        self.connected: Callable[[], bool | None] = lambda: None
        """Whether the center's broker answers; None without a center."""
        by_name = andon_machines(site, machines, window_ns)
        self._site, self._photos = json_file(site_view(site, by_name)), photos(site)
        self._page, self._files = page_files()
        self._boot = secrets.token_hex(4)
        thread = committer.thread
        self.board = Board(thread, by_name, self._clock.now_ns, self._hello)
        self._desk = Desk(
            thread,
            by_name,
            self.board.tallies,
            lambda: self.board.live,
            self._clock.now_ns,
            self._health,
            trusted=self._trusted,
        )
        self._desk.written = self._written
        self.notices = Notices(thread)
        self._tasks: set[asyncio.Task[None]] = set()
        self._secret = settings.get(_KEY, "")
        self._server: AndonServer | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where the page is; "" if nowhere."""
        return self._server.address if self._server else ""

    async def open(self, metrics: str, metrics_text: Callable[[], Awaitable[str]]) -> bool:
        """Reads what was before, and serves; where it cannot, the agent runs on without the page, and says why. Nothing may
        be computed yet. metrics: where Prometheus is to be answered, "" if nowhere. Whether it is: not beside HTTPS, which
        the same server would speak there too.
        """
        try:
            pin = await asyncio.to_thread(_read_pin, self._model.pin_file)
        except (OSError, ValueError) as error:
            self._health.count("andon_cannot_listen")
            cure = "put 4 to 12 digits into it, or leave out andon.pin_file"
            _LOG.error("andon not served pin_file=%r why=%r cure=%r", self._model.pin_file, str(error), cure)
            return False
        if not self._secret:
            self._secret = secrets.token_hex(16)
            await self._committer.thread.keep_settings({_KEY: self._secret}, self._clock.now_ns())
        await self._committer.commit(final=True)  # gathers the journal
        await self.board.load()
        await self.notices.read()
        services = Services(
            self._files,
            self._site,
            Words().file,
            self._photos,
            self.board.audience,
            PinGuard(pin, bytes.fromhex(self._secret)),
            self._desk.take,
            self._confirm_clock,
            partial(tech_view, self._report, self.connected),
            metrics_text if metrics else None,
            frozenset({*self._model.names, *_own_names()}),
        )
        self._server = AndonServer(services, self._health)
        certificate = (self._model.certificate, self._model.key) if self._model.certificate else None
        metrics = "" if certificate else metrics
        if not await self._server.open(self._model.listen, certificate, metrics):
            return False
        self._keeping = asyncio.create_task(self.board.run(), name="andon board")
        reading = asyncio.create_task(every(_READ_S, self.notices.read, self._health), name="andon notices")
        self._keeping.add_done_callback(lambda _: reading.cancel())
        return bool(metrics)

    async def close(self) -> None:
        """Ends it."""
        if self._keeping:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
        if self._server:
            await self._server.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def noted(self, ids: Iterable[str]) -> None:
        """The center keeps notices, and has these."""
        self._start(self.notices.confirmed(ids))

    def _written(self, machines: set[str]) -> None:
        self.board.changed(machines)
        self._start(self.notices.read())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _trusted(self) -> bool:
        return self._clock.trusted and not self._report.acquisition.dating.buffering

    def _hello(self) -> dict[str, Any]:
        return {
            "now_ms": self._clock.now_ns() // MS_NS,
            "trusted": self._trusted(),
            "clock_by": self._clock.report().by,
            "boot": self._boot,
            "page": self._page,
            "site": self._site.etag.strip('"'),
            "connected": self.connected(),
            "trouble": bool(self._committer.thread.trouble),
        }

    def _confirm_clock(self, utc_ns: int) -> None:
        clock_files.confirm(self._committer.thread.outbox.path, utc_ns, _WITHIN_NS, self._clock.system)


def _read_pin(file: str) -> str:
    return read_pin(Path(file).read_text(encoding="utf-8")) if file else ""


def _own_names() -> set[str]:
    name = socket.gethostname().lower()
    return {name, f"{name}.local", name.partition(".")[0]}
