"""What a device kind owes: its face (`DeviceKind`), and the connections that it opens (`Adapter`).

A kind is one folder, `adapters/<kind>/`, with a `kind.py` that holds `KIND`, a `DeviceKind`. Nothing outside the folder
names the kind: `config.devices.kinds` finds the folder, the site file may then say `kind: <kind>`, and every command
asks the face. `tests/adapters/test_adapter_contract.py` checks each kind against what is written here.

`kind.py` is imported by every command, at the center too, so it imports pydantic, `config` and this package's contracts
only. The protocol's library is imported within the functions of the face, when a device is opened.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from adapters.browsing import Browser
from adapters.planned import LinePlan, ServerPlan, polled_tag_by_tag
from config.devices.device import DeviceModel, TagModel
from oee.model.states import Quality

NowNs = Callable[[], int]
"""Gateway time [ns UTC]."""
Severity = Literal["fail", "warn"]
Extent = Literal["range", "unit", "device", "line"]
"""How much a fault takes away: some addresses of a device that answers, one unit of several behind one connection, the
device, or the line with all devices on it.
"""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a device or a tag, as a code of the message catalogue: `fault.<code>` describes the symptom,
    `fault.<code>.causes` its usual causes, the likeliest first, and `fault.<code>.look` what to check in the cabinet.

    values: for the placeholders of these texts, and what else is known of the fault; detail: the error text of the peer or
    the adapter; extent: how much is lost by it.
    """

    code: str
    severity: Severity = "fail"
    values: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""
    extent: Extent = "range"

    def as_json(self) -> dict[str, Any]:
        """The fault as JSON."""
        return {
            "code": self.code, "severity": self.severity, "values": dict(self.values), "detail": self.detail,
            "extent": self.extent,
        }  # fmt: skip


class NotConnected(Exception):
    """The device or the line cannot be reached at the moment. The supervisor connects again.

    gentle: the peer never answered on this connection, or closed it before it did. Another master may own its only
    socket, so the supervisor waits longer before it tries again. fault: what is wrong, where the kind knows; without it
    `adapters.connection_faults` goes by the operating system's error in `__cause__`.
    """

    def __init__(self, message: str, *, gentle: bool = False, fault: Fault | None = None) -> None:
        super().__init__(message)
        self.gentle, self.fault = gentle, fault


class DeviceMisconfigured(Exception):
    """Only a change of the site file can help; the supervisor does not try again.

    elsewhere: a change at the device can help too (trusting our certificate), so the supervisor tries again, slowly;
    fault: see `NotConnected`.
    """

    def __init__(self, message: str, *, elsewhere: bool = False, fault: Fault | None = None) -> None:
        super().__init__(message)
        self.elsewhere, self.fault = elsewhere, fault


class Row(NamedTuple):
    """One value of one tag. t_ns: gateway time from which it holds [ns UTC]; value: meaningless where the
    quality is BAD or GAP; source_ns: the device's own time, if it gave one [ns UTC].
    """

    tag: str
    t_ns: int
    value: Any
    quality: Quality
    source_ns: int | None = None


def rows_at(t_ns: int, changes: Iterable[tuple[str, Any, Quality]]) -> list[Row]:
    """Rows that share one time. Bypasses `Row.__new__`, which halves the cost: a gateway makes ten thousand rows a second."""
    new = tuple.__new__
    return [new(Row, (tag, t_ns, value, quality, None)) for tag, value, quality in changes]


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of one `read()`.

    t_ns: gateway time at which `confirmed` was confirmed [ns UTC], taken when the response had arrived.
    rows: changes, oldest first for each tag. A tag's first value after `connect()` is always a row;
      an equal value later need not be.
    confirmed: tags (without the device's name) whose last row still held at t_ns. A tag that was not read
      this time, or whose response was missing, is absent.
    clock_off_ns: gateway time minus the device's own clock [ns]; None where the device has no readable clock.
    granted_s: how often the device confirms its tags, where that is less often than the site file asks [s].
    faults: why tags are BAD, or left out for long, by tag; as far as the kind knows.

    Rows are plain Python: at a few values a call NumPy costs more than it saves, so the pipeline collects
    readings and makes columns of many of them at once.
    """

    t_ns: int
    rows: Sequence[Row]
    confirmed: Sequence[str]
    clock_off_ns: int | None = None
    granted_s: float | None = None
    faults: Mapping[str, Fault] = field(default_factory=dict)


class Adapter(Protocol):
    """One device's connection, made by `DeviceKind.open_devices` without side effects.

    Order of calls: `connect()` until it returns; then `read()` again and again; after `NotConnected`
    `close()` and `connect()` again; at the end `close()`. Calls come from one task and never overlap.

    The adapter never retries, never sleeps except as its protocol demands between frames, never logs and
    never starts tasks that outlive `close()`: one supervisor does all of that, the same for every protocol.
    """

    async def connect(self) -> None:
        """Makes the connection. Returns when the device may be read.

        Raises `NotConnected`, whose message names the peer, if the peer does not answer: `gentle` if it accepts
        connections and stays silent, not `gentle` if nobody is there. Raises `DeviceMisconfigured` if it can never
        work (a bad address, a refused certificate, an unknown security policy).
        """
        ...

    async def read(self) -> Reading:
        """Reads the tags that are due, or returns what a subscription has received since the last call.

        The supervisor calls it once a period (`period_s`). A tag that the device refuses is a row of quality
        BAD, and the others are still read. Raises `NotConnected` when the device as a whole is gone, and before
        `connect()` has returned. (A protocol whose connection says nothing about the device may notice only here that
        it stays silent: `gentle` then.)
        """
        ...

    async def close(self) -> None:
        """Frees the connection. May be called at any time, before `connect()` and twice; never raises."""
        ...

    @property
    def period_s(self) -> float:
        """How often `read()` wants to be called [s]: the shortest period of the tags, or the publishing interval."""
        ...


D = TypeVar("D", bound=DeviceModel)


@dataclass(frozen=True, kw_only=True)
class DeviceKind(Generic[D]):
    """The face of a kind: everything that commands and the agent ask of it. Fields with a default are optional.

    name: the folder's name, and what `kind` is in the site file.
    model: the device in the site file: a `DeviceModel` with `kind: Literal[name]`, which also answers what the
      configuration needs: periods, where the device and its tags are (`place`, `address`), its line and the settings
      that devices on it must share, warnings, and the files that it keeps (`file_settings`, `with_files`).
    tag: one of its tags: a `TagModel`, which also gives the width of a counter.
    example: settings of a device at a port of 127.0.0.1 that gives up within a second or so, as the site file holds
      them, without `kind` and `every`, and free of warnings; a serial device at a path that names host and port.
    open_devices: an adapter for each device, by name and in the order given; nothing is connected yet, so no event loop
      is needed. Devices of one line share it. The second argument returns gateway time.
    rank: its position where messages list kinds, the commonest first; kinds of equal rank by name.
    over_network: False on a serial line, where there is no peer that accepts and stays silent.
    diagnose: reads tags that were bad (device to tags) again, each on its own, to get the device's own response; returns
      by device and tag what was wrong. All devices are on one line, or it is one device. Never raises for a device
      that is gone: that is a fault of its tags.
    round_trip_s: how long one read of all tags takes, for a device that is not polled (`DeviceModel.is_polled`) [s]; None
      if it cannot be read.
    plan: what `nhip plan` shows for devices on one line, or for one device: at least one row. The second argument: how
      long a device takes to respond [s].
    port: the TCP port on which such devices usually listen: `nhip scan network` names the kind by it.
    next_command: the command with which a technician inspects a device that listens at a host and port.
    typed: parses a place as people type it for `nhip init` into settings (with `tags` a complete device); None if the
      text is not of this kind. No text may be of two kinds, so a new kind begins with a scheme of its own, `mykind://`.
    typed_example: such a text.
    tags_message: `init.several.<tags_message>` of the message catalogue asks for the tags of such a device.
    browser: for servers whose address space can be walked (`nhip browse`).
    """

    name: str
    model: type[D]
    tag: type[TagModel]
    example: Callable[[int], dict[str, Any]]
    open_devices: Callable[[Mapping[str, D], NowNs], dict[str, Adapter]]
    typed: Callable[[str], dict[str, str] | None]
    typed_example: str
    rank: int = 100
    over_network: bool = True
    diagnose: (
        Callable[[Mapping[str, D], Mapping[str, Sequence[str]]], Awaitable[dict[str, dict[str, Fault]]]] | None
    ) = None
    round_trip_s: Callable[[D], Awaitable[float | None]] | None = None
    plan: Callable[[Mapping[str, D], float], Sequence[LinePlan | ServerPlan]] = polled_tag_by_tag
    port: int | None = None
    next_command: Callable[[str, int], str] | None = None
    tags_message: str = "tag"
    browser: Browser | None = None
