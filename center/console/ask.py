"""Questions of many browsers, asked once: answers are kept for their time to live and come from a thread."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Desk:
    """Answers shared by all pages of one center.

    The same question within its time to live is the same task, so that thirty open browsers cost the store what one
    does. The event loop never waits for the store. An answer that failed is not kept, an old one not for long.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[tuple[Any, ...], tuple[float, asyncio.Task[Any]]] = {}

    async def ask(self, ttl_s: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result, at most `ttl_s` old. Arguments must be hashable. Raises what the function raises."""
        key = (function, args, tuple(sorted(kwargs.items())))
        now_s = self._clock()
        until_s, task = self._held.get(key, (0.0, None))
        if task is None or (task.done() and (now_s >= until_s or task.exception() is not None)):
            self._forget(now_s)
            task = asyncio.create_task(asyncio.to_thread(function, *args, **kwargs))
            task.add_done_callback(_look)
            self._held[key] = (now_s + ttl_s, task)
        result: T = await asyncio.shield(task)  # a browser that leaves does not take the others' answer with it
        return result

    def _forget(self, now_s: float) -> None:
        self._held = {key: item for key, item in self._held.items() if now_s < item[0] or not item[1].done()}


def _look(task: asyncio.Task[Any]) -> None:
    """An exception that nobody waits for any more must not be reported as lost."""
    if not task.cancelled():
        task.exception()
