"""The face of Modbus RTU devices: units on a serial line of this machine."""

import re
from collections.abc import Mapping
from typing import Any

from adapters.contract import Adapter, DeviceKind, NowNs
from adapters.modbus.face import diagnose, plan
from adapters.modbus.model import ModbusRtuDevice, ModbusTag


def _example(port: int) -> dict[str, Any]:
    return {"port": f"/dev/serial/by-id/127.0.0.1-{port}", "timeout": "300ms", "tags": {"t": {"holding": 0}}}


def _open(devices: Mapping[str, ModbusRtuDevice], now_ns: NowNs) -> dict[str, Adapter]:
    from adapters.modbus.bus.bus import serial_bus
    from adapters.modbus.unit import open_units

    return open_units(devices, serial_bus, now_ns)


def _typed(text: str) -> dict[str, str] | None:
    """`/dev/ttyUSB0:9600:none/3`: port, speed, parity, unit."""
    match = re.fullmatch(r"(/.+):(\d+):(none|even|odd)(?:/(\d+))?", text)
    return {"port": match[1], "baud": match[2], "parity": match[3], "unit": match[4] or "1"} if match else None


KIND = DeviceKind[ModbusRtuDevice](
    name="modbus_rtu",
    rank=2,
    model=ModbusRtuDevice,
    tag=ModbusTag,
    example=_example,
    open_devices=_open,
    typed=_typed,
    typed_example="/dev/ttyUSB0:9600:none/3",
    over_network=False,
    diagnose=diagnose,
    plan=plan,
    tags_message="tag_modbus_tcp",
)
