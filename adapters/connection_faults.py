"""Why a device cannot be reached, as a fault of the message catalogue: by its kind's explanation, else by the operating
system's error.
"""

import asyncio
import errno
import re
import socket
from collections.abc import Callable, Mapping
from typing import Final

from adapters.contract import DeviceMisconfigured, Fault, NotConnected

_ERRNO: Final[Mapping[int, str]] = {
    errno.ECONNREFUSED: "port_closed",
    errno.EHOSTUNREACH: "host_unreachable",
    errno.ENETUNREACH: "host_unreachable",
    errno.EHOSTDOWN: "host_unreachable",
    errno.ETIMEDOUT: "connect_timeout",
    errno.ECONNRESET: "closed_by_peer",
    errno.EPIPE: "closed_by_peer",
}


def connection_fault(error: Exception, explain: Callable[[Exception], Fault | None]) -> Fault:
    """The fault behind an error that an adapter raised. explain: that of its kind, see `contract.DeviceKind`."""
    explained = explain(error)
    if explained is not None:
        return explained
    if isinstance(error, TimeoutError):
        return Fault("unit_silent")
    return Fault(_code(error), detail=str(error))


def _code(error: Exception) -> str:
    cause, text = error.__cause__, str(error)
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
    return "device_misconfigured" if isinstance(error, DeviceMisconfigured) else "connection_failed"


def _errno_in(text: str) -> int:
    """The first errno in a text: asyncio joins several attempts into one error that keeps only their texts."""
    match = re.search(r"\[Errno (\d+)\]", text)
    return int(match[1]) if match else 0
