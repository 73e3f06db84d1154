"""The periodic messages: `status`, and `live` as often as the data budget allows; and the link's troubles, which status
reports.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from agent.uplink.budget import Level
from agent.uplink.cadence import Cadence
from agent.uplink.mqtt.session import MqttMessage
from wire.bodies import LinkTrouble, Live, LiveMachine, Status
from wire.envelope import pack_message
from wire.topics import Kind

_LIVE_S: Final = {Level.ALL: (1.0, 30.0), Level.THIN: (30.0, 120.0), Level.SHORT: (600.0, 600.0)}
"""The shortest and the longest time between two `live` messages [s], by level of the data budget."""


class LinkTroubles:
    """What is wrong with the link that people have to know, by code and, where it concerns one, kind of message."""

    def __init__(self, changed: Callable[[Sequence[LinkTrouble]], None] = lambda _: None) -> None:
        """changed: called with all of them when one begins or ends."""
        self.changed = changed
        self._troubles: dict[tuple[str, str], LinkTrouble] = {}

    def tell(self, code: str, kind: str = "", **values: str) -> bool:
        """Adds or changes a trouble; whether it is new."""
        before = self._troubles.get((code, kind))
        self._troubles[code, kind] = LinkTrouble(code=code, values=values | ({"kind": kind} if kind else {}))
        if before is None:
            self.changed(self.all())
        return before is None

    def clear(self, code: str, kind: str = "") -> None:
        """Ends a trouble, if there was any."""
        if self._troubles.pop((code, kind), None):
            self.changed(self.all())

    def __contains__(self, code: str) -> bool:
        return any(told == code for told, _ in self._troubles)

    def all(self) -> list[LinkTrouble]:
        """All of them, in the order in which they began."""
        return list(self._troubles.values())


class Announcements:
    """What the gateway publishes about itself, and when the next of it is due. Times are monotonic [s]."""

    def __init__(
        self,
        topic: Callable[[Kind], str],
        status: Callable[[], Status],
        now_ns: Callable[[], int],
        wake: Callable[[], None],
        fits: Callable[[MqttMessage, bool], bool],
        troubles: LinkTroubles,
    ) -> None:
        """now_ns: gateway time; wake: called when something may be due at once; fits: whether the broker takes a message of
        this size, and whether people are told if it does not.
        """
        self._topic, self._status, self._now_ns, self._wake, self._fits = topic, status, now_ns, wake, fits
        self._troubles = troubles
        self._machines: dict[str, LiveMachine] = {}
        self._live = Cadence(1.0, 30.0)
        self._statuses = Cadence(1.0, 30.0)

    def status_changed(self) -> None:
        """Makes the next status due as soon as its cadence allows."""
        self.hurry_status()
        self._wake()

    def hurry_status(self) -> None:
        """The same for the next time that somebody looks."""
        self._statuses.changed = True

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
        if self._statuses.take(now_s) and (message := self._fitting_status(self._status())):
            out.append(message)
        if not self._machines:
            self._live.last_s = now_s
        elif self._live.take(now_s):
            live = MqttMessage(self._topic("live"), pack_message(Live(at_ns=self._now_ns(), machines=self._machines)))
            if self._fits(live, True):
                out.append(live)
        return out

    def will(self) -> MqttMessage:
        """The last will: the broker publishes it if the connection breaks."""
        return self._status_message(Status(online=False, at_ns=self._now_ns()))

    def farewell(self) -> MqttMessage | None:
        """The last status before a connection that is closed on purpose; None if it would be too large."""
        return self._fitting_status(self._status().model_copy(update={"online": False}))

    def _fitting_status(self, status: Status) -> MqttMessage | None:
        """The status, shortened as far as the broker's limit demands; None if it does not take any."""
        full = status.model_copy(update={"link": self._troubles.all()})
        messages = [self._status_message(shorter) for shorter in _shortened(full)]
        fitting = next((message for message in messages[:-1] if self._fits(message, False)), messages[-1])
        return fitting if self._fits(fitting, True) else None

    def _status_message(self, status: Status) -> MqttMessage:
        return MqttMessage(self._topic("status"), pack_message(status), qos=1, retain=True)


def _shortened(status: Status) -> Iterator[Status]:
    """The status, then without what only describes the gateway's condition, then with what delivery needs."""
    yield status
    yield status.model_copy(
        update={"health": {}, "link": status.link[:1], "notices": status.notices[:1], "faults": status.faults[:1]}
    )
    described: dict[str, object] = {
        "link": [],
        "devices": {},
        "faults": [],
        "counters": [],
        "declared": {},
        "notices": [],
    }
    yield status.model_copy(update=described | {"health": {}, "clock": None, "trouble": ""})


def _summary(item: LiveMachine) -> tuple[object, ...]:
    return item.state, item.reason, item.product, item.shift, tuple((call.kind, call.step) for call in item.calls)
