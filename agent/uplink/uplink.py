"""The uplink: one task that keeps a connection to the broker, and connects again whenever it is lost.

`agent.uplink.delivery` handles the traffic of a connection. The broker is probed once for MQTT 5, with 3.1.1 as fallback;
one that refuses the account is retried too, since somebody may be repairing it.
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
from agent.uplink.cadence import Reconnection
from agent.uplink.delivery import Delivery
from agent.uplink.mqtt.broker import Broker
from agent.uplink.mqtt.session import (
    MQTT5,
    MQTT311,
    VERSIONS,
    ConnectionLost,
    ConnectRefused,
    MqttMessage,
    MqttSession,
    NoConnack,
)
from agent.uplink.reception import UplinkHooks
from agent.uplink.sender import Sender
from wire.topics import topic

_LOG: Final = logging.getLogger("nhip.agent.uplink")
_PROBE_AGAIN_S: Final = 3600.0
_WARN_AGAIN_S: Final = 600.0


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
        self._version: int | None = None
        self._probes, self._probed_s = 0, 0.0
        self._session: MqttSession | None = None
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
            try:
                # MQTT 3.1.1 is not for ever: the broker may have been updated
                old = self._version == MQTT311 and time.monotonic() - self._probed_s >= _PROBE_AGAIN_S
                if self._version is None or old:
                    self._version = await self._probe()
                await self._connect_and_serve(self._version)
            except ConnectRefused as error:
                self._warn(f"refused: {error}; {self._broker.cure}")
            except (ConnectionLost, NoConnack, OSError, ValueError) as error:
                self._warn(f"{type(error).__name__}: {error}")
            except Exception as error:  # noqa: BLE001  # the task must survive; counted, and logged with its traceback
                self._health.count("uplink_unexpected")
                _LOG.exception("uplink unexpected error")
                self._warn(f"unexpected {error!r}")
            if not self._stop.is_set():
                self._health.count("uplink_lost")
                fraction = random.random()  # noqa: S311  # jitter, no secret
                await self._pause(self._reconnection.wait_s(time.monotonic(), fraction))

    async def _probe(self) -> int:
        """The newest version of MQTT that the broker supports. Probed without a will, since a broker that does not support
        MQTT 5 misreads a will and then does not answer at all. Nor does a proxy while the broker behind it is down:
        without an answer to MQTT 5, 3.1.1 is probed first, and once that is answered, MQTT 5 again.
        """
        self._probed_s = time.monotonic()
        if self._probes % 2 == 0:
            return await self._first_supported(MQTT5, MQTT311)
        found = await self._first_supported(MQTT311, MQTT5)
        if found == MQTT311:
            probes = self._probes
            with suppress(NoConnack, ConnectRefused):
                found = await self._first_supported(MQTT5)
            self._probes = probes
        return found

    async def _first_supported(self, *candidates: int) -> int:
        for version in candidates:
            session = self._new_session(version, None)
            try:
                await session.open()
            except NoConnack:
                self._probes += 1  # the next probe begins with the other version
                raise
            except ConnectRefused as error:
                if not error.unsupported:
                    raise
                self._health.count("mqtt_version_refused")
            else:
                return version
            finally:
                session.close()
        raise NoConnack("the broker speaks neither MQTT 5 nor 3.1.1")

    def _new_session(self, version: int, will: MqttMessage | None) -> MqttSession:
        return MqttSession(self._broker, self._client_id, will, self._delivery.events, version)

    async def _connect_and_serve(self, version: int) -> None:
        session = self._new_session(version, self.announcements.will())
        goodbye = False
        try:
            await session.open()
            self._session, self._last_warning = session, ""
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
