"""Orderly ends: of a service on SIGTERM and SIGINT, within a time; of a search on Ctrl-C."""

import asyncio
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, TypeVar

from cli import service as manager

T = TypeVar("T")
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_LOG: Final = logging.getLogger("nhip")
_LEFT_S: Final = 5.0
"""How long tasks that a service left behind may take to end after their cancellation [s]."""
_ENDED_BY_FORCE: Final = 1


def run_until_signal(
    service: Callable[[asyncio.Event], Coroutine[Any, Any, None]],
    *,
    second_signal_kills: bool = False,
    within_s: float | None = None,
) -> None:
    """Runs `service` in an event loop of its own; SIGTERM or SIGINT sets the event that it is given, on which
    it must return.

    second_signal_kills: the same signal once more ends the process at once, instead of being ignored. within_s: how long
    after a signal the process may live [s]; one that still runs then (a disk or a library that hangs) is ended by force,
    and the log says what it was doing. None: as long as it likes.
    """

    async def run() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()

        def on_signal(number: signal.Signals) -> None:
            if within_s is not None and not stop.is_set():
                _end_by_force_after(within_s)
            if not stop.is_set():
                manager.tell("STOPPING=1")
            stop.set()
            if second_signal_kills:
                loop.remove_signal_handler(number)

        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, on_signal, number)
        period_s = manager.sign_of_life_s()
        alive = asyncio.create_task(manager.keep_telling(period_s), name="signs of life") if period_s else None
        try:
            await service(stop)
        except BaseException as error:
            await _end_left_tasks(error)
            raise
        finally:
            if alive:
                alive.cancel()
        await _end_left_tasks(None)

    asyncio.run(run())


def _end_by_force_after(within_s: float) -> None:
    def end() -> None:
        _LOG.critical("does not end within %g s of the signal; ended by force; what it was doing follows", within_s)
        logging.shutdown()
        faulthandler.dump_traceback(sys.__stderr__ or 2)
        os._exit(_ENDED_BY_FORCE)

    timer = threading.Timer(within_s, end)
    timer.daemon = True
    timer.start()


async def _end_left_tasks(failure: BaseException | None) -> None:
    """Ends the tasks that are left. Those of a library that swallows its cancellation would keep the process alive for
    ever; what the service did is complete, so they do not matter. failure: what it ended with, None if it returned.
    """
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        _, left = await asyncio.wait(left, timeout=_LEFT_S)
    if left:
        _LOG.error("tasks do not end: %s", ", ".join(sorted(task.get_name() for task in left)), exc_info=failure)
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0 if failure is None else _ENDED_BY_FORCE)


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
