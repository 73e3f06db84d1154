"""The traffic of a connection: periodic messages, envelopes as the sender decides, and the broker's responses."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

from agent.outbox.streams import EnvelopeKey
from agent.process.health import Health
from agent.uplink.announcements import Announcements, LinkTroubles
from agent.uplink.budget import Budget
from agent.uplink.mqtt.session import ConnectionLost, MqttEvents, MqttMessage, MqttSession
from agent.uplink.publisher import Publisher
from agent.uplink.reception import Reception, UplinkHooks
from agent.uplink.sender import Sender
from wire.broker_limits import PACKET_TOO_LARGE, packet_bytes
from wire.topics import Kind

_AT_ONCE: Final = 16
_FAREWELL_S: Final = 2.0
_ROOM_S: Final = 1.0


class Delivery:
    """Serves the connections to the broker, one after the other."""

    def __init__(
        self, topic: Callable[[Kind], str], sender: Sender, hooks: UplinkHooks, health: Health, budget: Budget
    ) -> None:
        """topic: the gateway's topic of a kind; budget: counts what crosses the link and limits it."""
        self._topic, self._sender, self._hooks, self._health = topic, sender, hooks, health
        self.wake = asyncio.Event()
        """Set when there may be something to do."""
        self.troubles = LinkTroubles(hooks.troubled)
        self._publisher = Publisher(health, budget, self.troubles)
        self.announcements = Announcements(
            topic, hooks.status, hooks.now_ns, self.wake.set, self._publisher.fits, self.troubles
        )
        self.reception = Reception(topic, sender, hooks, health, self.announcements, self.troubles)
        self.events = MqttEvents(self._received, self._acknowledged, self._on_lost, self._publisher.subscribed)
        self._lost: ConnectionLost | None = None

    def begin(self, session: MqttSession) -> None:
        """Begins to serve a connection that has been established."""
        self._lost = None
        self._publisher.begin(session)
        self.announcements.restart()
        self._sender.connected(time.monotonic())
        for name in self.reception.topics:
            session.subscribe(name)

    async def serve(self, session: MqttSession, stop: asyncio.Event) -> None:
        """Sends what is due until `stop`, then an offline status. Raises `ConnectionLost`."""
        while not stop.is_set():
            self.wake.clear()
            if self._lost is not None:
                raise self._lost
            await self.reception.compare()
            self._charge(session)
            self._publisher.give_up_stuck()
            due_s = self._announce()
            await self._send_due()
            if (
                self._publisher.in_flight.most_envelopes(time.monotonic())
                and (next_s := self._sender.next_s()) is not None
            ):
                due_s = min(due_s, next_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), max(0.01, due_s - time.monotonic()))
        await self._farewell()

    def _announce(self) -> float:
        """Publishes the periodic messages that are due; returns when the next one is [s]."""
        if self._publisher.in_flight.room <= 0:
            return time.monotonic() + _ROOM_S  # or as soon as the broker acknowledges something
        for message in self.announcements.due(time.monotonic()):
            self._publisher.publish(message)
        if self._publisher.in_flight.packets.needs_proof(time.monotonic()):
            self.announcements.hurry_status()
        return self.announcements.due_s()

    def end(self, session: MqttSession) -> None:
        """Accounts for the last traffic of a closed connection."""
        self._charge(session)

    async def _send_due(self) -> None:
        """Publishes due envelopes, a few at a time, so that live messages get through in between."""
        most = min(_AT_ONCE, self._publisher.in_flight.most_envelopes(time.monotonic()))
        if not most or not (keys := self._sender.due(time.monotonic(), most)):
            return
        for key, kind, data in await self._hooks.read(keys):
            if self._lost is not None:
                raise self._lost
            if data is None:
                self._sender.missing(key)
                self._health.count("envelopes_missing")
                continue
            message = MqttMessage(self._topic(cast(Kind, kind)), data, qos=1)
            if not self._publisher.in_flight.packets.fits(packet_bytes(message.topic, len(data))):
                await self._divide(key, message)
                continue
            mid = self._publisher.publish(message, key)
            self._health.count("envelopes_sent")
            if mid not in self._publisher.in_flight:  # sent at QoS 0, since the broker takes no other
                self._sender.accepted(key, time.monotonic())
        self.wake.set()

    async def _divide(self, key: EnvelopeKey, message: MqttMessage) -> None:
        """Has an envelope that is too large for the broker divided; if that is not possible, people are told, and it
        waits for another connection.
        """
        self._sender.missing(key)
        most_bytes = self._publisher.in_flight.packets.safe_bytes or 0
        overhead = packet_bytes(message.topic, len(message.payload)) - len(message.payload)
        if await self._hooks.divide(key, most_bytes - overhead):
            self._health.count("envelopes_divided")
        else:
            self._publisher.fits(message, tell=True)

    def _charge(self, session: MqttSession) -> None:
        """Charges the budget with what has crossed the link, and applies its level."""
        now_s = self._hooks.now_ns() / 1e9
        level = self._publisher.charge(session.traffic_bytes, now_s, dated=self._hooks.clock_trusted())
        held = {topic.rpartition("/")[2] for topic in self._publisher.in_flight.held}
        self._sender.held_kinds = frozenset(held | {"values"} if level else held)
        self.announcements.pace(level)

    async def _farewell(self) -> None:
        if (message := self.announcements.farewell()) is None:
            return
        mid = self._publisher.publish(message)
        until_s = time.monotonic() + _FAREWELL_S
        while mid in self._publisher.in_flight and self._lost is None and time.monotonic() < until_s:
            self.wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), 0.2)

    def _received(self, topic: str, payload: bytes) -> None:
        if self.reception.received(topic, payload):
            self.wake.set()

    def _acknowledged(self, mid: int, reason: int) -> None:
        if (key := self._publisher.answered(mid, reason)) is not None:
            if reason == PACKET_TOO_LARGE:
                self._sender.missing(key, again=True)
            else:
                self._sender.accepted(key, time.monotonic())
        self.wake.set()

    def _on_lost(self, reason: str, code: int) -> None:
        explained = self._publisher.lost(code)
        self._lost = ConnectionLost(reason, code, explained=explained)
        self.wake.set()
