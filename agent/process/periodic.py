"""Periodic tasks."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from agent.process.health import Health

_LOG: Final = logging.getLogger("nhip.agent")


async def every(period_s: float, work: Callable[[], Any], health: Health) -> None:
    """Runs `work` on a time grid; late runs are skipped, not queued. An exception in a run is counted, and the next run
    follows.

    If this task is cancelled during a run, that run still continues to its end: half a commit would lose what it had
    taken. Each `work` therefore holds a lock, and the code after the cancellation waits for that lock.
    """
    loop, run = asyncio.get_running_loop(), _Runs(work, health)
    due_s = loop.time() + period_s
    while True:
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        due_s += period_s * max(1, -(-(loop.time() - due_s) // period_s))
        await run.once()


async def on_event(event: asyncio.Event, work: Callable[[], Any], health: Health) -> None:
    """Runs `work` each time the event is set, after clearing it; exceptions and cancellation as in `every`."""
    run = _Runs(work, health)
    while True:
        await event.wait()
        event.clear()
        await run.once()


class _Runs:
    """Runs `work` repeatedly. A failure is counted, and logged unless the previous run failed in the same way."""

    def __init__(self, work: Callable[[], Any], health: Health) -> None:
        self._work, self._health = work, health
        self._failure = ""

    async def once(self) -> None:
        try:
            await asyncio.shield(asyncio.ensure_future(self._work()))
        except Exception as error:  # noqa: BLE001  # a task that must survive; counted
            self._health.count("turns_failed")
            if (failure := f"{type(error).__name__}: {error}") != self._failure:
                _LOG.exception("turn failed work=%s", getattr(self._work, "__name__", "?"))
            self._failure = failure
        else:
            self._failure = ""
