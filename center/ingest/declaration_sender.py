"""Declarations on their way to the gateways: one retained message for each, until every one in it is echoed."""

import threading
import time
from collections.abc import Callable
from itertools import islice
from typing import Final

from sqlalchemy import Engine

from center.contract.store import StoreUnavailable
from center.database import declarations
from center.database.declarations import DeclarationRecord
from oee.model.declarations import Declaration
from wire.bodies import Status
from wire.declare import MOST, Declare, encode_declare
from wire.topics import topic

_AGAIN_S: Final = 60.0


class DeclarationSender:
    """Publishes what is to be heard, and hears what became of it. Any thread may call it."""

    def __init__(self, engine: Engine, publish: Callable[[str, bytes], None], now_ns: Callable[[], int]) -> None:
        """publish: retained, at QoS 1; dropped without a connection, since `everybody` follows when there is one."""
        self.engine = engine
        self._publish, self._now_ns = publish, now_ns
        self._waiting: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def say(self, site: str, gateway: str, item: Declaration) -> DeclarationRecord:
        """Keeps a declaration and sends it. Raises `StoreUnavailable`: then it was not kept."""
        kept = declarations.add(self.engine, site, gateway, item)
        self._send(site, gateway)
        return kept

    def everybody(self) -> None:
        """Sends to every gateway that owes an echo: the broker may have lost its retained messages."""
        try:
            for site, gateway in declarations.waiting_gateways(self.engine):
                self._send(site, gateway)
        except StoreUnavailable:
            return  # the next status or connection brings it up again

    def heard(self, site: str, gateway: str, status: Status) -> None:
        """A gateway's status: outcomes are kept and leave the message; what it does not know is sent again."""
        try:
            echoes = dict(islice(status.declared.items(), MOST))  # a gateway that follows the rules has no more
            news = echoes and declarations.decide(self.engine, site, gateway, echoes, self._now_ns())
            with self._lock:
                sent_s = self._waiting.get((site, gateway))
            if news or (sent_s is not None and status.online and time.monotonic() - sent_s > _AGAIN_S):
                self._send(site, gateway)
        except StoreUnavailable:
            return  # the gateway goes on echoing

    def _send(self, site: str, gateway: str) -> None:
        rows = declarations.unheard(self.engine, site, gateway)
        with self._lock:
            if rows:
                self._waiting[site, gateway] = time.monotonic()
            else:
                self._waiting.pop((site, gateway), None)
        self._publish(topic(site, gateway, "declare"), encode_declare(Declare(at_ns=self._now_ns(), declarations=rows)))
