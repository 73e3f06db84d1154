"""From broker to store: envelopes are batched, settled, receipted and only then acknowledged.

Two threads. The MQTT session's thread sorts messages into a bounded queue, and records `live` and `status`, which need
no store. The worker settles. While the store is unavailable, the worker keeps what it has, unacknowledged, and retries;
the broker holds back the rest. Messages that do not fit into the queue, or into their gateway's budget, are discarded:
gateways send them again, since they were not receipted. Manual imports and replays of quarantined payloads are jobs of the worker.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, TypeVar

from center.contract.store import StoreUnavailable
from center.ingest.gateway_state import GatewayStateHandler
from center.ingest.ingest_queue import IngestQueue, Job, QueueBatch
from center.ingest.mqtt import Arrived, BrokerSession, BrokerSettings, TopicSubscriptions
from center.ingest.notice_keeper import NoticeKeeper
from center.ingest.peer_sync import PeerSync
from center.ingest.planning.plan import EnvelopeMessage
from center.ingest.receipts import ReceiptSender
from center.ingest.retry import StoreRetry
from center.ingest.settle import Settler
from center.runtime.state import CenterState
from wire.bodies import Status
from wire.topics import ENVELOPED, Topic, parse, parse_next

T = TypeVar("T")
_STATE: Final = ("live", "status")


class Ingest:
    """The center's consumer of envelopes. settler: for jobs of the worker's thread, or where none runs."""

    def __init__(
        self,
        center: CenterState,
        broker: BrokerSettings,
        subscriptions: TopicSubscriptions | None = None,
        *,
        notices: NoticeKeeper | None = None,
        patient: bool = True,
    ) -> None:
        """subscriptions: None for everything; notices: keeps what people at the machines said; patient: wait for an
        unavailable store until `stop`, otherwise raise `StoreUnavailable` from `deliver` and the settler at once.
        """
        kinds = {*subscriptions.shared, *subscriptions.plain} if subscriptions else {*ENVELOPED}
        self._budgets, self._pictures = center.budgets, center.pictures
        self._health, self._settles = center.health, bool(kinds & {*ENVELOPED})
        self._queued, self._stopping = IngestQueue(), threading.Event()
        self._retry = StoreRetry(center.health, self._stopping, patient=patient)
        self._peers = PeerSync(center, settles=self._settles)
        self._session = BrokerSession(broker, center.health, self._received, self._connected, subscriptions)
        self.fits = self._session.own.fits
        """Whether the broker takes a payload of a size on a topic."""
        self._receipts = ReceiptSender(center, self._peers, self._session.publish, self.fits)
        self.settler = Settler(center, self._peers, self._retry, self._receipts)
        self.on_everybody: Callable[[], None] = lambda: None
        """Called on the worker's thread when the broker may have lost retained messages to gateways."""
        self.on_status: Callable[[str, str, Status], None] = lambda _site, _gateway, _status: None
        """Called on the worker's thread with every gateway's status."""
        self._gateway_state = GatewayStateHandler(
            center,
            self._receipts,
            lambda changes: self.settler.commit((), changes),
            lambda site, gateway, status: self.on_status(site, gateway, status),  # noqa: PLW0108  # assigned later
            settles=self._settles,
        )
        if notices is not None:
            self._gateway_state.notices, self._receipts.noted = notices, notices.noted
        self._worker = threading.Thread(target=self._work, name="nhip-ingest", daemon=True)

    def publish(self, name: str, payload: bytes) -> None:
        """Publishes a retained message at QoS 1; dropped without a connection."""
        self._session.publish(name, payload)

    def start(self) -> None:
        """Starts to connect and to work; returns at once."""
        self._health.set_condition("store", "ok")
        self._worker.start()
        self._session.start()

    def stop(self, drain_s: float = 10.0) -> None:
        """Settles what has arrived, as far as the store takes it within that time, and disconnects."""
        self._stopping.set()
        self._queued.wake()
        self._worker.join(drain_s)
        self._session.stop()

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Has the worker run `deliver`, or work with the settler, between two batches. Raises `StoreUnavailable` if it is busy."""
        job = Job(work)
        if self._stopping.is_set() or not self._queued.put_job(job):
            raise StoreUnavailable("ingest is busy or stopping; try again in a minute")
        return job.outcome

    def deliver(self, messages: Sequence[EnvelopeMessage]) -> None:
        """Settles imported envelopes; on the worker's thread, or where none runs.

        Raises `StoreUnavailable` if it was stopped (or is not patient) before the store took them.
        """
        if not self.settler.settle(messages):
            raise StoreUnavailable(self._health.condition("store"))

    # the MQTT session's thread

    def _connected(self) -> None:
        self._receipts.reset()
        self._queued.wake()

    def _received(self, message: Arrived) -> None:
        where = parse(message.topic)
        if where is None or self._stopping.is_set():
            if newer := parse_next(message.topic):
                self._gateway_state.record_newer(*newer)
            self._health.count("ignored")
            self._session.acknowledge(message)
        elif refusal := self._refusal(message, where):
            self._health.count(refusal)
            self._session.acknowledge(message)
        elif where.kind in ENVELOPED or (where.kind in _STATE and self._gateway_state.record(message, where)):
            for let_go in self._queued.put(message):
                self._health.count("let_go")
                self._session.acknowledge(let_go)
        elif where.kind in _STATE:
            self._session.acknowledge(message)

    def _refusal(self, message: Arrived, where: Topic) -> str:
        """Why a message is not even queued, as the counter is called; "" if it is.

        No gateway has the broker keep an envelope: it would come again at each start of the center, and is in the gateway's
        outbox until it is receipted. What is beyond the gateway's budget it sends again.
        """
        if message.kept and where.kind in ENVELOPED:
            self._health.set_note("last_retained", f"{message.topic}: the broker keeps this envelope; delete it there")
            return "retained_refused"
        is_site_body = where.kind == "site"
        size = len(message.payload)
        admitted = self._budgets.admits(where.site, where.gateway, size, time.monotonic(), is_site_body=is_site_body)
        if not admitted:
            self._pictures.record_heard(where.site, where.gateway)  # so that it is shown, whatever it sent
        return "" if admitted else "held_back"

    # the worker's thread

    def _work(self) -> None:
        while not (self._stopping.is_set() and self._queued.empty()):
            batch = self._queued.take(self._peers.wait_s(), self._stopping)
            try:
                self._process(batch)
                self._retry.run(self._peers.catch_up)
            except Exception as error:  # noqa: BLE001  # the one loop that must survive; counted
                self._health.count("worker_errors")
                self._health.set_condition("worker", f"{type(error).__name__}: {error}")
                self._isolate(batch.messages)
            for job in batch.jobs:
                job.run()

    def _process(self, batch: QueueBatch) -> None:
        envelopes = _envelopes(batch.messages)
        if envelopes and not self.settler.settle(envelopes):
            return  # stopping while the store is unavailable: neither acknowledged nor receipted, so they come again
        for message in batch.messages:
            if _is_status(message):
                self._gateway_state.check(message)
        if batch.woken and not self._stopping.is_set():
            if self._settles:
                self._receipts.send_to_all()
            self.on_everybody()
        for message in batch.messages:
            self._session.acknowledge(message)

    def _isolate(self, messages: Sequence[Arrived]) -> None:
        """After an unexpected error: each message alone, and the one at fault into quarantine, so that it blocks nothing."""
        for message in messages:
            for refused in ("", "this center's program stumbled over it; see its log"):
                try:
                    if _is_status(message):
                        self._gateway_state.check(message)
                    else:
                        self.settler.settle(_envelopes([message]), refused)
                    break
                except Exception:  # noqa: BLE001  # as above
                    self._health.count("worker_errors")
            self._session.acknowledge(message)


def _is_status(message: Arrived) -> bool:
    return message.topic.endswith("/status")


def _envelopes(messages: Sequence[Arrived]) -> list[EnvelopeMessage]:
    return [
        EnvelopeMessage(where, message.payload)
        for message in messages
        if not _is_status(message) and (where := parse(message.topic))
    ]
