"""The outbox in a thread of its own, so that neither devices nor network ever wait for the disk.

Operations run one at a time; `lock` is held over several that belong together.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeVar

from agent.outbox.disk import CannotStore, CorruptOutbox, OutboxError
from agent.outbox.envelopes import current_stream, oldest_waiting_ns, read
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_outbox
from agent.outbox.streams import EnvelopeKey, OutboxStream
from agent.process.health import Health
from wire.bodies import LinkTrouble

_LOG: Final = logging.getLogger("nhip.agent.outbox")
T = TypeVar("T")


def all_streams(outbox: Outbox, *, values: bool = False) -> list[OutboxStream]:
    """The outbox's streams, with one for each kind that this agent sends. values: process values too."""
    for kind in ("site", "facts", *(("values",) if values else ())):
        current_stream(outbox.file, kind)
    return outbox.streams()


class OutboxThread:
    """The outbox and its thread. trouble: why nothing can be stored at the moment, "" if it can; damaged: the file must
    be reopened before anything else is done with it.
    """

    def __init__(self, outbox: Outbox, health: Health, pending_rows: Callable[[], int]) -> None:
        """pending_rows: how many rows wait in memory, for the log."""
        self.outbox, self._health, self._pending_rows = outbox, health, pending_rows
        self.lock = asyncio.Lock()
        self.trouble, self.damaged = "", False
        self._executor = ThreadPoolExecutor(1, "outbox")

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Calls `work` in the thread. The caller holds the lock if no other operation may come in between."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *args)

    async def do(self, work: Callable[[Outbox], T]) -> T:
        """Calls `work` with the outbox, between two commits. Raises what the outbox raises."""
        async with self.lock:
            try:
                return await self.run(lambda: work(self.outbox))
            except (CannotStore, CorruptOutbox) as error:
                self.refused(error)
                raise

    async def keep_settings(self, settings: Mapping[str, str], now_ns: int) -> None:
        """Writes settings into the file; a failure is only counted and logged."""
        with suppress(CannotStore, CorruptOutbox):
            await self.do(lambda outbox: outbox.commit([], {}, now_ns, settings))

    async def read(self, keys: Iterable[EnvelopeKey]) -> list[tuple[EnvelopeKey, str, bytes | None]]:
        """Reads envelopes from disk; None where one is no longer there, or the disk cannot be read now."""
        key_list = list(keys)
        try:
            return await self.run(lambda: read(self.outbox.file, key_list))
        except (CannotStore, CorruptOutbox) as error:
            self.refused(error)
            return [(key, "facts", None) for key in key_list]

    async def backlog(self) -> tuple[int | None, float | None]:
        """When the oldest envelope without a receipt was sealed [ns UTC], and the size of the file's content [MB]; None if the
        disk cannot be read.
        """
        try:
            oldest_ns = await self.run(lambda: oldest_waiting_ns(self.outbox.file))
            return oldest_ns, await self.run(self.outbox.used_mb)
        except (CannotStore, CorruptOutbox) as error:
            self.refused(error)
            return None, None

    def refused(self, error: Exception) -> None:
        """The disk refused, the file is damaged or the program failed: counted, and logged when the reason changes, with
        a traceback for a fault of the program.
        """
        self._health.count("commits_refused")
        self.damaged = self.damaged or isinstance(error, CorruptOutbox)
        is_disk_error = isinstance(error, CannotStore | CorruptOutbox)
        why = (
            str(error)
            if is_disk_error
            else f"{type(error).__name__}: {error}; a fault of the program, please report it"
        )
        if why != self.trouble:
            self.trouble = why
            note = error.note() if isinstance(error, OutboxError) else why
            self._executor.submit(self.outbox.file.note_trouble, note)
            pending = self._pending_rows()
            _LOG.error(
                "outbox cannot store why=%r pending_rows=%d", why, pending, exc_info=None if is_disk_error else error
            )

    def stored(self) -> None:
        """A commit was stored: ends the trouble, if there was any, and logs that."""
        if self.trouble:
            _LOG.warning("outbox stores again path=%s", self.outbox.path)
            self.trouble = ""
            self._executor.submit(self.outbox.file.note_trouble, "")

    def note_link(self, troubles: Sequence[LinkTrouble]) -> None:
        """Keeps the link's troubles for `nhip outbox`."""
        text = json.dumps([item.model_dump() for item in troubles]) if troubles else ""
        with suppress(RuntimeError):  # the thread has ended
            self._executor.submit(lambda: self.outbox.file.note_link(text))

    async def reopen(self, now_ns: int) -> None:
        """Sets the damaged file aside and opens a new one, as at a start."""
        path = self.outbox.path
        await self.run(self.outbox.close)
        opened = await self.run(lambda: open_outbox(path, now_ns, thorough=True))
        self.outbox, self.damaged = opened.outbox, False
        self._health.count("outbox_set_aside")
        _LOG.error("outbox damaged message=%r", opened.message)

    async def close(self) -> None:
        """Closes the file and ends the thread."""
        async with self.lock:
            await self.run(self.outbox.close)
        self._executor.shutdown()
