"""Who may use the page. Pure: it is given the time.

The PIN's digest, keyed with a secret of this gateway, is the cookie: it holds across restarts, and another PIN ends it.
"""

import hmac
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

COOKIE: Final = "nhip_andon"
HEADER: Final = "x-nhip-andon"
"""Every change carries it: a form of another page cannot send it."""
_FREE_TRIES: Final = 5
_REFILL_S: Final = 60.0
"""One more try each minute, up to five at once."""
_MOST_ADDRESSES: Final = 1000


@dataclass
class PinGuard:
    """Checks PINs, and how fast they are tried: by address, and by all addresses together.

    pin: "" where nobody is asked; secret: random, of this gateway.
    """

    pin: str
    secret: bytes
    _tries: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def cookie(self) -> str:
        """What a browser with the right PIN keeps."""
        return hmac.digest(self.secret, f"andon {self.pin}".encode(), "sha256").hex()

    def knows(self, cookie: str) -> bool:
        """Whether a browser may go on."""
        return not self.pin or hmac.compare_digest(cookie.encode(), self.cookie.encode())

    def wait_s(self, address: str, now_s: float) -> float:
        """How long this address has to wait before it may try again [s]."""
        return max(self._missing(key, now_s) for key in (address, ""))

    def check(self, pin: str, address: str, now_s: float) -> bool:
        """Whether a PIN is right; to be called only after the wait. A wrong one counts."""
        if hmac.compare_digest(pin.encode(), self.pin.encode()):
            self._tries.pop(address, None)
            return True
        for key, share in ((address, 1.0), ("", 0.25)):  # all addresses together have four times as many
            left, at_s = self._left(key, now_s), now_s
            if key in self._tries or len(self._tries) < _MOST_ADDRESSES:
                self._tries[key] = (left - share, at_s)
        return False

    def _left(self, key: str, now_s: float) -> float:
        left, at_s = self._tries.get(key, (float(_FREE_TRIES), now_s))
        return min(left + (now_s - at_s) / _REFILL_S, float(_FREE_TRIES))

    def _missing(self, key: str, now_s: float) -> float:
        return max(1.0 - self._left(key, now_s), 0.0) * _REFILL_S


def is_near(address: str) -> bool:
    """Whether a client is on this computer or in a private network: the page is not for the internet."""
    try:
        peer = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = peer.ipv4_mapped if isinstance(peer, ipaddress.IPv6Address) else None
    return (mapped or peer).is_private or (mapped or peer).is_link_local


def host_fits(host: str, names: Collection[str]) -> bool:
    """Whether a request's `Host` is this gateway: an address, or one of its names. A foreign page that had a name of its
    own point here is refused.
    """
    name = _host(host)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.lower() in {"localhost", *(known.lower() for known in names)}
    return True


def origin_fits(origin: str, host: str) -> bool:
    """Whether a change comes from a page of this gateway; browsers name the origin of every change."""
    return not origin or urlsplit(origin).netloc == host


def _host(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def read_pin(text: str) -> str:
    """The PIN in a file. Raises `ValueError` unless it is 4 to 12 digits."""
    pin = text.strip()
    if not (4 <= len(pin) <= 12 and pin.isascii() and pin.isdecimal()):
        raise ValueError("a PIN is 4 to 12 digits")
    return pin
