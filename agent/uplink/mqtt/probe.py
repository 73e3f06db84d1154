"""Which version of MQTT the broker supports, and what its CONNACK says of its limits."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from agent.process.health import Health
from agent.uplink.mqtt.session import MQTT5, MQTT311, ConnectRefused, MqttSession, NoConnack
from wire.broker_limits import BrokerLimits

_AGAIN_S: Final = 3600.0


class Probe:
    """Asks a broker once; one that speaks 3.1.1 only, again after an hour, since it may have been updated. limits: what it
    said last.
    """

    def __init__(self, new_session: Callable[[int], MqttSession], health: Health) -> None:
        """new_session: a session of that version, without a will."""
        self._new_session, self._health = new_session, health
        self._version: int | None = None
        self._unanswered, self._probed_s = 0, 0.0
        self.limits = BrokerLimits()

    def forget(self) -> None:
        """The broker is not what it was."""
        self._version = None

    async def version(self) -> int:
        """The newest version of MQTT that the broker supports. Raises as `MqttSession.open`."""
        old = self._version == MQTT311 and time.monotonic() - self._probed_s >= _AGAIN_S
        if self._version is None or old:
            self._version = await self._probe()
        return self._version

    async def _probe(self) -> int:
        """Probed without a will, since a broker that does not support MQTT 5 misreads a will and then does not answer at
        all. Nor does a proxy while the broker behind it is down: without an answer to MQTT 5, 3.1.1 is probed first, and
        once that is answered, MQTT 5 again.
        """
        self._probed_s = time.monotonic()
        if self._unanswered % 2 == 0:
            return await self._first_supported(MQTT5, MQTT311)
        found = await self._first_supported(MQTT311, MQTT5)
        if found == MQTT311:
            unanswered = self._unanswered
            with suppress(NoConnack, ConnectRefused):
                found = await self._first_supported(MQTT5)
            self._unanswered = unanswered
        return found

    async def _first_supported(self, *candidates: int) -> int:
        for version in candidates:
            session = self._new_session(version)
            try:
                await session.open()
            except NoConnack:
                self._unanswered += 1  # the next probe begins with the other version
                raise
            except ConnectRefused as error:
                if not error.unsupported:
                    raise
                self._health.count("mqtt_version_refused")
            else:
                self.limits = session.limits
                return version
            finally:
                session.close()
        raise NoConnack("the broker speaks neither MQTT 5 nor 3.1.1")
