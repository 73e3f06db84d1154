"""The latest picture of every gateway, in memory only: what `live` and `status` said last. Never counted."""

import threading
from dataclasses import dataclass, replace
from typing import Final

from wire.bodies import Live, Status

MAX_GATEWAYS: Final = 10_000
SILENT_AFTER_NS: Final = 90_000_000_000
"""Three times the longest pause that a gateway allows itself between two `live` messages."""


@dataclass(frozen=True)
class Picture:
    """What one gateway said last, and when the center heard it (center's time [ns UTC])."""

    live: Live | None = None
    live_ns: int = 0
    status: Status | None = None
    status_ns: int = 0

    def online(self, now_ns: int) -> bool:
        """Whether the gateway is connected and talking: a retained status alone proves nothing."""
        said = self.status is None or self.status.online
        return said and now_ns - max(self.live_ns, self.status_ns) < SILENT_AFTER_NS


class Pictures:
    """The latest picture of every gateway."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str], Picture] = {}

    def get(self, site: str, gateway: str) -> Picture:
        """The gateway's picture, an empty one if it never spoke."""
        return self._held.get((site, gateway), Picture())

    def hear_live(self, site: str, gateway: str, live: Live, now_ns: int) -> None:
        """Keeps a `live` message."""
        self._put(site, gateway, live=live, live_ns=now_ns)

    def hear_status(self, site: str, gateway: str, status: Status, now_ns: int) -> None:
        """Keeps a `status` message."""
        self._put(site, gateway, status=status, status_ns=now_ns)

    def gateways(self, site: str) -> list[str]:
        """The gateways of a site that spoke."""
        return sorted(gateway for owner, gateway in list(self._held) if owner == site)

    def sites(self) -> list[str]:
        """The sites of which any gateway spoke."""
        return sorted({site for site, _ in list(self._held)})

    def _put(self, site: str, gateway: str, **said: object) -> None:
        with self._lock:
            if (site, gateway) in self._held or len(self._held) < MAX_GATEWAYS:
                self._held[site, gateway] = replace(self.get(site, gateway), **said)  # type: ignore[arg-type]
