"""Does what a center needs at its start again and again, until what it needs answers.

A server that starts later than the center, a disk that is full for a while or a file that a command has open are no
reason to end: a service manager does not start again what ended as misconfigured. What only a person can change ends the
start at once.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Final, TypeVar

from center.contract.store import StoreUnavailable
from center.model.complaints import NotReady
from words import complaint

_LOG: Final = logging.getLogger("nhip.center")
RETRY_S: Final = 5.0
"""How often it is tried [s]."""
SLOW_S: Final = 3.0
"""An answer that takes longer is told while it is awaited [s]."""
_SAY_AGAIN_S: Final = 600.0
_SLOW: Final = "the store or the database has not answered yet; it is waited for"
T = TypeVar("T")


class Patience:
    """why: what is waited for at the moment, "" before anything refused; refusals: how often something has."""

    def __init__(self, waiting: Callable[[], Awaitable[None]]) -> None:
        """waiting: called once, when it turns out that the start has to wait."""
        self.why, self.refusals = "", 0
        self._begun, self._waiting = False, waiting
        self._said, self._said_s = "", 0.0

    async def opened(
        self, work: Callable[[], T], stop: asyncio.Event, close: Callable[[T], None] = lambda _: None
    ) -> T | None:
        """What `work` returns, called in a thread until it raises neither `NotReady` nor `StoreUnavailable`; None if
        `stop` was set before. close: for what it returns too late. Raises what else it raises.
        """
        while not stop.is_set():
            try:
                return await self._once(work, stop, close)
            except NotReady as error:
                await self._refused("\n".join(complaint(item, "en") for item in error.complaints))
            except StoreUnavailable as error:
                await self._refused(str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RETRY_S)
        return None

    async def _once(self, work: Callable[[], T], stop: asyncio.Event, close: Callable[[T], None]) -> T | None:
        """One try, in a thread that the process does not wait for when it ends: a server may take its time to answer."""
        result: Future[T] = Future()
        threading.Thread(target=_run, args=(work, result, close), name="nhip-opening", daemon=True).start()
        opened, stopped = asyncio.wrap_future(result), asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait((opened, stopped), timeout=SLOW_S, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                await self._refused(_SLOW)
                await asyncio.wait((opened, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        if opened.done():
            return opened.result()
        opened.cancel()
        return None

    async def _refused(self, why: str) -> None:
        self.why, self.refusals = why, self.refusals + 1
        now_s = time.monotonic()
        if why != self._said or now_s - self._said_s >= _SAY_AGAIN_S:
            self._said, self._said_s = why, now_s
            _LOG.error("start: waiting: %s (tried again every %g s; facts wait at the gateways)", why, RETRY_S)
        if not self._begun:
            self._begun = True
            await self._waiting()


def _run(work: Callable[[], T], result: "Future[T]", close: Callable[[T], None]) -> None:
    try:
        made = work()
    except BaseException as error:  # noqa: BLE001  # raised again where the result is awaited
        with suppress(Exception):
            result.set_exception(error)
        return
    if not result.set_running_or_notify_cancel():
        close(made)
        return
    result.set_result(made)
