"""Work that comes again and again."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from agent.health import Health

_LOG: Final = logging.getLogger("nhip.agent")


async def every(period_s: float, work: Callable[[], Any], health: Health) -> None:
    """Does it on a grid; late turns are skipped, not queued up. Survives what goes wrong in one turn, and counts it.

    Cancelled in the middle of a turn, it leaves that turn to end by itself: half a commit would lose what was taken
    for it. Turns therefore hold a lock that whoever comes after the cancellation waits for.
    """
    loop = asyncio.get_running_loop()
    due_s = loop.time() + period_s
    while True:
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        due_s += period_s * max(1, -(-(loop.time() - due_s) // period_s))
        await _turn(work, health)


async def whenever(event: asyncio.Event, work: Callable[[], Any], health: Health) -> None:
    """Does it each time that the event is set, and clears that before; in turns like those of `every`."""
    while True:
        await event.wait()
        event.clear()
        await _turn(work, health)


async def _turn(work: Callable[[], Any], health: Health) -> None:
    try:
        await asyncio.shield(asyncio.ensure_future(work()))
    except Exception:  # noqa: BLE001  # a task that must survive; counted
        health.count("turns_failed")
        if health.snapshot()["turns_failed"] == 1:
            _LOG.exception("turn failed")
