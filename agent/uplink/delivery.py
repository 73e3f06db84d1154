"""The traffic of a connection: periodic messages, envelopes as the sender decides, and the broker's responses."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

from agent.outbox.streams import EnvelopeKey
from agent.process.health import Health
from agent.uplink.announcements import Announcements
from agent.uplink.budget import Budget
from agent.uplink.in_flight import InFlight
from agent.uplink.mqtt.session import ConnectionLost, MqttEvents, MqttMessage, MqttSession
from agent.uplink.reception import Reception, UplinkHooks
from agent.uplink.sender import Sender
from agent.uplink.traffic import TrafficAccount
from wire.topics import Kind

_LOG: Final = logging.getLogger("nhip.agent.uplink")
_AT_ONCE: Final = 16
_FAREWELL_S: Final = 2.0
_NOT_MATCHED: Final = 0x10  # MQTT 5: accepted, but there is no subscriber
_REFUSED_FROM: Final = 0x80


class Delivery:
    """Serves the connections to the broker, one after the other."""

    def __init__(
        self, topic: Callable[[Kind], str], sender: Sender, hooks: UplinkHooks, health: Health, budget: Budget
    ) -> None:
        """topic: the gateway's topic of a kind; budget: counts what crosses the link and limits it."""
        self._topic, self._sender, self._hooks, self._health = topic, sender, hooks, health
        self.wake = asyncio.Event()
        """Set when there may be something to do."""
        self.announcements = Announcements(topic, hooks.status, hooks.now_ns, self.wake.set)
        self.reception = Reception(topic, sender, hooks, health, self.announcements)
        self.events = MqttEvents(self._received, self._acknowledged, self._on_lost)
        self._in_flight = InFlight()
        self._traffic = TrafficAccount(budget, health)
        self._lost: str | None = None
        self._refusal = ""

    def begin(self, session: MqttSession) -> None:
        """Begins to serve a connection that has been established."""
        self._lost, self._refusal = None, ""
        self._in_flight.begin()
        self._traffic.begin()
        self.announcements.restart()
        self._sender.connected(time.monotonic())
        for name in self.reception.topics:
            session.subscribe(name)

    async def serve(self, session: MqttSession, stop: asyncio.Event) -> None:
        """Sends what is due until `stop`, then an offline status. Raises `ConnectionLost`."""
        while not stop.is_set():
            self.wake.clear()
            if self._lost is not None:
                raise ConnectionLost(self._lost)
            await self.reception.compare()
            self._charge(session)
            self._give_up_stuck()
            for message in self.announcements.due(time.monotonic()):
                self._publish(session, message)
            await self._send_due(session)
            due_s = self.announcements.due_s()
            if not self._in_flight.full and (next_s := self._sender.next_s()) is not None:
                due_s = min(due_s, next_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), max(0.01, due_s - time.monotonic()))
        await self._farewell(session)

    def end(self, session: MqttSession) -> None:
        """Accounts for the last traffic of a closed connection."""
        self._charge(session)

    async def _send_due(self, session: MqttSession) -> None:
        """Publishes due envelopes, a few at a time, so that live messages get through in between."""
        most = 1 if self._in_flight.probation else _AT_ONCE
        if self._in_flight.full or not (keys := self._sender.due(time.monotonic(), most)):
            return
        for key, kind, data in await self._hooks.read(keys):
            if self._lost is not None:
                raise ConnectionLost(self._lost)
            if data is None:
                self._sender.missing(key)
                self._health.count("envelopes_missing")
                continue
            self._publish(session, MqttMessage(self._topic(cast(Kind, kind)), data, qos=1), key)
            self._health.count("envelopes_sent")
        self.wake.set()

    def _publish(self, session: MqttSession, message: MqttMessage, key: EnvelopeKey | None = None) -> int:
        mid = session.publish(message)
        self._traffic.published(message.topic, len(message.payload))
        if message.qos:
            self._in_flight.sent(mid, message.topic, key, len(message.payload), time.monotonic())
        return mid

    def _charge(self, session: MqttSession) -> None:
        """Charges the budget with what has crossed the link, and applies its level."""
        now_s = self._hooks.now_ns() / 1e9
        level = self._traffic.charge(session.traffic_bytes, now_s, dated=self._hooks.clock_trusted())
        held = {topic.rpartition("/")[2] for topic in self._in_flight.held}
        self._sender.held_kinds = frozenset(held | {"values"} if level else held)
        self.announcements.pace(level)

    def _give_up_stuck(self) -> None:
        """Ends the connection if the broker leaves a message unacknowledged."""
        if topic := self._in_flight.stuck(time.monotonic()):
            self._health.count("publishes_unanswered")
            raise ConnectionLost(
                f"the broker does not acknowledge what is published on {topic}; check the account's access rules there. "
                "Other topics go on"
            )

    async def _farewell(self, session: MqttSession) -> None:
        mid = self._publish(session, self.announcements.farewell())
        until_s = time.monotonic() + _FAREWELL_S
        while mid in self._in_flight and self._lost is None and time.monotonic() < until_s:
            self.wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.wake.wait(), 0.2)

    def _received(self, topic: str, payload: bytes) -> None:
        if self.reception.received(topic, payload):
            self.wake.set()

    def _acknowledged(self, mid: int, reason: int) -> None:
        if (key := self._in_flight.answered(mid, time.monotonic())) is not None:
            self._sender.accepted(key, time.monotonic())
        if reason == _NOT_MATCHED:
            self._health.count("publishes_without_subscriber")
        elif reason >= _REFUSED_FROM:
            self._health.count("publishes_refused")
            refusal = f"publish refused by the broker, reason {reason:#x}; check the account's access rules"
            if refusal != self._refusal:
                self._refusal = refusal
                _LOG.warning("uplink refused why=%r", refusal)
        self.wake.set()

    def _on_lost(self, reason: str) -> None:
        self._lost = reason
        self.wake.set()
