"""Why a device cannot be reached, as a fault of the message catalogue: what its kind says in the error, else what the
operating system says. `nhip check`, the agent's log and the center's pages all take it from here.
"""

import asyncio
import errno
import re
import socket
from collections.abc import Mapping
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


def connection_fault(error: Exception) -> Fault:
    """The fault behind an error that an adapter raised."""
    if isinstance(error, NotConnected | DeviceMisconfigured):
        code = "device_misconfigured" if isinstance(error, DeviceMisconfigured) else os_code(error.__cause__)
        return error.fault or Fault(code, detail=str(error), extent="device")
    if isinstance(error, TimeoutError):
        return Fault("unit_silent", extent="device")
    return Fault(os_code(error), detail=str(error), extent="device")


def os_code(error: BaseException | None) -> str:
    """The code of a fault for an error of the operating system; `connection_failed` for any other."""
    if isinstance(error, socket.gaierror):
        return "no_such_host"
    if isinstance(error, TimeoutError):
        return "connect_timeout"
    if isinstance(error, asyncio.IncompleteReadError):
        return "closed_by_peer"
    if isinstance(error, OSError):
        return _ERRNO.get(error.errno or _errno_of_several(error), "connection_failed")
    return "connection_failed"


def _errno_of_several(error: OSError) -> int:
    """Asyncio joins attempts at several addresses of a host into one error that keeps only their texts."""
    match = re.search(r"\[Errno (\d+)\]", str(error))
    return int(match[1]) if match else 0
