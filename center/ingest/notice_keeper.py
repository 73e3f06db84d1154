"""Keeps the notices that gateways send with their status, and says which are stored: the receipt echoes them."""

import threading
from typing import Final

from sqlalchemy import Engine

from center.contract.store import StoreUnavailable
from center.database.notices import store_notices
from wire.bodies import Status

_MOST_GATEWAYS: Final = 10_000


class NoticeKeeper:
    """Any thread may call it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._stored: dict[tuple[str, str], list[str]] = {}
        self._lock = threading.Lock()

    def record_status(self, site: str, gateway: str, status: Status) -> bool:
        """Stores a status' notices; whether the gateway is to be told. What the database refuses now comes again."""
        try:
            ids = store_notices(self.engine, site, gateway, status.notices) if status.notices else []
        except StoreUnavailable:
            return False
        with self._lock:
            if (site, gateway) in self._stored or len(self._stored) < _MOST_GATEWAYS:
                self._stored[site, gateway] = ids
        return bool(ids)

    def noted(self, site: str, gateway: str) -> list[str]:
        """The ids of the notices in the gateway's latest status, all stored."""
        with self._lock:
            return self._stored.get((site, gateway), [])
