"""Why an OPC UA server or its nodes cannot be read, as faults of the message catalogue."""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaStatusCodeError

from adapters.connection_faults import connection_fault
from adapters.contract import DeviceMisconfigured, Fault, NotConnected
from adapters.opcua.model import OpcUaDevice
from adapters.opcua.nodes import node_id
from adapters.opcua.selection.tag_values import TagValues
from adapters.opcua.service.session import read, session
from oee.model.states import Quality

_STATUS: Final[tuple[tuple[str, str], ...]] = (
    (r"Bad(UserAccessDenied|IdentityToken\w+)", "opcua_user"),
    (r"BadCertificate\w*TimeInvalid", "opcua_certificate_time"),
    (r"BadCertificateUntrusted|BadSecurityChecksFailed", "opcua_untrusted"),
    (r"BadCertificate\w*", "opcua_certificate"),
    (r"BadSecurity(Policy|Mode)\w*", "opcua_security"),
    (r"BadTooManySessions|BadMaxConnections\w*|BadTcpServerTooBusy", "opcua_crowded"),
)
_TEXT: Final[tuple[tuple[str, str], ...]] = (
    (r"does not offer this security", "opcua_security"),
    (r"lists no endpoint", "opcua_no_endpoint"),
    (r"our certificate .* is valid from", "opcua_certificate_expired"),
    (r"another certificate|certificate or key", "opcua_certificate"),
    (r"accepts connections but does not answer", "opcua_silent"),
    (r"no connection; is it on", "connect_timeout"),
    (r"subscription", "opcua_subscription"),
)


def fault_of(error: Exception) -> Fault | None:
    """Why a server cannot be read; None for errors of the operating system."""
    text = str(error)
    patterns = (*_STATUS, *_TEXT) if "opc.tcp://" in text else _STATUS
    code = next((code for pattern, code in patterns if re.search(pattern, text)), "")
    if not code and isinstance(error.__cause__, UaStatusCodeError):
        return Fault("opcua_refused", values={"status": type(error.__cause__).__name__}, detail=text)
    return Fault(code, detail=text) if code else None


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
        fault = connection_fault(error, fault_of)
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
