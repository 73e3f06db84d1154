"""Modbus RTU: units on a serial line that are polled in turn. Functions 1 to 4 only."""

from collections.abc import Mapping

from adapters.contract import Adapter, NowNs
from adapters.modbus.bus.bus import serial_bus
from adapters.modbus.model import ModbusRtuDevice
from adapters.modbus.unit import Unit


def open_device(device: ModbusRtuDevice, now_ns: NowNs) -> Adapter:
    """One unit with a line of its own."""
    return open_devices({"": device}, now_ns)[""]


def open_devices(devices: Mapping[str, ModbusRtuDevice], now_ns: NowNs) -> dict[str, Adapter]:
    """Several units by name; those with the same port share its line."""
    by_line: dict[str, list[ModbusRtuDevice]] = {}
    for device in devices.values():
        by_line.setdefault(device.line, []).append(device)
    lines = {line: serial_bus(group) for line, group in by_line.items()}
    return {name: Unit(device, lines[device.line], now_ns) for name, device in devices.items()}
