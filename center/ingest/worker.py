"""From the broker to the store: envelopes are gathered, committed, receipted and only then acknowledged.

What people bring in by hand (a stick, a second try of a quarantined payload) goes the same way, as a job of the worker.

Two threads: the MQTT session's, which only sorts messages into a bounded queue (and keeps the live picture, which
needs no store), and one worker. While the store is away the worker holds what it has, unacknowledged, and tries
again; the broker holds back the rest. What does not fit into the queue is let go: the gateways send it again, since
nobody receipted it.
"""

import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Final, TypeVar

from pydantic import ValidationError

from center.contract.ledger import Changes
from center.contract.store import KeepsValues, RowBatch, StoreRefused, StoreUnavailable
from center.ingest.jobs import Job
from center.ingest.mqtt import Arrived, BrokerSession, BrokerSettings, Subscriptions
from center.ingest.peer_sync import PeerSync
from center.ingest.plan import EnvelopeMessage, IngestPlan, plan_messages, plan_replay
from center.ledger.cache import is_ahead, new_generation, receipt
from center.runtime.state import CenterState
from wire.bodies import Live, Status
from wire.envelope import Unsound
from wire.messages import unpack_message
from wire.receipts import encode_receipt
from wire.topics import ENVELOPED, parse, topic

GATHER_S: Final = 0.1
GATHER_PAUSE_S: Final = 0.02
"""A pause that ends gathering: a broker may hand over no more before it is acknowledged (Mosquitto: 20 messages)."""
GATHER_MESSAGES: Final = 500
QUEUE_MESSAGES: Final = 2000
QUEUE_BYTES: Final = 64 * 1024 * 1024
_BACK_OFF_S: Final = (0.5, 30.0)
_FORGET_EVERY_NS: Final = 3_600_000_000_000
T = TypeVar("T")
_NEW_GENERATION_NS: Final = 600_000_000_000
"""At most one new generation in ten minutes: a gateway that lies must not make everybody send everything again."""


class Ingest:
    """The center's consumer of envelopes."""

    def __init__(
        self, center: CenterState, broker: BrokerSettings, part: Subscriptions | None = None, *, patient: bool = True
    ) -> None:
        """part: what it takes from the broker, everything without one; patient: wait for a store that is away until
        `stop`; else say so at once (`deliver`, `try_again`).
        """
        self._takes = not part or bool({*part.shared, *part.plain} & {*ENVELOPED})
        self._center, self._memory, self._health = center, center.ledger_cache, center.health
        self._queue: queue.Queue[Arrived | Job | None] = queue.Queue(QUEUE_MESSAGES)
        self._queued_bytes = 0
        self._bytes_lock = threading.Lock()
        self._stopping, self._patient = threading.Event(), patient
        self._renewed_ns: int | None = None
        self._others = PeerSync(center)
        self.on_everybody: Callable[[], None] = lambda: None
        """Called on the worker's thread when every gateway is to hear again what the center has to say."""
        self.on_status: Callable[[str, str, Status], None] = lambda _site, _gateway, _status: None
        """Called on the worker's thread with every gateway's status."""
        self._forget_ns = 0
        self._session_id = ""
        self._greeted: set[tuple[str, str]] = set()
        self._session = BrokerSession(broker, center.health, self._received, self._connected, part)
        self._worker = threading.Thread(target=self._work, name="nhip-ingest", daemon=True)

    def publish(self, name: str, payload: bytes) -> None:
        """Publishes a retained message at QoS 1; without a connection it is dropped."""
        self._session.publish(name, payload)

    def start(self) -> None:
        """Begins to connect and to work; returns at once."""
        self._health.say("store", "ok")
        self._worker.start()
        self._session.start()

    def stop(self, drain_s: float = 10.0) -> None:
        """Settles what has arrived, as far as the store takes it within the time given, and says goodbye."""
        self._stopping.set()
        self._offer(None)
        self._worker.join(drain_s)
        self._session.stop()

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Has the worker do something between two rounds: `deliver` or `try_again`. Raises `StoreUnavailable` if it is busy."""
        job = Job(work)
        if self._stopping.is_set() or not self._offer(job):
            raise StoreUnavailable("ingest is busy or stopping; try again in a minute")
        return job.outcome

    def deliver(self, messages: Sequence[EnvelopeMessage]) -> None:
        """Settles enveloped messages that came by hand; on the worker's thread, or without one.

        Raises `StoreUnavailable` if it was stopped (or is not patient) before the store took them.
        """
        arrived = [Arrived(topic(*item.topic), item.payload, -1, 0, 0) for item in messages]
        if not self._settle(arrived):
            raise StoreUnavailable(self._health.condition("store"))

    def try_again(self, number: int) -> None:
        """Takes a quarantined payload out, if it is understood by now; on the worker's thread, or without one.

        Raises `Unsound` if it is not, `LookupError` if there is none of that number, or `StoreUnavailable`.
        """
        entry = self._center.ledger.payload(number)
        if entry is None:
            raise LookupError(f"there is no quarantined payload {number}")
        self._others.catch_up(now=True)
        plan = plan_replay(self._memory, number, entry, self._center.now_ns(), self._center.open_from_ns())
        try:
            if not self._commit(plan.batches, plan.changes()):
                raise StoreUnavailable(self._health.condition("store"))
        except StoreRefused as error:
            raise Unsound(f"refused by the store: {error}") from error
        self._health.count("released")
        self._count(plan)
        self._publish_receipts(plan.heard)

    # the MQTT session's thread

    def _connected(self) -> None:
        self._session_id = secrets.token_hex(4)
        self._greeted.clear()
        self._offer(None)  # everybody hears again: the broker may have lost its retained messages

    def _received(self, message: Arrived) -> None:
        where = parse(message.topic)
        if where is None or self._stopping.is_set():
            self._health.count("ignored")
            self._session.acknowledge(message)
        elif where.kind in ENVELOPED:
            self._enqueue(message)
        elif where.kind in ("live", "status"):
            self._hear(message, where.site, where.gateway)

    def _hear(self, message: Arrived, site: str, gateway: str) -> None:
        now_ns = self._center.now_ns()
        try:
            if message.topic.endswith("/live"):
                self._center.pictures.hear_live(
                    site, gateway, Live.model_validate_json(unpack_message(message.payload)), now_ns
                )
            elif message.payload:
                status = Status.model_validate_json(unpack_message(message.payload))
                self._center.pictures.hear_status(site, gateway, status, now_ns)
                if (
                    self._takes and status.online and status.ask
                ):  # answered here: a gateway's clock shall not wait for a store
                    slip = receipt(self._memory, site, gateway, now_ns, status.ask, self._session_id)
                    self._session.publish(topic(site, gateway, "receipt"), encode_receipt(slip))
                self._enqueue(message)
                return
        except (ValidationError, Unsound) as error:
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            self._health.count("malformed_live_or_status")
            self._health.note("last_malformed", f"{message.topic}: {why}")
        self._session.acknowledge(message)

    def _enqueue(self, message: Arrived) -> None:
        with self._bytes_lock:
            fits = not self._queued_bytes or self._queued_bytes + len(message.payload) <= QUEUE_BYTES
            if fits:
                self._queued_bytes += len(message.payload)
        if fits and self._offer(message):
            return
        if fits:
            self._forget_bytes(message)
        self._health.count("let_go")
        self._session.acknowledge(message)

    def _forget_bytes(self, message: Arrived) -> None:
        with self._bytes_lock:
            self._queued_bytes -= len(message.payload)

    def _offer(self, item: Arrived | Job | None) -> bool:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            return False
        return True

    # the worker's thread

    def _work(self) -> None:
        while not (self._stopping.is_set() and self._queue.empty()):
            items, jobs = self._gather()
            try:
                self._round(items)
                self._patiently(self._others.catch_up)
            except Exception as error:  # noqa: BLE001  # the one loop that must survive; counted
                self._health.count("worker_errors")
                self._health.say("worker", f"{type(error).__name__}: {error}")
                self._isolate([item for item in items if item is not None])
            for job in jobs:
                job.run()

    def _gather(self) -> tuple[list[Arrived | None], list[Job]]:
        """What arrives within a moment of the first message, without a longer pause."""
        try:
            items = [self._queue.get(timeout=self._others.wait_s())]
        except queue.Empty:
            return [], []
        until = time.monotonic() + GATHER_S
        while len(items) < GATHER_MESSAGES and (left := until - time.monotonic()) > 0:
            try:
                items.append(self._queue.get(timeout=0 if self._stopping.is_set() else min(left, GATHER_PAUSE_S)))
            except queue.Empty:
                break
        messages = [item for item in items if not isinstance(item, Job)]
        for item in messages:
            if item is not None:
                self._forget_bytes(item)
        return messages, [item for item in items if isinstance(item, Job)]

    def _round(self, items: Sequence[Arrived | None]) -> None:
        arrived = [item for item in items if item is not None]
        enveloped = [message for message in arrived if not _is_status(message)]
        if enveloped and not self._settle(enveloped):
            return  # the store is away and we are stopping: unacknowledged and unreceipted, so they come again
        for message in arrived:
            if _is_status(message):
                self._hear_echo(message)
        if len(arrived) < len(items) and not self._stopping.is_set():
            if self._takes:
                self._publish_receipts(self._memory.gateways())
            self.on_everybody()
        for message in arrived:
            self._session.acknowledge(message)

    def _isolate(self, arrived: Sequence[Arrived]) -> None:
        """One message made us stumble: each alone, and the culprit into quarantine, so that it blocks nothing."""
        for message in arrived:
            for refused in ("", "this center's program stumbled over it; see its log"):
                try:
                    if _is_status(message):
                        self._hear_echo(message)
                    else:
                        self._settle([message], refused)
                    break
                except Exception:  # noqa: BLE001  # as above
                    self._health.count("worker_errors")
            self._session.acknowledge(message)

    def _settle(self, arrived: Sequence[Arrived], refused: str = "") -> bool:
        """Commits and receipts; False if the store stayed away until we stopped."""
        messages = [EnvelopeMessage(where, item.payload) for item in arrived if (where := parse(item.topic))]

        def planned() -> IngestPlan:
            now_ns, open_from_ns = self._center.now_ns(), self._center.open_from_ns()
            return plan_messages(self._memory, messages, now_ns, refused=refused, open_from_ns=open_from_ns)

        plan = self._patiently(lambda: self._others.agreed(planned(), planned))
        if plan is None:
            return False
        try:
            if not self._commit(plan.batches, plan.changes()):
                return False
        except StoreRefused as error:
            if len(arrived) > 1:
                outcomes = [self._settle([item]) for item in arrived]
                return all(outcomes)
            if refused:
                raise
            return self._settle(arrived, str(error))
        self._count(plan)
        self._forget_values(plan)
        self._memory.disputed |= plan.disputed
        self._publish_receipts(plan.heard)
        return True

    def _commit(self, batches: Sequence[RowBatch], changes: Changes) -> bool:
        """Store, then books, then memory; waits while the store is away. False if it was stopped meanwhile."""
        kept = self._patiently(lambda: self._center.commit(batches, changes))
        if kept is None:
            return False
        self._health.say("store", "ok")
        self._memory.adopt(kept)
        return True

    def _patiently(self, work: Callable[[], T]) -> T | None:
        """What it returns; waits while the store is away. None if it was stopped meanwhile."""
        pause_s, away = _BACK_OFF_S[0], False
        while True:
            try:
                done = work()
            except StoreUnavailable as error:
                away = True
                self._health.count("store_away")
                self._health.say("store", f"away: {error}")
                if not self._patient or self._stopping.wait(pause_s):
                    return None
                pause_s = min(pause_s * 2, _BACK_OFF_S[1])
            else:
                if away:
                    self._health.say("store", "ok")
                return done

    def _count(self, plan: IngestPlan) -> None:
        for name, number in plan.counts.items():
            self._health.count(name, number)
        if rows := sum(len(batch.facts) for batch in plan.batches):
            self._health.count("fact_rows", rows)
        if rows := sum(len(batch.values) for batch in plan.batches):
            self._health.count("value_rows", rows)

    def _forget_values(self, plan: IngestPlan) -> None:
        """Now and then, when values come or none are wanted: those that are older than they shall be kept go."""
        store, now_ns = self._center.store, self._center.now_ns()
        due = not self._memory.keeps_values or any(map(_has_values, plan.batches))
        if now_ns < self._forget_ns or not isinstance(store, KeepsValues) or not due:
            return
        self._forget_ns = now_ns + _FORGET_EVERY_NS
        try:
            store.forget_values(now_ns - self._center.keep_values_ns)
        except (StoreUnavailable, StoreRefused) as error:
            self._health.count("values_not_forgotten")
            self._health.note("values", str(error))

    def _publish_receipts(self, gateways: Iterable[tuple[str, str]]) -> None:
        for site, gateway in sorted(gateways):
            self._greeted.add((site, gateway))
            slip = receipt(self._memory, site, gateway, self._center.now_ns(), session=self._session_id)
            self._session.publish(topic(site, gateway, "receipt"), encode_receipt(slip))

    def _hear_echo(self, message: Arrived) -> None:
        """A gateway says which generation it knows, and how far it was told."""
        where = parse(message.topic)
        if where is None:
            return
        status = Status.model_validate_json(unpack_message(message.payload))
        self.on_status(where.site, where.gateway, status)
        if not self._takes:
            return
        if is_ahead(self._memory, where.site, where.gateway, status):
            self._others.catch_up(now=True)  # another process may have told it so
        if is_ahead(self._memory, where.site, where.gateway, status):
            self._renew((where.site, where.gateway))
        elif status.online and (
            status.generation != self._memory.generation or (where.site, where.gateway) not in self._greeted
        ):
            self._publish_receipts([(where.site, where.gateway)])

    def _renew(self, told_by: tuple[str, str]) -> None:
        """Makes a new generation: the ledger was restored from an older copy, and gateways must send the rest again."""
        now_ns = self._center.now_ns()
        self._health.count("echoes_ahead")
        if self._renewed_ns is not None and now_ns - self._renewed_ns < _NEW_GENERATION_NS:
            return
        if self._commit((), Changes(generation=new_generation())):
            self._renewed_ns = now_ns
            self._health.say("ledger", f"restored from an older copy; new generation {self._memory.generation}")
            self._publish_receipts({*self._memory.gateways(), told_by})


def _has_values(batch: RowBatch) -> bool:
    return len(batch.values) > 0


def _is_status(message: Arrived) -> bool:
    return message.topic.endswith("/status")
