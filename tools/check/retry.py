"""Diagnoses bad tags and measures devices that are not polled, by the kinds of the devices."""

import asyncio
from collections.abc import Mapping, Sequence

from adapters.faults import Fault
from adapters.kinds import kind
from config.devices.kinds import Device


async def diagnose(devices: Mapping[str, Device], bad: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Fault]]:
    """For each device, and each of its tags in `bad`, why it is bad. Devices on one line are diagnosed one after the other."""
    sharing: dict[tuple[str, str, str], dict[str, Device]] = {}
    for name, device in devices.items():
        if bad.get(name):
            alone = "" if device.line else name
            sharing.setdefault((device.kind, device.line, alone), {})[name] = device
    groups = await asyncio.gather(
        *(ask(group, bad) for (name, _, _), group in sharing.items() if (ask := kind(name).diagnose) is not None)
    )
    return {name: notes for group in groups for name, notes in group.items()}


async def round_trips_s(devices: Mapping[str, Device]) -> dict[str, float | None]:
    """How long one read of all tags takes of each device that is not polled [s]; None where it cannot be read."""

    async def measure(name: str, device: Device) -> tuple[str, float | None]:
        round_trip_s = kind(device.kind).round_trip_s
        return name, await round_trip_s(device) if round_trip_s is not None else None

    return dict(await asyncio.gather(*(measure(*item) for item in devices.items() if not item[1].is_polled)))
