"""Why an OPC UA server or its nodes cannot be read, as faults of the message catalogue."""

import asyncio
from collections.abc import Sequence

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds

from adapters.connection_faults import connection_fault
from adapters.contract import DeviceMisconfigured, Fault, NotConnected
from adapters.opcua.model import OpcUaDevice
from adapters.opcua.nodes import node_id
from adapters.opcua.selection.tag_values import TagValues
from adapters.opcua.service.session import read, session
from oee.model.states import Quality


async def round_trip_s(device: OpcUaDevice) -> float | None:
    """How long one read of all tags takes [s]; None if they cannot be read."""
    try:
        async with session(device) as opened:
            nodes = [node_id(tag.node, opened.namespaces) for tag in device.tags.values()]
            began_s = asyncio.get_running_loop().time()
            await read(opened, [node for node in nodes if node is not None], AttributeIds.Value)
            return asyncio.get_running_loop().time() - began_s
    except (NotConnected, DeviceMisconfigured):
        return None


async def diagnose(device: OpcUaDevice, tags: Sequence[str]) -> dict[str, Fault]:
    """Why each of these tags is bad."""
    faults: dict[str, Fault] = {}
    try:
        async with session(device) as opened:
            values = TagValues(opened.client.uaclient.session, device.tags)
            await values.resolve((), opened.namespaces)
            nodes_by_tag = {name: node_id(device.tags[name].node, opened.namespaces) for name in tags}
            faults |= {name: Fault("no_namespace", values={"node": device.tags[name].node})
                      for name, node in nodes_by_tag.items() if node is None}  # fmt: skip
            nodes = {name: node for name, node in nodes_by_tag.items() if node is not None}
            answers = dict(zip(nodes, await read(opened, list(nodes.values()), AttributeIds.Value), strict=True))
            await values.learn(answers.items(), to_explain=True)
            found = {name: _fault(name, device, data, values) for name, data in answers.items()}
            faults |= {name: fault for name, fault in found.items() if fault is not None}
    except (NotConnected, DeviceMisconfigured) as error:
        fault = connection_fault(error)
        faults |= {name: fault for name in tags if name not in faults}
    return faults


def _fault(name: str, device: OpcUaDevice, data: ua.DataValue, values: TagValues) -> Fault | None:
    """Why this answer to a tag is no value."""
    status = data.StatusCode.name if data.StatusCode is not None else "Good"
    tag = device.tags[name]
    if status in {"BadNodeIdUnknown", "BadNodeIdInvalid"}:
        return Fault("no_node", values={"node": tag.node})
    if values.value(name, data)[1] is not Quality.BAD:
        return None
    kind = data.Value.VariantType.name if data.Value is not None else "—"
    if status != "Good":
        return Fault("bad_status", values={"status": status, "type": kind})
    failure = values.failure(name, data)
    if failure is not None:
        index, path = ", ".join(map(str, tag.position)), ".".join(tag.path)
        return Fault(failure.code, values={"index": index, "field": path, "found": failure.found})
    return Fault("byte_string" if kind == "ByteString" else "no_single_value", values={"status": status, "type": kind})
