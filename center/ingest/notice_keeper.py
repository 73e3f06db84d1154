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

    def new_of(self, site: str, gateway: str, status: Status) -> int:
        """How many of a status' notices were not in the one before."""
        return len({item.id for item in status.notices}.difference(self.noted(site, gateway)))

    def record_status(self, site: str, gateway: str, status: Status) -> bool:
        """Stores a status' notices; whether the gateway is to be told. What the database refuses now comes again."""
        try:
            ids = self._stored_of(site, gateway, status)
        except StoreUnavailable:
            return False
        with self._lock:
            if (site, gateway) in self._stored or len(self._stored) < _MOST_GATEWAYS:
                self._stored[site, gateway] = ids
        return bool(ids)

    def _stored_of(self, site: str, gateway: str, status: Status) -> list[str]:
        """The ids of the notices, all stored; a status that repeats the one before asks no database."""
        if not self.new_of(site, gateway, status):
            return [item.id for item in status.notices]
        return store_notices(self.engine, site, gateway, status.notices)

    def noted(self, site: str, gateway: str) -> list[str]:
        """The ids of the notices in the gateway's latest status, all stored."""
        with self._lock:
            return self._stored.get((site, gateway), [])
