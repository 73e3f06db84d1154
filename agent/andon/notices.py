"""Notices to the center: entries of people that are no numbers, sent with `status` until the center confirms them.

A center that is too old never confirms any, and then none are sent: they wait in the outbox's file.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from agent.andon.entries.interpret import BY
from agent.outbox import entries
from agent.outbox.disk import CannotStore, CorruptOutbox
from agent.outbox.entries import AndonEntry
from agent.store.outbox_thread import OutboxThread
from oee.model.declarations import ENTRIES
from wire.bodies import MOST_NOTICES, Notice

_LOG: Final = logging.getLogger("nhip.agent.andon")


class Notices:
    """waiting: what the next `status` carries; changed: called when it is to be sent."""

    def __init__(self, thread: OutboxThread) -> None:
        self._thread = thread
        self._taken = False
        self._rows: list[Notice] = []
        self._lock = asyncio.Lock()
        self.changed: Callable[[], None] = lambda: None

    @property
    def waiting(self) -> list[Notice]:
        """For the next `status`."""
        return self._rows if self._taken else []

    async def read(self) -> None:
        """Reads what waits; to be called after each entry."""
        with suppress(CannotStore, CorruptOutbox):  # counted and logged by the outbox's thread
            async with self._lock:
                await self._read(())

    async def confirmed(self, ids: Iterable[str]) -> None:
        """The center keeps notices, and has these."""
        news = not self._taken
        self._taken = True
        known = {row.id for row in self._rows}
        stored = known & set(ids)
        if not stored and not (news and known):
            return
        with suppress(CannotStore, CorruptOutbox):
            async with self._lock:
                await self._read(stored)
            if self._rows:
                self.changed()

    async def _read(self, stored: Iterable[str]) -> None:
        found = await self._thread.do(
            lambda outbox: outbox.within(lambda db: entries.confirm_and_read(db, stored, MOST_NOTICES))
        )
        before = {row.id for row in self._rows}
        self._rows = [notice(entry, of) for entry, of in found]
        if {row.id for row in self._rows} - before:
            self.changed()


def notice(entry: AndonEntry, wrong: AndonEntry | None) -> Notice:
    """An entry as the center gets it. wrong: the entry that it takes back."""
    row = Notice(id=entry.id, at_ns=entry.at_ns, machine=entry.machine, kind=entry.kind, by=f"{BY}{entry.tablet}")
    data = entry.data
    match entry.kind:
        case "call":
            return row.model_copy(update={"about": str(data["value"])})
        case "step":
            return row.model_copy(update={"about": str(data["value"]), "of": str(data["call"])})
        case "note":
            return row.model_copy(update={"text": str(data["value"])})
        case "maintained":
            return row.model_copy(update={"about": str(data["value"]), "of": str(data["due"])})
    if entry.kind in ENTRIES:
        return row.model_copy(update={"about": str(data.get("cause", "")), "count": int(data.get("add") or 0)})
    if wrong is not None and wrong.kind in ENTRIES:
        less = {
            "kind": wrong.kind,
            "about": str(wrong.data.get("cause", "")),
            "count": -int(wrong.data.get("add") or 0),
        }
        return row.model_copy(update=less | {"of": wrong.id})
    return row.model_copy(update={"of": str(data.get("entry", ""))})
