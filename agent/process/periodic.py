"""Periodic tasks."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from agent.process.health import Health

_LOG: Final = logging.getLogger("nhip.agent")


async def every(period_s: float, work: Callable[[], Any], health: Health) -> None:
    """Runs `work` on a time grid; late runs are skipped, not queued. An exception in one run is counted and survived.

    If this task is cancelled during a run, that run continues to its end on its own: half a commit would lose what it
    had taken. Each `work` therefore holds a lock, and the code after the cancellation waits for that lock.
    """
    loop = asyncio.get_running_loop()
    due_s = loop.time() + period_s
    while True:
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        due_s += period_s * max(1, -(-(loop.time() - due_s) // period_s))
        await _run_once(work, health)


async def on_event(event: asyncio.Event, work: Callable[[], Any], health: Health) -> None:
    """Runs `work` each time the event is set, after clearing it; exceptions and cancellation as in `every`."""
    while True:
        await event.wait()
        event.clear()
        await _run_once(work, health)


async def _run_once(work: Callable[[], Any], health: Health) -> None:
    try:
        await asyncio.shield(asyncio.ensure_future(work()))
    except Exception:  # noqa: BLE001  # a task that must survive; counted
        health.count("turns_failed")
        if health.snapshot()["turns_failed"] == 1:
            _LOG.exception("turn failed")
