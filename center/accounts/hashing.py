"""The place where passwords of logins are checked: few at once, few in the queue, and whoever comes beyond is refused.

Sessions, tokens and questions are looked up in other threads, so that a flood of logins delays logins only.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

AT_ONCE: Final = max(1, min(2, (os.cpu_count() or 1) // 2))
"""Each takes 64 MiB and a core while it runs; half of the cores stay for everything else."""
QUEUED: Final = 8
RESERVED: Final = 4
"""Further places in the queue for browsers in which somebody was logged in before."""
RETRY_S: Final = 3
T = TypeVar("T")


class Busy(Exception):
    """All places are taken; a moment later one is free."""


class Hashing:
    """A bounded executor. May be used from several event loops."""

    def __init__(self, at_once: int = AT_ONCE, queued: int = QUEUED, reserved: int = RESERVED) -> None:
        self._pool = ThreadPoolExecutor(at_once, "passwords")
        self._most, self._reserved = at_once + queued, reserved
        self._lock, self._taken = threading.Lock(), 0

    async def run(self, work: Callable[[], T], *, known: bool = False) -> T:
        """What the work returns. known: may take a reserved place. Raises `Busy` at once if no place is free."""
        with self._lock:
            if self._taken >= self._most + (self._reserved if known else 0):
                raise Busy
            self._taken += 1
        future = self._pool.submit(work)
        future.add_done_callback(lambda _done: self._leave())  # also if whoever asked has gone
        return await asyncio.wrap_future(future)

    def _leave(self) -> None:
        with self._lock:
            self._taken -= 1
