"""The face of Modbus TCP devices, and of serial ones behind a converter on the network."""

import re
from collections.abc import Mapping
from typing import Any

from adapters.contract import Adapter, DeviceKind, NowNs
from adapters.modbus.face import diagnose, plan
from adapters.modbus.model import ModbusTag, ModbusTcpDevice


def _example(port: int) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "timeout": "300ms", "tags": {"t": {"holding": 0}}}


def _open(devices: Mapping[str, ModbusTcpDevice], now_ns: NowNs) -> dict[str, Adapter]:
    from adapters.modbus.bus.bus import network_bus
    from adapters.modbus.unit import open_units

    return open_units(devices, network_bus, now_ns)


def _typed(text: str) -> dict[str, str] | None:
    """`192.168.1.10:502/1`: host, port, unit."""
    match = re.fullmatch(r"([\w.-]+)(?::(\d+))?(?:/(\d+))?", text)
    return {"host": match[1], "port": match[2] or "502", "unit": match[3] or "1"} if match else None


KIND = DeviceKind[ModbusTcpDevice](
    name="modbus_tcp",
    rank=1,
    model=ModbusTcpDevice,
    tag=ModbusTag,
    example=_example,
    open_devices=_open,
    typed=_typed,
    typed_example="192.168.1.10:502/1",
    diagnose=diagnose,
    plan=plan,
    port=502,
    next_command=lambda host, port: f"nhip scan modbus {host}:{port}",
    tags_message="tag_modbus_tcp",
)
