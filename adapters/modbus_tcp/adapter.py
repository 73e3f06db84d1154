"""Modbus TCP, and serial frames through a converter on the network: devices that are asked, a few blocks each period.

Functions 1 to 4 only.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from adapters.contract import Adapter
from adapters.modbus.bus.channel import open_tcp
from adapters.modbus.bus.line import Line, LineSettings
from adapters.modbus.bus.probes import PATIENCE
from adapters.modbus.bus.socket import Link
from adapters.modbus.bus.timing import UNKNOWN_PACE
from adapters.modbus.unit import Bus, Unit, requests_of
from config.devices.modbus import ModbusTcpDevice

__all__ = ["bus_of", "open_device", "open_devices", "requests_of"]


def open_device(device: ModbusTcpDevice, now_ns: Callable[[], int]) -> Adapter:
    """One device with a socket of its own."""
    return open_devices({"": device}, now_ns)[""]


def open_devices(devices: Mapping[str, ModbusTcpDevice], now_ns: Callable[[], int]) -> dict[str, Adapter]:
    """Several devices by name; those with the same host and port share one socket."""
    sharing: dict[tuple[str, int], list[ModbusTcpDevice]] = {}
    for device in devices.values():
        sharing.setdefault((device.host, device.port), []).append(device)
    buses = {peer: bus_of(group) for peer, group in sharing.items()}
    return {
        name: Unit(device, buses[device.host, device.port], now_ns, device.pause_after_connect)
        for name, device in devices.items()
    }


def bus_of(group: Sequence[ModbusTcpDevice], patience: int = PATIENCE) -> Bus:
    """The socket of devices that share it. patience: see `LineSettings`."""
    first = group[0]
    if first.framing == "tcp":
        return Link(first.host, first.port)
    pause_s = max(device.pause_between_requests for device in group)
    settings = LineSettings(UNKNOWN_PACE, first.listen, pause_s, echo=first.echo, reopens=False, patience=patience)
    return Line(f"{first.host}:{first.port}", settings, partial(open_tcp, first.host, first.port))
