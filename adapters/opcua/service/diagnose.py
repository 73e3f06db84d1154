"""Why an OPC UA server or its nodes cannot be read, as faults of the message catalogue."""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaStatusCodeError

from adapters.connection_faults import connection_fault
from adapters.contract import DeviceMisconfigured, Fault, NotConnected
from adapters.opcua.model import OpcUaDevice
from adapters.opcua.nodes import node_id
from adapters.opcua.service.session import read, session
from adapters.opcua.values import value_of
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
            nodes_by_tag = {name: node_id(device.tags[name].node, opened.namespaces) for name in tags}
            faults |= {name: Fault("no_namespace", values={"node": device.tags[name].node})
                      for name, node in nodes_by_tag.items() if node is None}  # fmt: skip
            nodes = {name: node for name, node in nodes_by_tag.items() if node is not None}
            for name, data in zip(nodes, await read(opened, list(nodes.values()), AttributeIds.Value), strict=True):
                status = data.StatusCode.name if data.StatusCode is not None else "Good"
                if status in {"BadNodeIdUnknown", "BadNodeIdInvalid"}:
                    faults[name] = Fault("no_node", values={"node": device.tags[name].node})
                elif value_of(data, opened.namespaces)[1] is Quality.BAD:
                    kind = data.Value.VariantType.name if data.Value is not None else "—"
                    code = "bad_status"
                    if status == "Good":
                        code = "byte_string" if kind == "ByteString" else "no_single_value"
                    faults[name] = Fault(code, values={"status": status, "type": kind})
    except (NotConnected, DeviceMisconfigured) as error:
        fault = connection_fault(error, fault_of)
        faults |= {name: fault for name in tags if name not in faults}
    return faults
