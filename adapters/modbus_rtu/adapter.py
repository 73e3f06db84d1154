"""Modbus RTU: units on a serial line that are asked in turns. Functions 1 to 4 only."""

from collections.abc import Callable, Mapping, Sequence

from adapters.contract import Adapter
from adapters.modbus.bus.channel import Channel
from adapters.modbus.bus.line import Line, LineSettings
from adapters.modbus.bus.probes import PATIENCE
from adapters.modbus.bus.serial_port import open_serial
from adapters.modbus.bus.timing import pace
from adapters.modbus.unit import Unit, requests_of
from config.devices.modbus import ModbusRtuDevice

__all__ = ["line_of", "open_device", "open_devices", "requests_of"]


def open_device(device: ModbusRtuDevice, now_ns: Callable[[], int]) -> Adapter:
    """One unit with a line of its own."""
    return open_devices({"": device}, now_ns)[""]


def open_devices(devices: Mapping[str, ModbusRtuDevice], now_ns: Callable[[], int]) -> dict[str, Adapter]:
    """Several units by name; those with the same port share its line."""
    sharing: dict[str, list[ModbusRtuDevice]] = {}
    for device in devices.values():
        sharing.setdefault(device.port, []).append(device)
    lines = {port: line_of(group) for port, group in sharing.items()}
    return {name: Unit(device, lines[device.port], now_ns) for name, device in devices.items()}


def line_of(group: Sequence[ModbusRtuDevice], patience: int = PATIENCE) -> Line:
    """The line of units that share it; that they agree on its settings is checked with the site file.

    patience: see `LineSettings`.
    """
    first = group[0]

    async def connect(_timeout_s: float) -> Channel:
        return open_serial(first)

    pause_s = max(device.pause_between_requests for device in group)
    settings = LineSettings(
        pace(first.baud, first.bits_per_character), first.listen, pause_s, echo=first.echo, patience=patience
    )
    return Line(first.port, settings, connect)
