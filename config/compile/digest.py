"""The hash that identifies a configuration."""

import hashlib
import json
from typing import Any, Final

from config.devices.kinds import Device
from config.site.model import Site

_WITHOUT_EFFECT: Final = ("site", "gateway", "name", "center", "metrics", "values")
"""Sections of a site file that do not affect results."""


def config_hash(site: Site) -> str:
    """A short hash of everything that results depend on: 16 hexadecimal digits.

    Names, addresses, process values and the connection to the center are left out, since no result changes with them; so
    are values equal to their defaults, so that a new key in a later version does not change the hash of an old file.
    """
    written = site.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={*_WITHOUT_EFFECT, "devices"})
    for section in ("machines", "products", "reasons", "lines"):
        for item in written.get(section, {}).values():
            item.pop("name", None)
    texts = {key: _text(item) for key, item in written.items()}
    texts["devices"] = _object({name: _device_text(device) for name, device in site.devices.items()})
    return hashlib.sha256(_object(texts).encode()).hexdigest()[:16]


def _device_text(device: Device) -> str:
    """One device at a time: ten thousand tags as dictionaries at once would be the peak of an agent's memory."""
    included = {"kind", "tags", "every", "stale_after"}
    return _text(device.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=included))


def _text(item: Any) -> str:
    return json.dumps(_sorted_sets(item), sort_keys=True, ensure_ascii=False)


def _object(texts: dict[str, str]) -> str:
    """A JSON object from the texts of its values, as `_text` would write it."""
    return "{" + ", ".join(f"{_text(key)}: {texts[key]}" for key in sorted(texts)) + "}"


def _sorted_sets(item: Any) -> Any:
    """Weekdays are sets, which JSON would write in no particular order."""
    if isinstance(item, dict):
        return {
            key: sorted(below) if key == "days" and not isinstance(below, int) else _sorted_sets(below)
            for key, below in item.items()
        }
    return [_sorted_sets(below) for below in item] if isinstance(item, list) else item
