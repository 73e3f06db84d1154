"""Orderly shutdown on SIGTERM and SIGINT."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Final

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def run_until_signal(
    service: Callable[[asyncio.Event], Coroutine[Any, Any, None]], *, second_signal_kills: bool = False
) -> None:
    """Runs `service` in an event loop of its own; SIGTERM or SIGINT sets the event that it is given, on which
    it must return.

    second_signal_kills: the same signal once more ends the process at once, instead of being ignored.
    """

    async def run() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def on_signal(number: signal.Signals) -> None:
            stop.set()
            if second_signal_kills:
                loop.remove_signal_handler(number)

        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, on_signal, number)
        await service(stop)

    asyncio.run(run())
