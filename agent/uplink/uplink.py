"""The uplink: one task that keeps a connection to the broker, and connects again whenever it is lost.

`agent.uplink.delivery` handles the traffic of a connection. The broker is probed once for MQTT 5, with 3.1.1 as fallback;
one that refuses the account is retried too, since somebody may be repairing it. A session that another client with this
gateway's id has taken over waits longer each time, so that two boxes with one bundle do not throw each other out for ever.
"""

import asyncio
import logging
import random
import time
from contextlib import suppress
from functools import partial
from typing import Final

from agent.process.health import Health
from agent.uplink.budget import Budget, DataPlan
from agent.uplink.cadence import SETTLED_S, STABLE_S, Reconnection
from agent.uplink.delivery import Delivery
from agent.uplink.mqtt.broker import Broker
from agent.uplink.mqtt.probe import Probe
from agent.uplink.mqtt.session import VERSIONS, ConnectionLost, ConnectRefused, MqttSession, NoConnack
from agent.uplink.reception import UplinkHooks
from agent.uplink.sender import Sender
from wire.broker_limits import SESSION_TAKEN_OVER
from wire.topics import topic

_LOG: Final = logging.getLogger("nhip.agent.uplink")
_WARN_AGAIN_S: Final = 600.0
_CUT_OFF: Final = 5
"""Connections in a row that ended within seconds, from which on people are told: MQTT 3.1.1 gives no reason."""


class Uplink:
    """One gateway's connection to its center. `run` lives until `stop`."""

    def __init__(
        self,
        broker: Broker,
        sender: Sender,
        hooks: UplinkHooks,
        health: Health,
        *,
        site: str,
        gateway: str,
        retry_at_most_s: float = 60.0,
        budget: Budget | None = None,
    ) -> None:
        """retry_at_most_s: longest wait between tries [s]; budget: counts what crosses the link and limits it."""
        self._broker, self._sender, self._health = broker, sender, health
        self._client_id = f"{site}.{gateway}"
        self._delivery = Delivery(partial(topic, site, gateway), sender, hooks, health, budget or Budget(DataPlan()))
        self.announcements = self._delivery.announcements
        self._wake, self._stop = self._delivery.wake, asyncio.Event()
        self._reconnection = Reconnection(retry_at_most_s)
        self._probe = Probe(
            lambda version: MqttSession(broker, self._client_id, None, self._delivery.events, version), health
        )
        self._session: MqttSession | None = None
        self._served = False  # whether the last try led to a connection
        self._last_warning, self._warned_s = "", 0.0

    @property
    def connected(self) -> bool:
        """Whether the broker answers."""
        return self._session is not None

    def nudge(self) -> None:
        """There may be something to send."""
        self._wake.set()

    async def drain(self, timeout_s: float) -> bool:
        """Waits until everything on disk has its receipt; False if that took too long or there is no connection."""
        settled = self._delivery.reception.settled
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.connected and self._sender.waiting:
                    settled.clear()
                    self._wake.set()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(settled.wait(), 0.5)
        return self._sender.waiting == 0

    def stop(self) -> None:
        """Makes `run` send an offline status and end."""
        self._stop.set()
        self._wake.set()

    async def run(self) -> None:
        """Connects, serves, and connects again, until stopped."""
        while not self._stop.is_set():
            self._reconnection.begin(time.monotonic())
            code, self._served = 0, False
            try:
                await self._connect_and_serve(await self._probe.version())
            except ConnectRefused as error:
                if error.of_will:
                    self._probe.forget()
                self._warn(f"refused: {error}; {self._broker.cure(error.code)}")
            except ConnectionLost as error:
                code = error.code
                if error.explained:
                    self._reconnection.explained()
                self._warn(f"lost: {error}")
            except (NoConnack, OSError, ValueError) as error:
                self._warn(f"{type(error).__name__}: {error}")
            except Exception as error:  # noqa: BLE001  # the task must survive; counted, and logged with its traceback
                self._health.count("uplink_unexpected")
                _LOG.exception("uplink unexpected error")
                self._warn(f"unexpected {error!r}")
            if not self._stop.is_set():
                self._health.count("uplink_lost")
                await self._pause(self._wait_s(code))

    def _wait_s(self, code: int) -> float:
        """How long to wait before the next connection [s], and what people are told about the last ones."""
        now_s, fraction = time.monotonic(), random.random()  # noqa: S311  # jitter, no secret
        troubles, reconnection = self._delivery.troubles, self._reconnection
        by_other = code == SESSION_TAKEN_OVER or (self._served and "two_boxes" in troubles)
        wait_s = reconnection.wait_s(now_s, fraction, taken_over=by_other)
        if by_other:
            self._health.count("sessions_taken_over")
            _LOG.error(
                "uplink taken over times=%d wait_s=%.0f why=%r cure=%r",
                reconnection.taken_over,
                wait_s,
                "another client connected with this gateway's id",
                "make sure that no second box runs with a copy of this bundle or card; a second gateway needs its own",
            )
            troubles.tell("taken_over", count=str(reconnection.taken_over))
        elif reconnection.cut_off >= _CUT_OFF and "taken_over" not in troubles:
            troubles.tell("cut_off", count=str(reconnection.cut_off))
        return wait_s

    async def _connect_and_serve(self, version: int) -> None:
        will, limits = self.announcements.will(), self._probe.limits
        session = MqttSession(self._broker, self._client_id, will, self._delivery.events, version, limits)
        goodbye, clear, call_later = False, self._delivery.troubles.clear, asyncio.get_running_loop().call_later
        timers = [call_later(STABLE_S, clear, "cut_off"), call_later(SETTLED_S, clear, "taken_over")]
        try:
            await session.open()
            self._session, self._last_warning, self._served = session, "", True
            self._reconnection.succeeded()
            self._health.count("uplink_connects")
            self._health.gauge("mqtt_version", float(version))
            if session.login.serial:
                self._health.gauge("secret_serial", float(session.login.serial))
            self._delivery.begin(session)
            _LOG.info("uplink up broker=%s:%d mqtt=%s", self._broker.host, self._broker.port, VERSIONS[version])
            await self._delivery.serve(session, self._stop)
            goodbye = True
        finally:
            for timer in timers:
                timer.cancel()
            self._session = None
            self._sender.disconnected()
            session.close(goodbye=goodbye)
            self._delivery.end(session)

    async def _pause(self, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        while not self._stop.is_set() and (left_s := until_s - time.monotonic()) > 0:
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), left_s)

    def _warn(self, text: str) -> None:
        repeated = text == self._last_warning and time.monotonic() - self._warned_s < _WARN_AGAIN_S
        if self._stop.is_set() or repeated:
            return
        self._last_warning, self._warned_s = text, time.monotonic()
        _LOG.warning("uplink down broker=%s:%d why=%r", self._broker.host, self._broker.port, text)
