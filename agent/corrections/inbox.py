"""Receives declarations from the center: stores them in the outbox's file, and echoes their outcomes."""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

from agent.outbox import declarations
from agent.outbox.outbox import Outbox
from agent.process.health import Health
from agent.store.outbox_thread import OutboxThread
from oee.model.declarations import Declaration

_LOG: Final = logging.getLogger("nhip.agent.corrections")


class DeclarationInbox:
    """The center's declarations. on_outcome: called when there is a new outcome to echo."""

    def __init__(self, thread: OutboxThread, health: Health) -> None:
        self._thread, self._health = thread, health
        self._received: list[tuple[Declaration, ...]] = []
        self._awaited: tuple[str, ...] = ()
        self._outcomes: dict[str, str] = {}
        self.on_outcome: Callable[[], None] = lambda: None

    @property
    def echo(self) -> dict[str, str]:
        """The outcomes of the decided declarations in the center's latest message, by id: "" or why it was refused."""
        return {number: self._outcomes[number] for number in self._awaited if number in self._outcomes}

    @property
    def received(self) -> int:
        """How many messages are not on disk yet."""
        return len(self._received)

    def receive(self, message: Iterable[Declaration]) -> None:
        """Takes a message of the center: all declarations whose outcomes it waits for."""
        items = tuple(message)
        self._awaited = tuple(item.id for item in items)
        if items not in self._received:  # it is repeated until it is echoed, however long a disk refuses
            self._received.append(items)

    async def write_down(self) -> None:
        """Writes the received messages into the file. Raises `CannotStore` or `CorruptOutbox`."""
        while self._received:
            outcomes = await self._thread.do(partial(_add, self._received[0]))
            self._received.pop(0)
            self._outcomes = {
                number: why for number, why in self._outcomes.items() if number in self._awaited
            } | outcomes
            self.on_outcome()

    def decided(self, outcome: Mapping[str, str]) -> None:
        """Notes decisions, by id: "" if the numbers follow the declaration, else why not."""
        self._outcomes |= {number: why for number, why in outcome.items() if number in self._awaited}
        for number, why in outcome.items():
            if why:
                self._health.count("declarations_refused")
                _LOG.warning("declaration refused id=%s why=%r", number, why)
            else:
                self._health.count("declarations_done")
        self.on_outcome()


def _add(message: Sequence[Declaration], outbox: Outbox) -> dict[str, str]:
    """Adds a message to the file; returns the outcomes of those already decided."""

    def add(db: sqlite3.Connection) -> dict[str, str]:
        declarations.add(db, message, "center")
        return declarations.outcomes(db, [item.id for item in message])

    return outbox.within(add)
