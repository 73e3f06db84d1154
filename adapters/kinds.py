"""Device kinds by name, and devices by kind: which belong together, and how they are opened."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from adapters.contract import Adapter, DeviceKind
from config.devices.kinds import DEVICE_KINDS, Device


def kind(name: str) -> DeviceKind[Any]:
    """The face of a kind that the site file names."""
    face: DeviceKind[Any] = import_module(f"adapters.{name}.kind").KIND
    return face


def kind_at(port: int) -> DeviceKind[Any] | None:
    """The kind whose devices usually listen at a TCP port."""
    return next((face for face in all_kinds() if face.port == port), None)


def all_kinds() -> tuple[DeviceKind[Any], ...]:
    """Every kind, the commonest first."""
    return tuple(map(kind, DEVICE_KINDS))


def by_line(devices: Mapping[str, Device]) -> list[tuple[DeviceKind[Any], dict[str, Device]]]:
    """The devices by kind and line, in the order of the file: those of one group take turns. A device with a connection
    of its own is a group of its own.
    """
    groups: dict[tuple[str, str, str], dict[str, Device]] = {}
    for name, device in devices.items():
        alone = "" if device.line else name
        groups.setdefault((device.kind, device.line, alone), {})[name] = device
    return [(kind(name), group) for (name, _, _), group in groups.items()]


def open_all(devices: Mapping[str, Device], now_ns: Callable[[], int], files: Path) -> dict[str, Adapter]:
    """An adapter for each device, not connected yet. Devices of a kind are opened together: they may share a line. A
    protocol is loaded only if there is a device of its kind.

    files: folder for files of devices (certificates) that the site file does not place; created when needed.
    """
    adapters: dict[str, Adapter] = {}
    for name in sorted({device.kind for device in devices.values()}):
        group = {key: device.with_files(key, files) for key, device in devices.items() if device.kind == name}
        adapters |= kind(name).open_devices(group, now_ns)
    return adapters
