"""Which hosts of a private network listen on the ports of device servers."""

import asyncio
import ipaddress
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

MOST_ADDRESSES = 256
"""A /24: larger networks belong to an IT department."""
PRIVATE = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8"))


class NotAllowed(Exception):
    """A network that is not scanned. code: `not_a_network`, `not_private` or `too_large`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class OpenPort:
    """A port that accepted a connection; nothing was sent to it."""

    host: str
    port: int


def targets(cidr: str) -> tuple[str, ...]:
    """The addresses of a loopback or private IPv4 network of at most 256. Raises `NotAllowed`."""
    try:
        network = ipaddress.IPv4Network(cidr, strict=False)
    except ValueError as error:
        raise NotAllowed("not_a_network") from error
    if not any(network.subnet_of(private) for private in PRIVATE if isinstance(private, ipaddress.IPv4Network)):
        raise NotAllowed("not_private")
    if network.num_addresses > MOST_ADDRESSES:
        raise NotAllowed("too_large")
    return tuple(map(str, network.hosts()))


async def open_ports(
    hosts: Sequence[str], ports: Sequence[int], per_s: float, timeout_s: float, progress: Callable[[int], None]
) -> list[OpenPort]:
    """Opens and closes one connection to each port of each host, `per_s` a second; returns the ports that accepted.
    Cancelled, it returns those that have."""
    accepted: list[OpenPort] = []
    with suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            for number, host in enumerate(hosts):
                for port in ports:
                    group.create_task(_probe(host, port, timeout_s, accepted))
                    await asyncio.sleep(1 / per_s)
                progress(number + 1)
    return sorted(accepted, key=lambda item: (ipaddress.ip_address(item.host), item.port))


async def _probe(host: str, port: int, timeout_s: float, accepted: list[OpenPort]) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return
    writer.transport.abort()
    accepted.append(OpenPort(host, port))
