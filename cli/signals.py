"""Orderly ends: of a service on SIGTERM and SIGINT, of a search on Ctrl-C."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

T = TypeVar("T")
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


def run_until_ctrl_c(work: Coroutine[Any, Any, T]) -> tuple[T, bool]:
    """What `work` returns, from an event loop of its own, and whether Ctrl-C ended it.

    Ctrl-C cancels it: it catches that and returns what it has found so far; else, and on a second Ctrl-C at once,
    `KeyboardInterrupt` is raised.
    """

    async def run() -> tuple[T, bool]:
        loop, interrupted = asyncio.get_running_loop(), False
        task = loop.create_task(work)

        def on_signal() -> None:
            nonlocal interrupted
            interrupted = True
            loop.remove_signal_handler(signal.SIGINT)
            task.cancel()

        with suppress(RuntimeError, ValueError):  # not in the main thread, where nobody presses a key
            loop.add_signal_handler(signal.SIGINT, on_signal)
        try:
            return await task, interrupted
        except asyncio.CancelledError:
            if interrupted:
                raise KeyboardInterrupt from None
            raise

    return asyncio.run(run())
