"""The cache of answers, shared by the API and the console: concurrent equal queries are computed once.

An entry is kept under its key for a time to live or, without one, until newer entries need its space. Keys without a
time to live must name everything that the answer depends on (`center.api.responses.stamp`).
"""

import asyncio
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
MAX_BYTES: Final = 64 * 1024 * 1024
"""Bound on the answers that have a size, in memory."""


@dataclass
class _Entry:
    future: Future[Any]
    until_s: float
    size: int = 0

    def valid(self, now_s: float) -> bool:
        """Whether it is being computed, or was computed and has not expired."""
        return not self.future.done() or (now_s < self.until_s and self.future.exception() is None)


class AnswerCache:
    """Answers by key, least recently used first. Any thread may ask, and any event loop.

    Concurrent requests for one key share one computation. A failure reaches everybody who waits for it and is not kept.
    """

    def __init__(self, max_bytes: int = MAX_BYTES, clock: Callable[[], float] = time.monotonic) -> None:
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._bytes, self._max_bytes = 0, max_bytes
        self._clock = clock
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        """The answer under this key, computed in this thread unless it is cached or being computed.

        size: bytes of the answer; one of more than a quarter of the bound is not kept. Raises what `make` raises.
        """
        entry, is_new = self._claim(key, math.inf)
        if is_new:
            self._fill(key, entry, make, size)
        answer: T = entry.future.result()
        return answer

    async def ask(self, ttl_s: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result, at most `ttl_s` old, computed in a thread. Arguments must be hashable.

        The event loop never waits for the store, and a caller that is cancelled does not cancel it for the others.
        Raises what the function raises.
        """
        future = self.begin(ttl_s, function, *args, **kwargs)
        answer: T = await asyncio.wrap_future(future)  # a running future cannot be cancelled from here
        return answer

    def begin(self, ttl_s: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begins to compute what will be asked for in a moment, in a thread; call it in the event loop. Whoever asks gets this
        answer, or what it raises if it still runs then.
        """
        key = (function, args, tuple(sorted(kwargs.items())))
        entry, is_new = self._claim(key, ttl_s)
        if is_new:
            loop = asyncio.get_running_loop()
            loop.run_in_executor(None, self._fill, key, entry, lambda: function(*args, **kwargs), lambda _: 0)
        return entry.future

    def _claim(self, key: Hashable, ttl_s: float) -> tuple[_Entry, bool]:
        """The entry under this key, and whether the caller is to compute it."""
        with self._lock:
            now_s = self._clock()
            entry = self._entries.get(key)
            if entry is not None and entry.valid(now_s):
                self._entries.move_to_end(key)
                return entry, False
            for old in [name for name, item in self._entries.items() if not item.valid(now_s)]:
                self._drop(old)
            entry = self._entries[key] = _Entry(Future(), now_s + ttl_s)
            entry.future.set_running_or_notify_cancel()
            return entry, True

    def _fill(self, key: Hashable, entry: _Entry, make: Callable[[], T], size: Callable[[T], int]) -> None:
        try:
            answer = make()
        except BaseException as error:  # noqa: BLE001 - raised for all who wait
            with self._lock:
                self._drop(key)
            entry.future.set_exception(error)
            return
        with self._lock:
            entry.size = size(answer)
            self._bytes += entry.size
            if entry.size > self._max_bytes // 4:
                self._drop(key)
            while self._bytes > self._max_bytes:
                self._drop(next(name for name, item in self._entries.items() if item.size))
        entry.future.set_result(answer)

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        self._bytes -= entry.size if entry else 0
