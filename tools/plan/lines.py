"""Which requests each line will carry, and whether it can. Pure.

What a serial line can carry follows from its speed; how long devices think before they answer does not, so it is an
argument. On a network a frame takes no time worth counting, and the thinking is all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from adapters.modbus.bus.frames_tcp import FUNCTIONS
from adapters.modbus.bus.timing import NETWORK_PACE, UNKNOWN_PACE, Load, Pace, exchange_s, load, pace
from adapters.modbus.plan import Request
from adapters.modbus.unit import requests_of
from config.devices.modbus import ModbusRtuDevice, ModbusTcpDevice
from config.devices.opcua import OpcUaDevice
from config.site.model import Site

TIGHT: Final = 0.7
"""From this share on a line has no room for retries and late turns."""


@dataclass(frozen=True)
class Ask:
    """One request of a device. cost_s: how long it keeps the line busy [s]."""

    device: str
    unit: int
    request: Request
    cost_s: float

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        request = self.request
        return {
            "device": self.device, "unit": self.unit, "function": FUNCTIONS[request.table], "table": request.table,
            "first": request.start, "count": request.count, "every_s": request.period_s, "tags": list(request.tags),
            "cost_s": round(self.cost_s, 6),
        }  # fmt: skip


@dataclass(frozen=True)
class Hurried:
    """A device that is to be asked more often than its `max_requests_per_s` allows."""

    device: str
    wanted_per_s: float
    most_per_s: float


@dataclass(frozen=True)
class Line:
    """One line or socket. speed: as people say it, "" on a network, "?" behind a converter."""

    name: str
    kind: str
    speed: str
    asks: tuple[Ask, ...]
    load: Load
    hurried: tuple[Hurried, ...]

    @property
    def verdict(self) -> str:
        """slow: it cannot keep the periods; tight: it has no room to spare; else ok."""
        if self.load.share > 1 or self.hurried:
            return "slow"
        return "tight" if self.load.share > TIGHT else "ok"

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "line": self.name, "kind": self.kind, "speed": self.speed, "requests": [ask.as_json() for ask in self.asks],
            "cycle_s": round(self.load.cycle_s, 6), "share": round(self.load.share, 6), "verdict": self.verdict,
            "hurried": [item.__dict__ for item in self.hurried],
        }  # fmt: skip


@dataclass(frozen=True)
class Server:
    """One OPC UA server. every_s: publishing interval or shortest polling period [s]; requests: to poll all once."""

    device: str
    url: str
    mode: str
    nodes: int
    every_s: float
    requests: int

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return dict(self.__dict__)


def lines_of(site: Site, thinking_s: float) -> list[Line]:
    """The lines of a site's Modbus devices, in the order of the file. thinking_s: until a device answers [s]."""
    sharing: dict[tuple[str, str], dict[str, ModbusTcpDevice | ModbusRtuDevice]] = {}
    for name, device in site.devices.items():
        if isinstance(device, ModbusTcpDevice):
            sharing.setdefault((device.kind, f"{device.host}:{device.port}"), {})[name] = device
        elif isinstance(device, ModbusRtuDevice):
            sharing.setdefault((device.kind, device.port), {})[name] = device
    return [_line(kind, name, devices, thinking_s) for (kind, name), devices in sharing.items()]


def servers_of(site: Site) -> list[Server]:
    """The OPC UA servers of a site."""
    return [
        Server(name, device.url, device.mode, len(device.tags), _fastest_s(device), _parts(device))
        for name, device in site.devices.items()
        if isinstance(device, OpcUaDevice)
    ]


def _line(kind: str, name: str, devices: dict[str, ModbusTcpDevice | ModbusRtuDevice], thinking_s: float) -> Line:
    speed, line_pace = _speed(next(iter(devices.values())))
    serial_pause_s = max(device.pause_between_requests for device in devices.values()) if speed else 0.0
    asks = [
        Ask(
            key,
            device.unit,
            request,
            exchange_s(request, line_pace, thinking_s, max(serial_pause_s, device.pause_between_requests)),
        )
        for key, device in devices.items()
        for request in requests_of(device)
    ]
    whole = load((ask.cost_s, ask.request.period_s) for ask in asks)
    return Line(name, kind, speed, tuple(asks), whole, tuple(_hurried(devices, asks)))


def _speed(device: ModbusTcpDevice | ModbusRtuDevice) -> tuple[str, Pace]:
    if isinstance(device, ModbusRtuDevice):
        word = f"{device.baud} 8{device.parity[0].upper()}{device.stop_bits}"
        return word, pace(device.baud, device.bits_per_character)
    return ("?", UNKNOWN_PACE) if device.framing == "rtu" else ("", NETWORK_PACE)


def _hurried(devices: dict[str, ModbusTcpDevice | ModbusRtuDevice], asks: Iterable[Ask]) -> Iterable[Hurried]:
    wanted_per_s = dict.fromkeys(devices, 0.0)
    for ask in asks:
        wanted_per_s[ask.device] += 1 / ask.request.period_s
    for name, device in devices.items():
        if device.max_requests_per_s and wanted_per_s[name] > device.max_requests_per_s * (1 + 1e-9):
            yield Hurried(name, wanted_per_s[name], device.max_requests_per_s)


def _fastest_s(device: OpcUaDevice) -> float:
    if device.mode == "subscribe":
        return device.every
    return min(tag.every or device.every for tag in device.tags.values())


def _parts(device: OpcUaDevice) -> int:
    return -(-len(device.tags) // device.max_nodes_per_request)
