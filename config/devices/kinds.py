"""Devices as written in the site file: one model for each kind, told apart by `kind`."""

from typing import Annotated

from pydantic import Field

from config.devices.common import stale_after_of
from config.devices.modbus import ModbusRtuDevice, ModbusTag, ModbusTcpDevice
from config.devices.opcua import OpcUaDevice, OpcUaTag

__all__ = [
    "DEVICE_KINDS",
    "Device",
    "ModbusRtuDevice",
    "ModbusTag",
    "ModbusTcpDevice",
    "OpcUaDevice",
    "OpcUaTag",
    "period_s_of",
    "periods_s",
    "stale_after_s",
]

Device = Annotated[ModbusTcpDevice | ModbusRtuDevice | OpcUaDevice, Field(discriminator="kind")]

DEVICE_KINDS: dict[str, type[ModbusTcpDevice | ModbusRtuDevice | OpcUaDevice]] = {
    "modbus_tcp": ModbusTcpDevice,
    "modbus_rtu": ModbusRtuDevice,
    "opcua": OpcUaDevice,
}
"""Kind (the adapter's file name) to its model."""


def periods_s(device: Device) -> dict[str, float]:
    """How often each tag of a device is confirmed when all is well [s]."""
    return {name: period_s_of(device, name) for name in device.tags}


def period_s_of(device: Device, tag: str) -> float:
    """How often one tag is confirmed when all is well [s]."""
    if isinstance(device, OpcUaDevice) and device.mode == "subscribe":
        return device.every
    return device.tags[tag].every or device.every


def stale_after_s(device: Device) -> dict[str, float]:
    """When each tag of a device is stale [s after its last confirmation]."""
    return {name: stale_after_of(device, period_s) for name, period_s in periods_s(device).items()}
