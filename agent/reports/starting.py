"""The start of an agent whose disk refuses: full, read-only or failing.

Such a condition passes, or somebody mends it without touching the agent, so the agent waits instead of ending: a service
manager does not start again what ended as misconfigured. Meanwhile it says why in the log, in the metrics and to the
center. Nothing is read from the devices, since nothing could be kept.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final, TypeVar

from agent.outbox.disk import CannotStore
from agent.outbox.streams import EnvelopeKey
from agent.process.health import Health
from agent.reports.status import installed_version
from agent.reports.went_back import read_note
from agent.uplink.mqtt.broker import broker_of
from agent.uplink.reception import UplinkHooks
from agent.uplink.sender import Sender
from agent.uplink.uplink import Uplink
from cli.service import tell as tell_manager
from config import Site
from wire.bodies import MOST_TROUBLE, Status

_LOG: Final = logging.getLogger("nhip.agent")
RETRY_S: Final = 5.0
"""How often the disk is tried [s]."""
_SAY_AGAIN_S: Final = 600.0
_END_S: Final = 5.0
T = TypeVar("T")


async def when_disk_allows(
    start: Callable[[], Awaitable[T]], site: Site, metrics: str, stop: asyncio.Event
) -> T | None:
    """What `start` returns, called until it no longer raises `CannotStore`; None if `stop` was set
    before. metrics: `host:port` for Prometheus, "" for none.
    """
    waiting: _Waiting | None = None
    try:
        while True:
            try:
                return await start()
            except CannotStore as error:
                waiting = waiting or await _Waiting.begin(site, metrics)
                waiting.refused(str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RETRY_S)
            if stop.is_set():
                return None
    finally:
        if waiting:
            await waiting.end()


class _Waiting:
    """An agent that cannot start yet: its metrics, and its connection to the center."""

    def __init__(self, site: Site) -> None:
        self._why, self._said_s = "", 0.0
        self._health = Health()
        self._server: asyncio.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._uplink: Uplink | None = None
        if site.center:
            hooks = UplinkHooks(_none_on_disk, lambda _: None, self._status, time.time_ns, clock_trusted=lambda: False)
            broker = broker_of(site.center, site.site, site.gateway)
            self._uplink = Uplink(broker, Sender(()), hooks, self._health, site=site.site, gateway=site.gateway)

    @classmethod
    async def begin(cls, site: Site, metrics: str) -> "_Waiting":
        """Connects and listens; for a service manager that is enough to be up."""
        tell_manager("READY=1")
        out = cls(site)
        if metrics:
            from agent.reports.metrics import waiting_text  # noqa: PLC0415  # as in `Agent`: only where metrics are on
            from agent.reports.metrics_http import open_metrics  # noqa: PLC0415

            async def text() -> str:
                return waiting_text(out._health.snapshot(), connected=bool(out._uplink and out._uplink.connected))

            out._server = await open_metrics(metrics, text, out._health)
        if out._uplink:
            out._task = asyncio.create_task(out._uplink.run(), name="uplink while the disk refuses")
        return out

    def refused(self, why: str) -> None:
        """The disk refused again: logged if the reason is new, and every ten minutes."""
        self._health.count("starts_refused")
        now_s = time.monotonic()
        if why == self._why and now_s - self._said_s < _SAY_AGAIN_S:
            return
        changed, self._why, self._said_s = why != self._why, why, now_s
        _LOG.error("agent waits for its disk why=%r next=%r", why, f"it is tried every {RETRY_S:g} s; nothing is read")
        if changed and self._uplink:
            self._uplink.announcements.status_changed()

    async def end(self) -> None:
        """Disconnects, so that the agent itself can connect."""
        if self._server:
            self._server.close()
        if self._uplink and self._task:
            self._uplink.stop()
            await asyncio.wait([self._task], timeout=_END_S)
            self._task.cancel()

    def _status(self) -> Status:
        return Status(
            online=True,
            at_ns=time.time_ns(),
            version=installed_version(),
            went_back=read_note(),
            health={**self._health.snapshot(), "cannot_store": 1.0},
            trouble=self._why[:MOST_TROUBLE],
        )


async def _none_on_disk(keys: Iterable[EnvelopeKey]) -> list[tuple[EnvelopeKey, str, bytes | None]]:
    return [(key, "facts", None) for key in keys]
