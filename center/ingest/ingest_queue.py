"""Bounded and fair queue between the MQTT session's thread and the ingest worker: messages, jobs and wake-ups."""

import threading
import time
from collections import Counter, deque
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
    """Any thread may put; the worker's thread alone takes. Gateways take turns, and where there is no room the one that waits
    with the most gives way.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[str, deque[Arrived]] = {}
        """By gateway, in the order of turns."""
        self._bytes: Counter[str] = Counter()
        self._jobs: deque[Job] = deque()
        self._woken = False

    def put(self, message: Arrived) -> list[Arrived]:
        """Queues a message. Returns those for which there is no room: this one, or others that had been queued."""
        whose = _gateway(message)
        let_go: list[Arrived] = []
        with self._changed:
            while over := self._over(len(message.payload)):
                most = max(over, key=over.__getitem__)
                if over[most] <= over[whose]:
                    return [*let_go, message]
                let_go.append(self._remove(most, last=True))
            self._waiting.setdefault(whose, deque()).append(message)
            self._bytes[whose] += len(message.payload)
            self._changed.notify()
        return let_go

    def put_job(self, job: Job) -> bool:
        """Queues a job; False if there is no room for it."""
        with self._changed:
            if len(self._jobs) >= MAX_MESSAGES:
                return False
            self._jobs.append(job)
            self._changed.notify()
        return True

    def wake(self) -> None:
        """Ends the worker's wait."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def empty(self) -> bool:
        """Whether nothing is queued."""
        with self._changed:
            return not self._filled()

    def take(self, wait_s: float | None, stopping: threading.Event) -> QueueBatch:
        """What arrives within `BATCH_S` of the first item, up to the first longer pause. wait_s: for the first item,
        None for ever.
        """
        messages: list[Arrived] = []
        jobs: list[Job] = []
        with self._changed:
            self._changed.wait_for(self._filled, wait_s)
            until_s, woken = time.monotonic() + BATCH_S, False
            while self._filled():
                woken, self._woken = woken or self._woken, False
                jobs += self._jobs
                self._jobs.clear()
                while self._waiting and len(messages) < BATCH_MESSAGES:
                    messages.append(self._remove(next(iter(self._waiting))))
                left_s = until_s - time.monotonic()
                if stopping.is_set() or len(messages) >= BATCH_MESSAGES or left_s <= 0:
                    break
                self._changed.wait_for(self._filled, min(left_s, BATCH_PAUSE_S))
        return QueueBatch(messages, jobs, woken)

    def _filled(self) -> bool:
        return bool(self._waiting or self._jobs or self._woken)

    def _over(self, more_bytes: int) -> Counter[str]:
        """By gateway how much waits, of that of which there is no room for one more; empty where there is room."""
        if sum(map(len, self._waiting.values())) >= MAX_MESSAGES:
            return Counter({whose: len(items) for whose, items in self._waiting.items()})
        return self._bytes if self._waiting and self._bytes.total() + more_bytes > MAX_BYTES else Counter()

    def _remove(self, whose: str, *, last: bool = False) -> Arrived:
        """Removes the gateway's first message, after which it is the others' turn; or its last one."""
        items = self._waiting[whose]
        message = items.pop() if last else items.popleft()
        self._bytes[whose] -= len(message.payload)
        if not last or not items:
            del self._waiting[whose]
        if not items:
            del self._bytes[whose]
        elif not last:
            self._waiting[whose] = items
        return message


def _gateway(message: Arrived) -> str:
    return message.topic.rpartition("/")[0]
