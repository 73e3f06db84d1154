"""What a service tells its manager: that it is ready, that it is alive, that it stops. Without systemd nothing is told.

The protocol of sd_notify(3): one datagram each. Written by hand: the usual library is no longer kept, systemd's own needs a compiler.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping
from typing import Final

_LOG: Final = logging.getLogger("nhip")
_SIGNS_OF_LIFE: Final = 3
"""How many are sent in the time that the manager waits for one."""


def tell(state: str, environment: Mapping[str, str] = os.environ) -> None:
    """Sends `READY=1`, `WATCHDOG=1` or `STOPPING=1`. A manager that does not listen is logged: it will draw its own conclusion."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            sender.sendto(state.encode(), f"\0{address[1:]}" if address.startswith("@") else address)
    except OSError as error:
        _LOG.warning("service manager not told state=%s why=%r", state, str(error))


def sign_of_life_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """How often to tell that this process is alive [s]; None if nobody waits for it."""
    microseconds, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or process not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1e6 / _SIGNS_OF_LIFE


async def keep_telling(period_s: float) -> None:
    """Tells until it is cancelled that this event loop turns."""
    while True:
        tell("WATCHDOG=1")
        await asyncio.sleep(period_s)
