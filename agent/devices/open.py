"""Opening devices: an adapter's file is imported only when the site has a device of its kind."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from adapters.contract import Adapter
from config.devices.kinds import Device
from config.devices.opcua import OpcUaDevice, with_files


def open_all(devices: Mapping[str, Device], now_ns: Callable[[], int], files: Path) -> dict[str, Adapter]:
    """An adapter for each device, not connected yet. Devices of a kind are opened together where they share a line.

    files: folder for certificates that the site file does not place; made when one is needed.
    """
    out: dict[str, Adapter] = {}
    for kind in sorted({device.kind for device in devices.values()}):
        module = import_module(f"adapters.{kind}.adapter")
        mine = {name: _placed(name, device, files) for name, device in devices.items() if device.kind == kind}
        if hasattr(module, "open_devices"):
            out |= module.open_devices(mine, now_ns)
        else:
            out |= {name: module.open_device(device, now_ns) for name, device in mine.items()}
    return out


def _placed(name: str, device: Device, files: Path) -> Device:
    return with_files(device, name, files) if isinstance(device, OpcUaDevice) else device
