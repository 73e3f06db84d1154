"""The periodic messages: `status`, and `live` as often as the data budget allows."""

from collections.abc import Callable
from typing import Final

from agent.uplink.budget import Level
from agent.uplink.cadence import Cadence
from agent.uplink.mqtt.session import MqttMessage
from wire.bodies import Live, LiveMachine, Status
from wire.envelope import pack_message
from wire.topics import Kind

_LIVE_S: Final = {Level.ALL: (1.0, 30.0), Level.THIN: (30.0, 120.0), Level.SHORT: (600.0, 600.0)}
"""The shortest and the longest time between two `live` messages [s], by level of the data budget."""


class Announcements:
    """What the gateway publishes about itself, and when the next of it is due. Times are monotonic [s]."""

    def __init__(
        self,
        topic: Callable[[Kind], str],
        status: Callable[[], Status],
        now_ns: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        """now_ns: gateway time; wake: called when something may be due at once."""
        self._topic, self._status, self._now_ns, self._wake = topic, status, now_ns, wake
        self._machines: dict[str, LiveMachine] = {}
        self._live = Cadence(1.0, 30.0)
        self._statuses = Cadence(1.0, 30.0)

    def status_changed(self) -> None:
        """Makes the next status due as soon as its cadence allows."""
        self._statuses.changed = True
        self._wake()

    def show(self, machines: dict[str, LiveMachine]) -> None:
        """Sets what the machines are doing; sent when a state, reason, product or shift has changed, and periodically."""
        before = {name: _summary(item) for name, item in self._machines.items()}
        if before != {name: _summary(item) for name, item in machines.items()}:
            self._live.changed = True
            self._wake()
        self._machines = machines

    def restart(self) -> None:
        """Begins a new connection: everything is due."""
        self._live.restart()
        self._statuses.restart()

    def pace(self, level: Level) -> None:
        """Sends `live` as often as this level of the data budget allows."""
        self._live.least_s, self._live.most_s = _LIVE_S[level]

    def due_s(self) -> float:
        """When the next message is due."""
        return min(self._live.due_s(), self._statuses.due_s())

    def due(self, now_s: float) -> list[MqttMessage]:
        """The messages to publish now; they count as sent."""
        out = []
        if self._statuses.take(now_s):
            out.append(self._status_message(self._status()))
        if not self._machines:
            self._live.last_s = now_s
        elif self._live.take(now_s):
            live = Live(at_ns=self._now_ns(), machines=self._machines)
            out.append(MqttMessage(self._topic("live"), pack_message(live)))
        return out

    def will(self) -> MqttMessage:
        """The last will: the broker publishes it if the connection breaks."""
        return self._status_message(Status(online=False, at_ns=self._now_ns()))

    def farewell(self) -> MqttMessage:
        """The last status before a connection that is closed on purpose."""
        return self._status_message(self._status().model_copy(update={"online": False}))

    def _status_message(self, status: Status) -> MqttMessage:
        return MqttMessage(self._topic("status"), pack_message(status), qos=1, retain=True)


def _summary(item: LiveMachine) -> tuple[str, str, str, str]:
    return item.state, item.reason, item.product, item.shift
