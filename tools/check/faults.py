"""What is wrong with a device or a tag, as codes of the message catalogue. Pure.

`fault.<code>` says what was seen, `fault.<code>.causes` what usually causes it, the likeliest first, and
`fault.<code>.look` what to look at in the cabinet. Adapters say in English what happened; which code that is follows
from the error that made them say so.
"""

import asyncio
import errno
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from adapters.contract import Misconfigured, NotConnected
from adapters.modbus.bus.frames_tcp import Garbled, Refused
from words import say

Severity = Literal["fail", "warn"]

_ERRNO: Final[Mapping[int, str]] = {
    errno.ECONNREFUSED: "port_closed",
    errno.EHOSTUNREACH: "host_unreachable",
    errno.ENETUNREACH: "host_unreachable",
    errno.EHOSTDOWN: "host_unreachable",
    errno.ETIMEDOUT: "connect_timeout",
    errno.ECONNRESET: "closed_by_peer",
    errno.EPIPE: "closed_by_peer",
}
_EXCEPTION: Final[Mapping[int, str]] = {
    0: "wrong_length",
    1: "illegal_function",
    2: "illegal_address",
    3: "illegal_value",
    4: "device_failure",
    5: "device_busy",
    6: "device_busy",
    10: "gateway_no_path",
    11: "gateway_no_answer",
}
_STATUS: Final[tuple[tuple[str, str], ...]] = (
    (r"Bad(UserAccessDenied|IdentityToken\w+)", "opcua_user"),
    (r"BadSecurityChecksFailed|BadCertificate\w*", "opcua_certificate"),
    (r"BadSecurity(Policy|Mode)\w*", "opcua_security"),
    (r"BadTooManySessions|BadMaxConnections\w*|BadTcpServerTooBusy", "opcua_crowded"),
)
_OPCUA_TEXT: Final[tuple[tuple[str, str], ...]] = (
    (r"does not offer this security", "opcua_security"),
    (r"another certificate|certificate or key", "opcua_certificate"),
    (r"accepts connections but does not answer", "opcua_silent"),
    (r"no connection; is it on", "connect_timeout"),
    (r"subscription", "opcua_subscription"),
)
_SERIAL_TEXT: Final[tuple[tuple[str, str], ...]] = (
    (r"another Modbus master", "other_master"),
    (r"something else talks|never quiet", "line_noise"),
    (r"no such port", "no_serial_port"),
    (r"no permission; add the user", "serial_forbidden"),
    (r"another program uses this port", "serial_busy"),
    (r"write `echo: true`|remove `echo`", "serial_echo"),
    (r"cannot do \d+ baud", "serial_settings"),
    (r"asked again in \d+ s", "unit_silent"),
)


@dataclass(frozen=True)
class Fault:
    """One thing wrong. values: for the placeholders of its sentences; detail: what the peer or the adapter said."""

    code: str
    severity: Severity = "fail"
    values: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return {"code": self.code, "severity": self.severity, "values": dict(self.values), "detail": self.detail}


def sentence(fault: Fault, lang: str) -> str:
    """What was seen."""
    return say(f"fault.{fault.code}", lang, **fault.values)


def causes(fault: Fault, lang: str) -> str:
    """What usually causes it, the likeliest first."""
    return say(f"fault.{fault.code}.causes", lang, **fault.values)


def look(fault: Fault, lang: str) -> str:
    """What to look at."""
    return say(f"fault.{fault.code}.look", lang, **fault.values)


def told(fault: Fault, lang: str) -> str:
    """All of it, a line each."""
    lines = [sentence(fault, lang) + (f" [{fault.detail}]" if fault.detail else "")]
    lines.append(f"  {say('fault.heading.causes', lang)}: {causes(fault, lang)}")
    lines.append(f"  {say('fault.heading.look', lang)}: {look(fault, lang)}")
    return "\n".join(lines)


def refusal(code: int) -> Fault:
    """A Modbus exception as a fault of the tag that was asked for."""
    return Fault(_EXCEPTION.get(code, "device_failure"), values={"code": str(code)})


def fault_of(error: Exception) -> Fault:
    """Why a device cannot be read."""
    if isinstance(error, Refused):
        return Fault(**{**refusal(error.code).__dict__, "detail": str(error)})
    if isinstance(error, TimeoutError):
        return Fault("unit_silent")
    return Fault(_code(error), detail=str(error))


def _code(error: Exception) -> str:
    cause, text = error.__cause__, str(error)
    status = next((code for pattern, code in _STATUS if re.search(pattern, text)), "")
    if status:
        return status
    if "opc.tcp://" in text:
        named = next((code for pattern, code in _OPCUA_TEXT if re.search(pattern, text)), "")
        if named:
            return named
    serial = next((code for pattern, code in _SERIAL_TEXT if re.search(pattern, text)), "")
    if serial:
        return serial
    if isinstance(cause, Refused):
        return _EXCEPTION.get(cause.code, "device_failure")
    if isinstance(cause, Garbled):
        return "not_modbus"
    if isinstance(cause, socket.gaierror):
        return "no_such_host"
    if isinstance(cause, TimeoutError):
        return "connect_timeout"
    if isinstance(cause, asyncio.IncompleteReadError):
        return "closed_by_peer"
    if isinstance(cause, OSError):
        return _ERRNO.get(cause.errno or 0, _ERRNO.get(_errno_in(text), "connection_failed"))
    if isinstance(error, NotConnected) and "did not answer" in text:
        return "unit_silent"
    return "device_misconfigured" if isinstance(error, Misconfigured) else "connection_failed"


def _errno_in(text: str) -> int:
    """Asyncio puts several attempts into one error whose number is lost but whose text is not."""
    match = re.search(r"\[Errno (\d+)\]", text)
    return int(match[1]) if match else 0
