"""Where requests come from, as far as limits are concerned. Pure."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

_OF_ONE: Final = 64
"""An IPv6 subscriber has a /64 at least, so its 2^64 addresses are one source (RFC 6177, RIPE-690)."""


def source_of(address: str) -> str:
    """The address of IPv4, the /64 of an IPv6 address; other texts as they are.

    >>> source_of("192.0.2.7"), source_of("2001:db8::7"), source_of("::ffff:192.0.2.7"), source_of("")
    ('192.0.2.7', '2001:db8::/64', '192.0.2.7', '')
    """
    try:
        known = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, IPv6Address):
        mapped = known.ipv4_mapped
        return str(mapped) if mapped else str(ip_network((known, _OF_ONE), strict=False))
    return str(known)
