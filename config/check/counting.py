"""What a device's tag types say about counting."""

import re
from typing import NamedTuple

from config.devices.kinds import Device, ModbusTag
from config.site.model import Site
from config.site.names import ONLINE

_INTEGER = re.compile(r"(u?)int(\d+)")


class Width(NamedTuple):
    """bits: where a counter wraps, None if it does not; signed: whether it wraps to negative values."""

    bits: int | None
    signed: bool


UNTOLD = Width(32, signed=False)
"""Where the device says the type itself (OPC UA): 32 bits, the commonest, and harmless for wider ones, whose steps
back are then resets."""


def tag_of(site: Site, name: str) -> object | None:
    """The tag's model, or None (`device.online`, or no such tag)."""
    device, _, tag = name.partition(".")
    found: Device | None = site.devices.get(device)
    return found.tags.get(tag) if found is not None else None


def cannot_count(site: Site, name: str) -> str:
    """The type of a tag that holds no number, or ""."""
    if name.endswith(f".{ONLINE}"):
        return "bool"
    tag = tag_of(site, name)
    return "string" if isinstance(tag, ModbusTag) and tag.value_type == "string" else ""


def width_of(site: Site, name: str) -> Width:
    """The width of a counter's tag. What is scaled, decimal (BCD), a float, 64 bits or one bit does not wrap."""
    tag = tag_of(site, name)
    if not isinstance(tag, ModbusTag):
        return UNTOLD
    match = _INTEGER.fullmatch(tag.value_type)
    if match is None or tag.scale != 1 or tag.offset != 0 or match[2] == "64":
        return Width(None, signed=False)
    return Width(int(match[2]), not match[1])
