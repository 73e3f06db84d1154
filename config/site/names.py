"""The names that a site file defines, whether or not each definition is valid.

Taken from the raw data, so that an invalid device does not make every reference to it invalid as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from config.yaml.complaints import Complaint, Path, SourceMap, nearest

ONLINE = "online"
"""`<device>.online` is a tag that every device has and that is never unknown."""


@dataclass(frozen=True)
class DefinedNames:
    """tags: `device.tag`; the rest: ids."""

    devices: frozenset[str]
    tags: frozenset[str]
    machines: frozenset[str]
    products: frozenset[str]
    reasons: frozenset[str]
    lines: frozenset[str]
    calendars: frozenset[str]


def defined_names(data: Mapping[str, Any]) -> DefinedNames:
    """The names in the raw data of a site file."""

    def keys(section: Any) -> frozenset[str]:
        return frozenset(section) if isinstance(section, Mapping) else frozenset()

    devices = data.get("devices")
    written = devices if isinstance(devices, Mapping) else {}
    tags = {
        f"{device}.{tag}"
        for device, block in written.items()
        for tag in keys(block.get("tags") if isinstance(block, Mapping) else None) | {ONLINE}
    }
    sections = ("machines", "products", "reasons", "lines", "calendars")
    return DefinedNames(keys(written), frozenset(tags), *(keys(data.get(name)) for name in sections))


def missing_tag(name: str, names: DefinedNames, path: Path, source: SourceMap) -> Complaint:
    """The complaint that a tag does not exist, with the nearest that does."""
    device, dot, _ = name.partition(".")
    if not dot:
        return source.complain("tag_without_device", path, name, near=nearest(name, names.tags, 0.5))
    if device not in names.devices:
        near, known = nearest(device, names.devices), ", ".join(sorted(names.devices))
        return source.complain("unknown_device", path, name, device=device, near=near, known=known)
    own = {tag for tag in names.tags if tag.startswith(f"{device}.")}
    return source.complain(
        "unknown_tag", path, name, tag=name, near=nearest(name, own, 0.75), known=", ".join(sorted(own))
    )
