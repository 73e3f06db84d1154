"""Cross-checks of devices: what they must agree on where they share a line, and what is probably a mistake."""

import re
from collections.abc import Iterator
from typing import Any, Final

from config.devices.modbus import TABLES, ModbusDevice, ModbusRtuDevice, ModbusTcpDevice
from config.devices.modbus_tag import reference
from config.site.model import Site
from config.yaml.complaints import Complaint, SourceMap

_LINE_SETTINGS: Final = ("framing", "baud", "parity", "stop_bits", "rs485", "listen", "echo")
_CHANGING_NAME: Final = re.compile(r"/dev/tty(USB|ACM)\d+")


def check_lines(site: Site, source: SourceMap) -> Iterator[Complaint]:
    """Everything wrong, and every warning, about Modbus devices beside each other."""
    first_on: dict[object, tuple[str, ModbusDevice]] = {}
    for name, device in site.devices.items():
        if not isinstance(device, ModbusTcpDevice | ModbusRtuDevice):
            continue
        line = (device.host, device.port) if isinstance(device, ModbusTcpDevice) else device.port
        other_name, other = first_on.setdefault(line, (name, device))
        for key in _LINE_SETTINGS:
            mine, theirs = (getattr(item, key, None) for item in (device, other))
            if mine != theirs:
                where = ("devices", name, key)
                yield source.complain("modbus_line_differs", where, _word(mine), other=other_name, theirs=_word(theirs))
        if isinstance(device, ModbusRtuDevice) and _CHANGING_NAME.fullmatch(device.port):
            yield source.complain("modbus_port_name", ("devices", name, "port"), device.port, severity="warning")
        yield from _check_references(name, device, source)


def _check_references(name: str, device: ModbusDevice, source: SourceMap) -> Iterator[Complaint]:
    for tag, model in device.tags.items():
        for table in TABLES:
            number = getattr(model, table)
            meant = reference(str(number)) if number is not None else None
            if meant and meant[0] == table:
                where = ("devices", name, "tags", tag, table)
                first = meant[1] + device.base
                yield source.complain("modbus_looks_like_reference", where, number, severity="warning", first=first)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}s"
    return "–" if value is None else str(value)
