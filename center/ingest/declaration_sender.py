"""Sends declarations to gateways: one retained message for each gateway, until all in it are echoed."""

import threading
import time
from collections.abc import Callable, Sequence
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

_RESEND_S: Final = 60.0


class DeclarationSender:
    """Publishes declarations and records their outcomes. Any thread may call it."""

    def __init__(
        self,
        engine: Engine,
        publish: Callable[[str, bytes], None],
        now_ns: Callable[[], int],
        fits: Callable[[str, int], bool] = lambda _topic, _size: True,
    ) -> None:
        """publish: retained, at QoS 1; dropped without a connection, since `send_to_all` follows when there is one; fits:
        whether the broker takes a payload of that size.
        """
        self.engine = engine
        self._publish, self._now_ns, self._fits = publish, now_ns, fits
        self._waiting: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def declare(self, site: str, gateway: str, item: Declaration) -> DeclarationRecord:
        """Stores a declaration and sends it. Raises `StoreUnavailable`: then it was not stored."""
        return self.declare_all(site, gateway, [item])[0]

    def declare_all(self, site: str, gateway: str, items: Sequence[Declaration]) -> list[DeclarationRecord]:
        """Stores declarations, all or none, and sends them. Raises `StoreUnavailable`: then none was stored."""
        records = declarations.insert_declarations(self.engine, site, gateway, items)
        self._send(site, gateway)
        return records

    def send_to_all(self) -> None:
        """Sends to every gateway that owes an echo, since the broker may have lost its retained messages."""
        try:
            for site, gateway in declarations.waiting_gateways(self.engine):
                self._send(site, gateway)
        except StoreUnavailable:
            return  # the next status or connection sends again

    def record_status(self, site: str, gateway: str, status: Status) -> None:
        """Stores the outcomes that a gateway's status reports, and removes them from its message; the others are sent
        again after a while.
        """
        try:
            echoes = dict(islice(status.declared.items(), MOST))  # a well-behaved gateway has no more
            is_new = echoes and declarations.record_outcomes(self.engine, site, gateway, echoes, self._now_ns())
            with self._lock:
                sent_s = self._waiting.get((site, gateway))
            if is_new or (sent_s is not None and status.online and time.monotonic() - sent_s > _RESEND_S):
                self._send(site, gateway)
        except StoreUnavailable:
            return  # the gateway keeps echoing

    def _send(self, site: str, gateway: str) -> None:
        rows = declarations.unanswered(self.engine, site, gateway)
        with self._lock:
            if rows:
                self._waiting[site, gateway] = time.monotonic()
            else:
                self._waiting.pop((site, gateway), None)
        name = topic(site, gateway, "declare")
        message = encode_declare(Declare(at_ns=self._now_ns(), declarations=rows))
        while len(rows) > 1 and not self._fits(name, len(message)):  # the others follow when these are echoed
            rows = rows[: len(rows) // 2]
            message = encode_declare(Declare(at_ns=self._now_ns(), declarations=rows))
        self._publish(name, message)
