"""The latest `live` and `status` of each gateway, in memory only. Never a source of facts."""

import threading
from dataclasses import dataclass, replace
from typing import Final

from center.runtime.boxes import Boxes
from wire.bodies import Live, Status

MAX_GATEWAYS: Final = 10_000
SILENT_AFTER_NS: Final = 90_000_000_000
"""Three times the longest interval between two `live` messages of a gateway."""


@dataclass(frozen=True)
class Picture:
    """A gateway's last messages, and when the center received them (center's time [ns UTC]). unreadable_ns: the
    last that this center could not read; waiting_ns: since when each status said that envelopes wait, 0 if the last one said
    that none does; boxes: those that connect as this gateway.
    """

    live: Live | None = None
    live_ns: int = 0
    status: Status | None = None
    status_ns: int = 0
    unreadable_ns: int = 0
    waiting_ns: int = 0
    boxes: Boxes = Boxes()

    def online(self, now_ns: int) -> bool:
        """Whether the gateway is connected and sending: a retained status alone proves nothing."""
        declared = self.status is None or self.status.online
        return declared and now_ns - max(self.live_ns, self.status_ns) < SILENT_AFTER_NS

    def unreadable(self, now_ns: int) -> bool:
        """Whether the gateway sends messages that this center cannot read: it is of a newer version."""
        return bool(self.unreadable_ns) and now_ns - self.unreadable_ns < SILENT_AFTER_NS


class Pictures:
    """The latest picture of every gateway."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pictures: dict[tuple[str, str], Picture] = {}

    def get(self, site: str, gateway: str) -> Picture:
        """The gateway's picture, an empty one if nothing was received."""
        return self._pictures.get((site, gateway), Picture())

    def record_live(self, site: str, gateway: str, live: Live, now_ns: int) -> None:
        """Records a `live` message."""
        self._put(site, gateway, live=live, live_ns=now_ns)

    def record_status(self, site: str, gateway: str, status: Status, now_ns: int, *, kept: bool = False) -> None:
        """Records a `status` message. kept: the broker kept it, so it may be old."""
        before = self.get(site, gateway)
        boxes, waiting_ns = before.boxes, (before.waiting_ns or now_ns) if status.waiting else 0
        if not kept:
            boxes = boxes.heard(frozenset(status.marks), now_ns)
        self._put(site, gateway, status=status, status_ns=now_ns, waiting_ns=waiting_ns, boxes=boxes)

    def record_unreadable(self, site: str, gateway: str, now_ns: int) -> None:
        """Records that a message could not be read."""
        self._put(site, gateway, unreadable_ns=now_ns)

    def record_heard(self, site: str, gateway: str) -> None:
        """Records that something came of a gateway, though nothing that tells its state."""
        self._put(site, gateway)

    def gateways(self, site: str) -> list[str]:
        """The gateways of a site that sent anything."""
        return sorted(gateway for owner, gateway in list(self._pictures) if owner == site)

    def sites(self) -> list[str]:
        """The sites with a gateway that sent anything."""
        return sorted({site for site, _ in list(self._pictures)})

    def _put(self, site: str, gateway: str, **changes: object) -> None:
        with self._lock:
            if (site, gateway) in self._pictures or len(self._pictures) < MAX_GATEWAYS:
                self._pictures[site, gateway] = replace(self.get(site, gateway), **changes)  # type: ignore[arg-type]
