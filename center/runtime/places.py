"""Places for heavy questions: each viewer has a few at once and some in the queue, so that nobody takes all threads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

AT_ONCE: Final = 2
WAITING: Final = 30
"""A dashboard asks all its pictures at once."""


class TooManyQuestions(Exception):
    """The viewer has too many questions in the queue; the text says what to do."""


@dataclass
class _Places:
    free: asyncio.Semaphore
    inside: int = field(default=0)


class Places:
    """By who asks. Waiting takes no thread. For one event loop at a time."""

    def __init__(self, at_once: int = AT_ONCE, waiting: int = WAITING) -> None:
        self._at_once, self._most = at_once, at_once + waiting
        self._of: dict[str, _Places] = {}

    @asynccontextmanager
    async def of(self, who: str) -> AsyncIterator[None]:
        """A place for the block. Raises `TooManyQuestions`."""
        places = self._of.setdefault(who, _Places(asyncio.Semaphore(self._at_once)))
        if places.inside >= self._most:
            raise TooManyQuestions(f"{places.inside} questions of {who} are being answered; ask again when some are")
        places.inside += 1
        try:
            async with places.free:
                yield
        finally:
            places.inside -= 1
            if not places.inside:
                self._of.pop(who, None)
