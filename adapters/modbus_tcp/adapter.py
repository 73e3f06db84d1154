"""Modbus TCP, and RTU frames through a converter on the network: polled devices, a few blocks of registers each period.

Functions 1 to 4 only.
"""

from collections.abc import Mapping

from adapters.contract import Adapter, NowNs
from adapters.modbus.bus.bus import network_bus
from adapters.modbus.model import ModbusTcpDevice
from adapters.modbus.unit import Unit


def open_device(device: ModbusTcpDevice, now_ns: NowNs) -> Adapter:
    """One device with a socket of its own."""
    return open_devices({"": device}, now_ns)[""]


def open_devices(devices: Mapping[str, ModbusTcpDevice], now_ns: NowNs) -> dict[str, Adapter]:
    """Several devices by name; those with the same host and port share one socket."""
    by_line: dict[str, list[ModbusTcpDevice]] = {}
    for device in devices.values():
        by_line.setdefault(device.line, []).append(device)
    buses = {line: network_bus(group) for line, group in by_line.items()}
    return {
        name: Unit(device, buses[device.line], now_ns, device.pause_after_connect) for name, device in devices.items()
    }
