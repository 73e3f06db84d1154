"""Receipts to gateways, and comparison with the receipts that a gateway's status reports."""

import secrets
from collections.abc import Callable, Iterable
from typing import Final

from center.contract.ledger import Changes, new_generation
from center.ingest.peer_sync import PeerSync
from center.ledger.cache import RECEIPT_STREAMS, is_ahead, receipt
from center.runtime.state import CenterState
from wire.bodies import Status
from wire.receipts import encode_receipt
from wire.topics import topic

_NEW_GENERATION_NS: Final = 600_000_000_000
"""At most one new generation in ten minutes: a faulty gateway must not make all others send everything again."""
_MOST_NS: Final = 86_400_000_000_000
"""A gateway that says so again and again is believed twice as rarely each time, in the end once a day."""


class ReceiptSender:
    """`answer` and `reset` are called by the MQTT session's thread, everything else by the ingest worker's."""

    def __init__(
        self,
        center: CenterState,
        peers: PeerSync,
        publish: Callable[[str, bytes], None],
        fits: Callable[[str, int], bool] = lambda _topic, _size: True,
    ) -> None:
        """fits: whether the broker takes a payload of that size."""
        self._center, self._cache, self._peers, self._publish = center, center.ledger_cache, peers, publish
        self._fits = fits
        self._session_id = ""
        self._greeted: set[tuple[str, str]] = set()
        """Gateways that got a receipt since the connection to the broker was made."""
        self._renewed_ns: int | None = None
        self._believed: dict[tuple[str, str], tuple[int, int]] = {}
        """By gateway from when on it is believed again that the ledger was restored, and how long that takes [ns]."""
        self.noted: Callable[[str, str], list[str] | None] = lambda _site, _gateway: None
        """Which notices of a gateway's latest status are stored; None where none are kept."""

    def reset(self) -> None:
        """A new connection to the broker, which may have lost its retained messages."""
        self._session_id = secrets.token_hex(4)
        self._greeted.clear()

    def send(self, gateways: Iterable[tuple[str, str]]) -> None:
        """A receipt to each of these gateways."""
        for site, gateway in sorted(gateways):
            self._greeted.add((site, gateway))
            self.answer(site, gateway, self._center.now_ns(), "")

    def send_to_all(self) -> None:
        """A receipt to each gateway that has a stream."""
        self.send(self._cache.gateways())

    def answer(self, site: str, gateway: str, now_ns: int, ask: str) -> None:
        """A receipt to one gateway, of as many streams as the broker takes. ask: the `ask` of the status that this
        answers.
        """
        name, most = topic(site, gateway, "receipt"), RECEIPT_STREAMS
        boxes = max(1, len(self._center.pictures.get(site, gateway).boxes.rivals(now_ns)))
        more = {"boxes": boxes, "noted": self.noted(site, gateway)}
        full = receipt(self._cache, site, gateway, now_ns, ask, self._session_id).model_copy(update=more)
        message = encode_receipt(full)
        while most > 1 and not self._fits(name, len(message)):
            most //= 2
            message = encode_receipt(full.model_copy(update={"streams": dict(list(full.streams.items())[:most])}))
        self._publish(name, message)

    def check(self, site: str, gateway: str, status: Status, commit: Callable[[Changes], bool]) -> None:
        """Compares the generation and the marks that a gateway knows with the ledger's, and answers if they differ."""
        if is_ahead(self._cache, site, gateway, status):
            self._peers.catch_up(now=True)  # the receipt may be another process's
        if is_ahead(self._cache, site, gateway, status):
            self._renew_generation((site, gateway), commit)
        elif status.online and (status.generation != self._cache.generation or (site, gateway) not in self._greeted):
            self.send([(site, gateway)])

    def _renew_generation(self, reporter: tuple[str, str], commit: Callable[[Changes], bool]) -> None:
        """The ledger was restored from an older copy: with a new generation, gateways send again what it lacks."""
        now_ns, health = self._center.now_ns(), self._center.health
        health.count("echoes_ahead")
        again_ns, pause_ns = self._believed.get(reporter, (0, _NEW_GENERATION_NS))
        if (self._renewed_ns is not None and now_ns - self._renewed_ns < _NEW_GENERATION_NS) or now_ns < again_ns:
            return
        if commit(Changes(generation=new_generation())):
            self._renewed_ns = now_ns
            self._believed[reporter] = (now_ns + pause_ns, min(2 * pause_ns, _MOST_NS))
            generation, whose = self._cache.generation, "/".join(reporter)
            health.set_condition(
                "ledger",
                f"restored from an older copy, as gateway {whose} has receipts of more; new generation {generation}",
            )
            self.send({*self._cache.gateways(), reporter})
