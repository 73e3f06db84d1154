"""The face of OPC UA servers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from adapters.browsing import Browsed, Login, Walk
from adapters.contract import Adapter, DeviceKind, Fault, NowNs
from adapters.opcua.model import OpcUaDevice, OpcUaTag
from adapters.planned import ServerPlan


def _example(port: int) -> dict[str, Any]:
    return {"url": f"opc.tcp://127.0.0.1:{port}/", "timeout": "300ms", "tags": {"t": {"node": "i=2258"}}}


def _open(devices: Mapping[str, OpcUaDevice], now_ns: NowNs) -> dict[str, Adapter]:
    from adapters.opcua.adapter import open_devices

    return open_devices(devices, now_ns)


def _typed(text: str) -> dict[str, str] | None:
    """`opc.tcp://192.168.1.20:4840`."""
    return {"url": text} if text.startswith("opc.tcp://") else None


async def _diagnose(
    devices: Mapping[str, OpcUaDevice], bad: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Fault]]:
    from adapters.opcua.service.diagnose import diagnose

    return {name: await diagnose(device, bad[name]) for name, device in devices.items()}


async def _round_trip_s(device: OpcUaDevice) -> float | None:
    from adapters.opcua.service.diagnose import round_trip_s

    return await round_trip_s(device)


def _plan(devices: Mapping[str, OpcUaDevice], _answer_s: float) -> list[ServerPlan]:
    return [
        ServerPlan(
            name,
            device.url,
            device.mode,
            len(device.tags),
            min(map(device.period_s, device.tags)),
            -(-len(device.tags) // device.max_nodes_per_request),
            "OPC UA",
        )
        for name, device in devices.items()
    ]


async def _browse(
    url: str,
    settings: Mapping[str, str],
    files: PurePath,
    walk: Walk,
    login: Login | None,
    on_progress: Callable[[int], None],
) -> Browsed:
    from adapters.opcua.service.browse import browse

    return await browse(url, settings, files, walk, login, on_progress)


KIND = DeviceKind[OpcUaDevice](
    name="opcua",
    rank=3,
    model=OpcUaDevice,
    tag=OpcUaTag,
    example=_example,
    open_devices=_open,
    typed=_typed,
    typed_example="opc.tcp://192.168.1.20:4840",
    diagnose=_diagnose,
    round_trip_s=_round_trip_s,
    plan=_plan,
    port=4840,
    next_command=lambda host, port: f"nhip browse opc.tcp://{host}:{port}",
    tags_message="tag_opcua",
    browser=_browse,
)
