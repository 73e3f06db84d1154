"""The faces of all device kinds, by name."""

from importlib import import_module
from typing import Any

from adapters.contract import DeviceKind
from config.devices.kinds import DEVICE_KINDS


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
