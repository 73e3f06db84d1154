"""Handles messages of the center: receipts and declarations."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from agent.outbox.streams import EnvelopeKey
from agent.process.health import Health
from agent.uplink.announcements import Announcements, LinkTroubles
from agent.uplink.sender import ReceiptEffect, Sender
from oee.model.declarations import Declaration
from wire.bodies import LinkTrouble, Status
from wire.declare import decode_declare
from wire.receipts import contradicts, decode_receipt
from wire.topics import Kind

_LOG: Final = logging.getLogger("nhip.agent.uplink")


async def _indivisible(_key: EnvelopeKey, _most_bytes: int) -> bool:
    return False


@dataclass(frozen=True)
class UplinkHooks:
    """What the uplink calls in its owner.

    read: envelopes from disk with their kind, None where one is missing. receipted: called when a receipt changed
    something. status: the status as of now. now_ns: gateway time [ns UTC]. echoed: called with a receipt's echo and the
    center's time [ns UTC]. declared: called with all declarations of which the center waits for an echo. clock_trusted:
    whether gateway time is trusted. greeted: called when the center's first receipt of a session shows that it connected.
    divide: divides an envelope on disk into several of at most so many bytes; False if that is not possible. troubled:
    called when the troubles of the link change. noted: called with the ids of notices that the center has; known: with the
    additions to bodies that it understands.
    """

    read: Callable[[Iterable[EnvelopeKey]], Awaitable[list[tuple[EnvelopeKey, str, bytes | None]]]]
    receipted: Callable[[ReceiptEffect], None]
    status: Callable[[], Status]
    now_ns: Callable[[], int]
    echoed: Callable[[str, int], None] = lambda _echo, _at_ns: None
    declared: Callable[[Iterable[Declaration]], None] = lambda _: None
    clock_trusted: Callable[[], bool] = lambda: True
    greeted: Callable[[], None] = lambda: None
    divide: Callable[[EnvelopeKey, int], Awaitable[bool]] = _indivisible
    troubled: Callable[[Sequence[LinkTrouble]], None] = lambda _: None
    noted: Callable[[Iterable[str]], None] = lambda _: None
    known: Callable[[Iterable[str]], None] = lambda _: None


class Reception:
    """Hands receipts to the sender and declarations to the owner."""

    def __init__(
        self,
        topic: Callable[[Kind], str],
        sender: Sender,
        hooks: UplinkHooks,
        health: Health,
        announcements: Announcements,
        troubles: LinkTroubles,
    ) -> None:
        self.topics = {topic("receipt"): self._receipt, topic("declare"): self._declarations}
        """Topics to subscribe to, and their handlers."""
        self.settled = asyncio.Event()
        """Set by each receipt."""
        self._sender, self._hooks, self._health = sender, hooks, health
        self._announcements, self._troubles = announcements, troubles
        self._checks: dict[str, tuple[int, str]] = {}

    def received(self, topic: str, payload: bytes) -> bool:
        """Handles a message from the broker; False if its topic is not one of `topics`."""
        handler = self.topics.get(topic)
        if handler is None:  # amqtt hands out retained messages that nobody subscribed to
            self._health.count("messages_unasked")
            return False
        handler(topic, payload)
        return True

    def _receipt(self, topic: str, payload: bytes) -> None:
        try:
            receipt = decode_receipt(payload)
        except ValidationError as error:
            self._health.count("receipts_unreadable")
            _LOG.warning("receipt unreadable topic=%s why=%r", topic, error.errors()[0]["msg"])
            return
        self._health.count("receipts")
        if receipt.boxes < 2:
            self._troubles.clear("two_boxes")
        elif self._troubles.tell("two_boxes", count=str(receipt.boxes)):
            self._announcements.status_changed()
        if receipt.echo:
            self._hooks.echoed(receipt.echo, receipt.at_ns)
        if receipt.noted is not None:
            self._hooks.noted(receipt.noted)
        self._hooks.known(receipt.knows)
        effect = self._sender.receipt(receipt, time.monotonic())
        self._checks |= effect.checks
        if effect.hello:
            self._hooks.greeted()
        if effect.changed:
            self._hooks.receipted(effect)
        if effect.new_generation or effect.behind:
            self._announcements.status_changed()  # reports the generation, or the marks that the center has lost
        self.settled.set()

    def _declarations(self, _topic: str, payload: bytes) -> None:
        try:
            message = decode_declare(payload)
        except ValidationError as error:
            self._health.count("declarations_unreadable")
            _LOG.warning("declarations unreadable why=%r", error.errors()[0]["msg"])
            return
        self._hooks.declared(row.declaration() for row in message.declarations)

    async def compare(self) -> None:
        """Checks that the center's envelopes with our numbers are ours, before more are sent with these numbers."""
        if not self._checks:
            return
        checks, self._checks = self._checks, {}
        for key, _, data in await self._hooks.read([EnvelopeKey(stream, seq) for stream, (seq, _) in checks.items()]):
            if data is not None and contradicts(data, checks[key.stream]):
                self._health.count("numbers_not_ours")
                self._hooks.receipted(self._sender.bar(key.stream))
