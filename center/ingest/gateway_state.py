"""`live` and `status` messages: the current state of a gateway, and the receipts that it reports."""

import threading
import time
from collections.abc import Callable
from typing import Final

from pydantic import ValidationError

from center.contract.ledger import Changes
from center.ingest.boxes import hold_younger
from center.ingest.mqtt import Arrived
from center.ingest.notice_keeper import NoticeKeeper
from center.ingest.receipts import ReceiptSender
from center.runtime.state import CenterState
from wire.bodies import Live, Status
from wire.envelope import Unsound, items_of, unpack_message
from wire.topics import Topic, parse

_MOST_ITEMS: Final = {"live": 40_000, "status": 10_000}
"""Twice what two thousand machines have to show, and three times the longest status."""
_ITEM_BYTES: Final = 50
"""Two thousand machines shown every second use half of a gateway's budget of unpacked bytes."""


class GatewayStateHandler:
    """`record` runs on the MQTT session's thread, `check` on the ingest worker's."""

    def __init__(
        self,
        center: CenterState,
        receipts: ReceiptSender,
        commit: Callable[[Changes], bool],
        on_status: Callable[[str, str, Status], None],
        *,
        settles: bool,
    ) -> None:
        """settles: this process settles envelopes, and so answers with receipts."""
        self._center, self._receipts, self._settles = center, receipts, settles
        self._commit, self._on_status = commit, on_status
        self.notices: NoticeKeeper | None = None
        """Where notices are kept; None where they are not."""
        self._lock = threading.Lock()
        self._unchecked: dict[tuple[str, str], Status] = {}
        """Of each gateway the newest status that the worker has not checked yet: whatever came before it is outdated."""

    def record(self, message: Arrived, where: Topic) -> bool:
        """Records a message; returns whether the worker must check it too. A status that asks for a receipt is answered
        here, because the answer sets the gateway's clock and must not wait for a store.
        """
        now_ns, pictures = self._center.now_ns(), self._center.pictures
        try:
            if where.kind == "live":
                live = Live.model_validate_json(self._unpacked(message, where))
                pictures.record_live(where.site, where.gateway, live, now_ns)
            elif message.payload:
                status = Status.model_validate_json(self._unpacked(message, where))
                pictures.record_status(where.site, where.gateway, status, now_ns, kept=message.kept)
                if self._settles and status.online and status.ask:
                    self._receipts.answer(where.site, where.gateway, now_ns, status.ask)
                with self._lock:
                    self._unchecked[where.site, where.gateway] = status
                return True
        except (ValidationError, Unsound) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            self._center.health.count("malformed_live_or_status")
            pictures.record_unreadable(where.site, where.gateway, now_ns)
            self._center.health.set_note("last_malformed", f"{message.topic}: {reason}")
        return False

    def _unpacked(self, message: Arrived, where: Topic) -> bytes:
        """The JSON of a message, charged to its gateway with what its objects take. Raises `Unsound`."""
        text = unpack_message(message.payload)
        items = items_of(text)
        size = len(text) + items * _ITEM_BYTES
        self._center.budgets.charge_unpacked(where.site, where.gateway, size, time.monotonic())
        if items > _MOST_ITEMS[where.kind]:
            raise Unsound(f"{items} items; at most {_MOST_ITEMS[where.kind]} are read")
        return text

    def record_newer(self, site: str, gateway: str) -> None:
        """Records that a gateway speaks a newer version of the topics."""
        self._center.pictures.record_unreadable(site, gateway, self._center.now_ns())

    def check(self, message: Arrived) -> None:
        """Passes a gateway's newest status on, and compares the receipts that it has with the ledger. Of many that wait, the
        first message stands for all.
        """
        where = parse(message.topic)
        with self._lock:
            status = self._unchecked.pop((where.site, where.gateway), None) if where else None
        if where is None or status is None:
            return
        try:
            self._checked(where, status)
        except BaseException:
            with self._lock:  # tried again, unless a newer one has come
                self._unchecked.setdefault((where.site, where.gateway), status)
            raise

    def _checked(self, where: Topic, status: Status) -> None:
        self._on_status(where.site, where.gateway, status)
        is_noted = self._notes(where, status)
        if self._settles:
            hold_younger(self._center, where.site, where.gateway, self._commit)
            self._receipts.check(where.site, where.gateway, status, self._commit)
            if is_noted:
                self._receipts.send([(where.site, where.gateway)])

    def _notes(self, where: Topic, status: Status) -> bool:
        """Stores a status' notices as far as the gateway may have so many; whether it is to be told."""
        if self.notices is None:
            return False
        new = self.notices.new_of(where.site, where.gateway, status)
        if new and not self._center.budgets.admits_notices(where.site, where.gateway, new, time.monotonic()):
            self._center.health.count("held_back")
            return False
        return self.notices.record_status(where.site, where.gateway, status)
