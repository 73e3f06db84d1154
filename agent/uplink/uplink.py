"""The uplink: one task that keeps a connection to the broker and sends what the sender says is due.

Decides nothing about delivery (agent.sender) or rhythm (agent.cadence). The broker is asked once whether it speaks
MQTT 5, and spoken to in 3.1.1 if it does not; one that refuses the account is asked again too, slowly, since a person may be mending it.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast

from pydantic import ValidationError

from agent.outbox.streams import EnvelopeKey
from agent.process.health import Health
from agent.uplink.broker import Broker
from agent.uplink.budget import LIVE, MUST, VALUES, Budget, Level, Plan
from agent.uplink.cadence import Cadence, backoff_s
from agent.uplink.in_flight import Line, Meter
from agent.uplink.mqtt import MQTT5, MQTT311, Listener, Lost, Message, Mute, Refused, Session
from agent.uplink.sender import ReceiptEffect, Sender
from oee.model.declarations import Declaration
from wire.bodies import Live, LiveMachine, Status
from wire.declare import decode_declare
from wire.messages import pack_message
from wire.receipts import contradicts, decode_receipt
from wire.topics import Kind, topic

_LOG: Final = logging.getLogger("nhip.agent.uplink")
_STABLE_S: Final = 30.0
_AT_ONCE: Final = 16
_LIVE_S: Final = {Level.ALL: (1.0, 30.0), Level.THIN: (30.0, 120.0), Level.SHORT: (600.0, 600.0)}
"""At most and at least how often `live` is sent [s], by what the month's data allow."""
_NOT_MATCHED: Final = 0x10  # MQTT 5: the broker took it, but nobody has subscribed
_REFUSED_FROM: Final = 0x80


@dataclass(frozen=True)
class Hooks:
    """What the uplink asks of its owner.

    read: envelopes from disk, None where one is missing. learned: a receipt taught something. status: the status as
    of now. now_ns: gateway time. answered: a receipt's echo and the center's time. declared: what people said at the
    center, all that it waits for an echo of. dated: whether gateway time may be believed.
    """

    read: Callable[[Iterable[EnvelopeKey]], Awaitable[list[tuple[EnvelopeKey, str, bytes | None]]]]
    learned: Callable[[ReceiptEffect], None]
    status: Callable[[], Status]
    now_ns: Callable[[], int]
    answered: Callable[[str, int], None] = lambda _echo, _at_ns: None
    declared: Callable[[Iterable[Declaration]], None] = lambda _: None
    dated: Callable[[], bool] = lambda: True


class Uplink:
    """One gateway's connection to its center. `run` lives until `stop`."""

    def __init__(
        self,
        broker: Broker,
        sender: Sender,
        hooks: Hooks,
        health: Health,
        *,
        site: str,
        gateway: str,
        retry_at_most_s: float = 60.0,
        budget: Budget | None = None,
    ) -> None:
        """retry_at_most_s: longest wait between tries [s]; budget: told what crosses the line, and asked what may."""
        self._site, self._gateway = site, gateway
        self._retry_at_most_s, self._budget = retry_at_most_s, budget or Budget(Plan())
        self._meter = Meter()
        self._broker, self._sender, self._hooks, self._health = broker, sender, hooks, health
        self._version: int | None = None
        self._probes = 0
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._stopping = self._served = False
        self._session: Session | None = None
        self._lost: str | None = None
        self._line = Line()
        self._checks: dict[str, tuple[int, str]] = {}
        self._complaint = ""
        self._live: dict[str, LiveMachine] = {}
        self._live_cadence = Cadence(1.0, 30.0)
        self._status_cadence = Cadence(1.0, 30.0)

    @property
    def connected(self) -> bool:
        """Whether the broker answers."""
        return self._session is not None

    def nudge(self) -> None:
        """There may be something to send."""
        self._wake.set()

    def status_changed(self) -> None:
        """The next status shall not wait for its turn."""
        self._status_cadence.changed = True
        self._wake.set()

    def show(self, machines: dict[str, LiveMachine]) -> None:
        """What the machines are doing now; sent when a state, reason, product or shift has changed, and now and then."""
        told = {name: _gist(item) for name, item in self._live.items()}
        if told != {name: _gist(item) for name, item in machines.items()}:
            self._live_cadence.changed = True
            self._wake.set()
        self._live = machines

    async def drain(self, timeout_s: float) -> bool:
        """Waits until everything on disk has its receipt; False if that took too long or there is no connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.connected and self._sender.waiting:
                    self._settled.clear()
                    self._wake.set()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._settled.wait(), 0.5)
        return self._sender.waiting == 0

    def stop(self) -> None:
        """Ends `run` after an offline status."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Connects, serves, and connects again, until stopped."""
        attempt, here_s = 0, time.monotonic()
        while not self._stopping:
            began_s = time.monotonic()
            try:
                if self._version is None:
                    self._version = await self._probe()
                await self._once(self._version)
            except Refused as error:
                self._complain(f"refused: {error}; {self._broker.look}")
            except (Lost, Mute, OSError, ValueError) as error:
                self._complain(f"{type(error).__name__}: {error}")
            except Exception as error:  # noqa: BLE001  # the task must survive; counted, and said with its traceback
                self._health.count("uplink_unexpected")
                _LOG.exception("uplink unexpected error")
                self._complain(f"unexpected {error!r}")
            if not self._stopping:
                self._health.count("uplink_lost")
                now_s = time.monotonic()
                here_s = now_s if self._served else here_s
                attempt = 1 if self._served and now_s - began_s > _STABLE_S else attempt + 1
                self._served = False
                wait_s = backoff_s(
                    attempt,
                    now_s - here_s,
                    random.random(),  # noqa: S311  # jitter, no secret
                    most_s=self._retry_at_most_s,
                )
                await self._pause(wait_s)

    async def _probe(self) -> int:
        """The newest version of MQTT that the broker speaks. Asked without a will, since a broker that does not know
        MQTT 5 reads a will wrongly and then says nothing at all."""
        candidates = (MQTT5, MQTT311) if self._probes % 2 == 0 else (MQTT311, MQTT5)
        for version in candidates:
            session = self._session_of(version, None)
            try:
                await session.open()
            except Mute:
                self._probes += 1  # next time the other one first
                raise
            except Refused as error:
                if not error.unsupported:
                    raise
                self._health.count("mqtt_version_refused")
            else:
                return version
            finally:
                session.close()
        raise Mute("the broker speaks neither MQTT 5 nor 3.1.1")

    def _session_of(self, version: int, will: Message | None) -> Session:
        listener = Listener(self._received, self._acknowledged, self._on_lost)
        return Session(self._broker, f"{self._site}.{self._gateway}", will, listener, version)

    async def _pause(self, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        while not self._stopping and (left_s := until_s - time.monotonic()) > 0:
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), left_s)

    def _complain(self, text: str) -> None:
        if self._stopping or text == self._complaint:
            return
        self._complaint = text
        _LOG.warning("uplink down broker=%s:%d why=%r", self._broker.host, self._broker.port, text)

    def _topic(self, kind: str) -> str:
        return topic(self._site, self._gateway, cast(Kind, kind))

    async def _once(self, version: int) -> None:
        will = Status(online=False, at_ns=self._hooks.now_ns())
        session = self._session_of(version, Message(self._topic("status"), pack_message(will), qos=1, retain=True))
        goodbye = False
        try:
            await session.open()
            self._begin(session, version)
            await self._serve(session)
            goodbye = True
        finally:
            self._session = None
            self._sender.disconnected()
            session.close(goodbye=goodbye)
            self._spend(session)

    def _begin(self, session: Session, version: int) -> None:
        self._session, self._lost, self._served = session, None, True
        self._line.begin()
        self._meter.begin()
        self._complaint = ""
        self._live_cadence.again()
        self._status_cadence.again()
        self._health.count("uplink_connects")
        self._health.gauge("mqtt_version", float(version))
        if session.login.serial:
            self._health.gauge("secret_serial", float(session.login.serial))
        self._sender.connected(time.monotonic())
        session.subscribe(self._topic("receipt"))
        session.subscribe(self._topic("declare"))
        _LOG.info("uplink up broker=%s:%d mqtt=%s", self._broker.host, self._broker.port, _VERSIONS[version])

    async def _serve(self, session: Session) -> None:
        while not self._stopping:
            self._wake.clear()
            if self._lost is not None:
                raise Lost(self._lost)
            await self._compare()
            self._spend(session)
            self._send_rhythm(session)
            await self._send_due(session)
            times = [self._live_cadence.due_s(), self._status_cadence.due_s()]
            if not self._line.full and (next_s := self._sender.next_s()) is not None:
                times.append(next_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(0.01, min(times) - time.monotonic()))
        await self._farewell(session)

    async def _compare(self) -> None:
        """Looks whether what the center has under our numbers is ours, before anything more is sent under them."""
        if not self._checks:
            return
        checks, self._checks = self._checks, {}
        for key, _, data in await self._hooks.read([EnvelopeKey(stream, seq) for stream, (seq, _) in checks.items()]):
            if data is not None and contradicts(data, checks[key.stream]):
                self._health.count("numbers_not_ours")
                self._hooks.learned(self._sender.bar(key.stream))

    async def _send_due(self, session: Session) -> None:
        """What is due, as far as the line bears it; live comes between."""
        if self._line.full or not (keys := self._sender.due(time.monotonic(), _AT_ONCE)):
            return
        for key, kind, data in await self._hooks.read(keys):
            if self._lost is not None:
                raise Lost(self._lost)
            if data is None:
                self._sender.missing(key)
                self._health.count("envelopes_missing")
                continue
            self._publish(session, Message(self._topic(kind), data, qos=1), key)
            self._health.count("envelopes_sent")
        self._wake.set()

    def _publish(self, session: Session, message: Message, key: EnvelopeKey | None = None) -> int:
        mid = session.publish(message)
        kind = message.topic.rpartition("/")[2]
        part = LIVE if kind == "live" else VALUES if kind == "values" else MUST
        self._meter.publish(part, message.topic, len(message.payload))
        if message.qos:
            self._line.sent(mid, key, len(message.payload))
        return mid

    def _spend(self, session: Session) -> None:
        """Tells the budget what has crossed the line, and does as it says."""
        sizes, now_s = self._meter.take(session.traffic_bytes), self._hooks.now_ns() / 1e9
        self._budget.spend(sizes, now_s, dated=self._hooks.dated())
        level = self._budget.level
        self._health.gauge("data_used_mb", round(self._budget.used_mb, 3))
        self._health.gauge("data_forecast_mb", round(self._budget.forecast_mb(now_s), 1))
        self._health.gauge("data_limit_mb", float(self._budget.limit_mb or 0))
        self._health.gauge("data_level", float(level))
        self._sender.held_kinds = frozenset(("values",) if level else ())
        self._live_cadence.least_s, self._live_cadence.most_s = _LIVE_S[level]

    def _send_rhythm(self, session: Session) -> None:
        now_s = time.monotonic()
        if self._status_cadence.take(now_s):
            self._publish(
                session, Message(self._topic("status"), pack_message(self._hooks.status()), qos=1, retain=True)
            )
        if self._live and self._live_cadence.take(now_s):
            live = Live(at_ns=self._hooks.now_ns(), machines=self._live)
            self._publish(session, Message(self._topic("live"), pack_message(live)))
        elif not self._live:
            self._live_cadence.last_s = now_s

    async def _farewell(self, session: Session) -> None:
        offline = self._hooks.status().model_copy(update={"online": False})
        mid = self._publish(session, Message(self._topic("status"), pack_message(offline), qos=1, retain=True))
        until_s = time.monotonic() + 2.0
        while mid in self._line and self._lost is None and time.monotonic() < until_s:
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), 0.2)

    # the session's side

    def _received(self, name: str, payload: bytes) -> None:
        if name == self._topic("declare"):
            self._hear(payload)
            return
        if name != self._topic("receipt"):  # amqtt hands out retained messages that nobody asked for
            self._health.count("messages_unasked")
            return
        try:
            receipt = decode_receipt(payload)
        except ValidationError as error:
            self._health.count("receipts_unreadable")
            _LOG.warning("receipt unreadable topic=%s why=%r", name, error.errors()[0]["msg"])
            return
        self._health.count("receipts")
        if receipt.echo:
            self._hooks.answered(receipt.echo, receipt.at_ns)
        learned = self._sender.receipt(receipt, time.monotonic())
        self._checks |= learned.checks
        if learned.changed:
            self._hooks.learned(learned)
        if learned.new_generation or learned.behind:
            self._status_cadence.changed = True  # echo the generation, or the marks that the center has forgotten
        self._settled.set()
        self._wake.set()

    def _hear(self, payload: bytes) -> None:
        try:
            said = decode_declare(payload)
        except ValidationError as error:
            self._health.count("declarations_unreadable")
            _LOG.warning("declarations unreadable why=%r", error.errors()[0]["msg"])
            return
        self._hooks.declared(row.declaration() for row in said.declarations)

    def _acknowledged(self, mid: int, reason: int) -> None:
        if (key := self._line.answered(mid)) is not None:
            self._sender.accepted(key, time.monotonic())
        if reason == _NOT_MATCHED:
            self._health.count("publishes_without_subscriber")
        elif reason >= _REFUSED_FROM:
            self._health.count("publishes_refused")
            complaint = f"publish refused by the broker, reason {reason:#x}; check the account's access rules"
            if complaint != self._complaint:
                self._complaint = complaint
                _LOG.warning("uplink refused why=%r", complaint)
        self._wake.set()

    def _on_lost(self, reason: str) -> None:
        self._lost = reason
        self._wake.set()


_VERSIONS: Final[dict[int, str]] = {MQTT5: "5", MQTT311: "3.1.1"}


def _gist(item: LiveMachine) -> tuple[str, str, str, str]:
    return item.state, item.reason, item.product, item.shift
