"""Opens devices. A protocol is loaded only if the site has a device of its kind."""

from collections.abc import Callable, Mapping
from pathlib import Path

from adapters.contract import Adapter
from adapters.kinds import kind
from config.devices.kinds import Device


def open_all(devices: Mapping[str, Device], now_ns: Callable[[], int], files: Path) -> dict[str, Adapter]:
    """An adapter for each device, not connected yet. Devices of a kind are opened together: they may share a line.

    files: folder for files of devices (certificates) that the site file does not place; created when needed.
    """
    adapters: dict[str, Adapter] = {}
    for name in sorted({device.kind for device in devices.values()}):
        group = {key: device.with_files(key, files) for key, device in devices.items() if device.kind == name}
        adapters |= kind(name).open_devices(group, now_ns)
    return adapters
