"""Bounded queue between the MQTT session's thread and the ingest worker: messages, jobs and wake-ups."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from center.ingest.mqtt import Arrived

MAX_MESSAGES: Final = 2000
MAX_BYTES: Final = 64 * 1024 * 1024
BATCH_S: Final = 0.1
BATCH_PAUSE_S: Final = 0.02
"""A pause that ends a batch: a broker may send no more before the first is acknowledged (Mosquitto: 20 messages)."""
BATCH_MESSAGES: Final = 500


@dataclass(frozen=True)
class Job:
    """Work for the worker's thread, which alone changes the ledger. outcome: what it returned or raised."""

    work: Callable[[], Any]
    outcome: Future[Any] = field(default_factory=Future)

    def run(self) -> None:
        """Runs the work unless the caller has cancelled it."""
        if self.outcome.set_running_or_notify_cancel():
            try:
                self.outcome.set_result(self.work())
            except Exception as error:  # noqa: BLE001  # belongs to the caller
                self.outcome.set_exception(error)


@dataclass(frozen=True)
class QueueBatch:
    """What the worker took at once. woken: `wake` was called meanwhile."""

    messages: list[Arrived] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    woken: bool = False


class IngestQueue:
    """Any thread may put; the worker's thread alone takes."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Arrived | Job | None] = queue.Queue(MAX_MESSAGES)
        self._bytes = 0
        self._bytes_lock = threading.Lock()

    def put(self, message: Arrived) -> bool:
        """Queues a message; False if there is no room for it."""
        with self._bytes_lock:
            fits = not self._bytes or self._bytes + len(message.payload) <= MAX_BYTES
            if fits:
                self._bytes += len(message.payload)
        if fits and not self._offer(message):
            self._release(message)
            return False
        return fits

    def put_job(self, job: Job) -> bool:
        """Queues a job; False if there is no room for it."""
        return self._offer(job)

    def wake(self) -> None:
        """Ends the worker's wait; without effect if the queue is full, since then it does not wait."""
        self._offer(None)

    def empty(self) -> bool:
        """Whether nothing is queued."""
        return self._queue.empty()

    def take(self, wait_s: float | None, stopping: threading.Event) -> QueueBatch:
        """What arrives within `BATCH_S` of the first item, up to the first longer pause. wait_s: for the first item,
        None for ever.
        """
        try:
            items = [self._queue.get(timeout=wait_s)]
        except queue.Empty:
            return QueueBatch()
        until_s = time.monotonic() + BATCH_S
        while len(items) < BATCH_MESSAGES and (left_s := until_s - time.monotonic()) > 0:
            try:
                items.append(self._queue.get(timeout=0 if stopping.is_set() else min(left_s, BATCH_PAUSE_S)))
            except queue.Empty:
                break
        batch = QueueBatch(woken=any(item is None for item in items))
        for item in items:
            if isinstance(item, Job):
                batch.jobs.append(item)
            elif item is not None:
                self._release(item)
                batch.messages.append(item)
        return batch

    def _offer(self, item: Arrived | Job | None) -> bool:
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            return False
        return True

    def _release(self, message: Arrived) -> None:
        with self._bytes_lock:
            self._bytes -= len(message.payload)
