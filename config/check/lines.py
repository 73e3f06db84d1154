"""Cross-checks of devices: what they must agree on where they share a line, and what is probably a mistake."""

from collections.abc import Iterator
from typing import Any

from config.devices.device import DeviceModel
from config.site.model import Site
from config.yaml.complaints import Complaint, SourceMap


def check_lines(site: Site, source: SourceMap) -> Iterator[Complaint]:
    """Every error and warning about devices that share a line, and the warnings of each device."""
    first_on: dict[tuple[str, str], tuple[str, DeviceModel]] = {}
    for name, device in site.devices.items():
        if device.line:
            other_name, other = first_on.setdefault((device.kind, device.line), (name, device))
            other_settings = other.line_settings()
            for key, setting in device.line_settings().items():
                if setting != other_settings[key]:
                    where = ("devices", name, key)
                    yield source.complain(
                        "modbus_line_differs",
                        where,
                        _word(setting),
                        other=other_name,
                        theirs=_word(other_settings[key]),
                    )
        yield from device.warnings(name, source)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}s"
    return "–" if value is None else str(value)
