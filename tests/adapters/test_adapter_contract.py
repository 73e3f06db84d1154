"""Each kind that is found owes what `adapters.contract` says."""

import asyncio
import inspect
import socket
import subprocess
import sys
import time

import pytest
from pydantic import TypeAdapter

from adapters.contract import DeviceKind, Fault, NotConnected
from adapters.kinds import all_kinds
from adapters.planned import LinePlan, ServerPlan
from config import parse_site
from config.devices.device import DeviceModel, TagModel
from config.devices.kinds import DEVICE_KINDS, Device, kind_names
from tools.init.answers import parse_device

KINDS = all_kinds()
NAMES = [kind.name for kind in KINDS]
each = pytest.mark.parametrize("kind", KINDS, ids=NAMES)


def example(kind, port):
    """A device at that port of this machine; a serial one at a path that ends in 127.0.0.1 and the port."""
    settings = {"kind": kind.name, "every": "250ms", **kind.example(port)}
    return TypeAdapter(Device).validate_python(settings)


def opened(kind, port):
    return kind.open_devices({"": example(kind, port)}, time.time_ns)[""]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_every_folder_with_a_face_is_a_kind_of_the_site_file():
    assert list(DEVICE_KINDS) == NAMES
    assert sorted(NAMES) == list(kind_names())
    assert [DEVICE_KINDS[kind.name] for kind in KINDS] == [kind.model for kind in KINDS]


@each
def test_what_a_face_says(kind):
    assert isinstance(kind, DeviceKind)
    assert issubclass(kind.model, DeviceModel)
    assert issubclass(kind.tag, TagModel)
    device = example(kind, 502)
    assert type(device) is kind.model
    assert device.kind == kind.name
    assert all(type(tag) is kind.tag for tag in device.tags.values())
    assert "127.0.0.1" in device.place
    assert {device.address(tag) != "" for tag in device.tags} == {True}
    assert {device.period_s(tag) for tag in device.tags} == {0.25}
    assert all(key in kind.model.model_fields for key in (*device.line_settings(), *kind.model.file_settings))


@each
def test_a_site_with_such_a_device_is_sound(kind):
    settings = {"kind": kind.name, **kind.example(502)}
    site, warnings = parse_site(f"site: x\ntimezone: UTC\ndevices: {{d: {settings}}}\n")
    assert site.devices["d"] == kind.model.model_validate(settings)
    assert not warnings


@each
def test_it_is_planned(kind):
    plans = kind.plan({"d": example(kind, 502)}, 0.02)
    assert plans
    assert all(isinstance(plan, LinePlan | ServerPlan) for plan in plans)


@each
def test_what_is_typed_for_a_place_is_of_this_kind_only_and_makes_a_device(kind):
    assert [other.name for other in KINDS if other.typed(kind.typed_example)] == [kind.name]
    answer = parse_device(f"d={kind.typed_example}")
    assert answer.kind == kind.name
    kind.model.model_validate({"kind": kind.name, **answer.place, "tags": kind.example(502)["tags"]})


@each
def test_what_a_protocol_owes(kind):
    device = example(kind, 1)
    several = kind.open_devices({"b": device, "a": device}, time.time_ns)
    assert list(several) == ["b", "a"]
    for adapter in several.values():
        assert adapter.period_s == 0.25
        for name in ("connect", "read", "close"):
            assert inspect.iscoroutinefunction(getattr(adapter, name))


@each
async def test_nobody_there_is_not_connected_and_leaves_nothing(kind):
    adapter = opened(kind, free_port())
    await adapter.close()
    for _ in range(2):
        with pytest.raises(NotConnected) as caught:
            await adapter.connect()
        assert not caught.value.gentle
        assert "127.0.0.1" in str(caught.value)
        with pytest.raises(NotConnected):
            await adapter.read()
        await adapter.close()
        await adapter.close()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.over_network], ids=lambda kind: kind.name)
async def test_a_peer_that_accepts_and_says_nothing_is_treated_gently(kind):
    async def mute(reader, writer):
        while await reader.read(1000):
            pass
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    adapter = opened(kind, port)
    with pytest.raises(NotConnected) as caught:
        await adapter.connect()
        await adapter.read()
    assert caught.value.gentle
    await adapter.close()
    server.close()


@each
async def test_a_device_that_is_gone_is_a_fault_of_its_tags(kind):
    device = example(kind, free_port())
    if kind.diagnose is not None:
        found = await kind.diagnose({"d": device}, {"d": list(device.tags)})
        assert list(found["d"]) == list(device.tags)
        assert all(isinstance(fault, Fault) for fault in found["d"].values())
    if kind.round_trip_s is not None:
        assert await kind.round_trip_s(device) is None


def test_faces_load_no_protocol():
    code = "import sys, config; print(*sorted({name.split('.')[0] for name in sys.modules} & {'asyncio', 'asyncua', 'serial'}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
