"""Walks the folders: each with an `adapter.py` is a device kind, and owes the same."""

import asyncio
import importlib
import inspect
import socket
import time
from pathlib import Path

import pytest
from pydantic import TypeAdapter

import adapters
from adapters.contract import NotConnected
from config.devices.kinds import DEVICE_KINDS, Device

KINDS = sorted(path.parent.name for path in Path(adapters.__file__).parent.glob("*/adapter.py"))


def example(kind, port):
    """A device at that port of this machine; a serial one at a path that ends in 127.0.0.1 and the port."""
    own = {
        "opcua": {"url": f"opc.tcp://127.0.0.1:{port}/", "tags": {"t": {"node": "i=2258"}}},
        "modbus_tcp": {"host": "127.0.0.1", "port": port, "tags": {"t": {"holding": 0}}},
        "modbus_rtu": {"port": f"/dev/serial/by-id/127.0.0.1-{port}", "tags": {"t": {"holding": 0}}},
    }
    return TypeAdapter(Device).validate_python({"kind": kind, "every": "250ms", "timeout": "300ms"} | own[kind])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_every_kind_has_its_file_and_its_model():
    assert sorted(DEVICE_KINDS) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_protocol_owes(kind):
    module = importlib.import_module(f"adapters.{kind}.adapter")
    device = example(kind, 1)
    adapter = module.open_device(device, time.time_ns)
    assert adapter.period_s == 0.25
    for name in ("connect", "read", "close"):
        assert inspect.iscoroutinefunction(getattr(adapter, name))
    several = module.open_devices({"a": device, "b": device}, time.time_ns)
    assert list(several) == ["a", "b"]


@pytest.mark.parametrize("kind", KINDS)
async def test_nobody_there_is_not_connected_and_leaves_nothing(kind):
    adapter = importlib.import_module(f"adapters.{kind}.adapter").open_device(example(kind, free_port()), time.time_ns)
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


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"modbus_rtu"}))  # a line has no socket to leave to others
async def test_a_peer_that_accepts_and_says_nothing_is_treated_gently(kind):
    async def mute(reader, writer):
        while await reader.read(1000):
            pass
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    adapter = importlib.import_module(f"adapters.{kind}.adapter").open_device(example(kind, port), time.time_ns)
    with pytest.raises(NotConnected) as caught:
        await adapter.connect()
        await adapter.read()
    assert caught.value.gentle
    await adapter.close()
    server.close()
