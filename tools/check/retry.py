"""Why a tag was bad: asked again on its own, so that the device's own word is heard."""

import asyncio
from collections.abc import Mapping, Sequence

from asyncua.ua.attribute_ids import AttributeIds

from adapters.contract import Misconfigured, NotConnected
from adapters.modbus.bus.frames_tcp import Refused
from adapters.modbus.service.asker import Asker, Politeness
from adapters.modbus.service.decodings import ORDERS, Block, Decoding, read
from adapters.modbus.service.peers import Peer, open_bus
from adapters.modbus.service.registers import Span
from adapters.modbus.unit import Bus
from adapters.opcua.nodes import node_id
from adapters.opcua.session import read as read_nodes
from adapters.opcua.session import session
from adapters.opcua.values import value_of
from config.devices.kinds import Device
from config.devices.modbus import BIT_TABLES, ModbusRtuDevice, ModbusTag, ModbusTcpDevice
from config.devices.opcua import OpcUaDevice
from oee.model.states import Quality
from tools.check.faults import Fault, fault_of, refusal


async def look_again(devices: Mapping[str, Device], bad: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Fault]]:
    """For each device, and each of its tags in `bad`, why; devices on one line or socket take turns on it."""
    sharing: dict[object, dict[str, Device]] = {}
    for name, device in devices.items():
        if bad.get(name):
            sharing.setdefault(_line(name, device), {})[name] = device
    found = await asyncio.gather(*(_group(group, bad) for group in sharing.values()))
    return {name: notes for group in found for name, notes in group.items()}


def _line(name: str, device: Device) -> object:
    if isinstance(device, ModbusTcpDevice):
        return device.host, device.port
    return device.port if isinstance(device, ModbusRtuDevice) else ("opcua", name)


async def _group(devices: Mapping[str, Device], bad: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Fault]]:
    modbus = {name: device for name, device in devices.items() if not isinstance(device, OpcUaDevice)}
    bus = open_bus(next(iter(modbus.values()))) if modbus else None
    found = {}
    for name, device in devices.items():
        if isinstance(device, OpcUaDevice):
            found[name] = await _opcua(device, list(bad[name]))
        else:
            assert bus is not None  # there is a Modbus device
            found[name] = await _modbus(device, bus, bad[name])
    return found


async def round_trip_s(device: OpcUaDevice) -> float | None:
    """How long one read of all tags takes where they are subscribed and nobody asks [s]; None if it cannot be done."""
    try:
        async with session(device) as opened:
            nodes = [node_id(tag.node, opened.namespaces) for tag in device.tags.values()]
            began_s = asyncio.get_running_loop().time()
            await read_nodes(opened, [node for node in nodes if node is not None], AttributeIds.Value)
            return asyncio.get_running_loop().time() - began_s
    except (NotConnected, Misconfigured):
        return None


async def _modbus(device: Peer, bus: Bus, tags: Sequence[str]) -> dict[str, Fault]:
    asker = Asker(bus, Politeness(device.max_requests_per_s or 5.0, device.timeout))
    found: dict[str, Fault] = {}
    try:
        for name in tags:
            tag = device.tags[name]
            try:
                data = await asker.read(device.unit, tag.table, Span(tag.first(device.base), tag.count))
            except Refused as error:
                found[name] = refusal(error.code)
            except TimeoutError:
                found[name] = Fault("unit_silent")
            else:
                if tag.table not in BIT_TABLES:
                    found[name] = undecodable(tag, data)
    except (NotConnected, Misconfigured) as error:
        fault = fault_of(error)
        found |= {name: fault for name in tags if name not in found}
    finally:
        asker.close()
    return found


def undecodable(tag: ModbusTag, data: bytes) -> Fault:
    """Bytes that are no value of their type, and what they would be in other orders."""
    block = Block(0, data)
    others = []
    for order in ORDERS:
        value = read(Decoding(0, tag.value_type, order, length=tag.length or 0), block)
        if order != tag.order and isinstance(value, int | float) and abs(value) < 1e9:
            others.append(f"{order}: {value:.6g}")
    code = "not_bcd" if tag.value_type.startswith("bcd") else "not_a_number"
    return Fault(code, values={"bytes": data.hex(" "), "others": "; ".join(others) or "—"})


async def _opcua(device: OpcUaDevice, tags: list[str]) -> dict[str, Fault]:
    found: dict[str, Fault] = {}
    try:
        async with session(device) as opened:
            known = {name: node_id(device.tags[name].node, opened.namespaces) for name in tags}
            found |= {name: Fault("no_namespace", values={"node": device.tags[name].node})
                      for name, node in known.items() if node is None}  # fmt: skip
            nodes = {name: node for name, node in known.items() if node is not None}
            for name, data in zip(
                nodes, await read_nodes(opened, list(nodes.values()), AttributeIds.Value), strict=True
            ):
                status = data.StatusCode.name if data.StatusCode is not None else "Good"
                if status in {"BadNodeIdUnknown", "BadNodeIdInvalid"}:
                    found[name] = Fault("no_node", values={"node": device.tags[name].node})
                elif value_of(data)[1] is Quality.BAD:
                    kind = data.Value.VariantType.name if data.Value is not None else "—"
                    code = "no_single_value" if status == "Good" else "bad_status"
                    found[name] = Fault(code, values={"status": status, "type": kind})
    except (NotConnected, Misconfigured) as error:
        fault = fault_of(error)
        found |= {name: fault for name in tags if name not in found}
    return found
