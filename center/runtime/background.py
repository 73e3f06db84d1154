"""Work that the center does again and again beside everything else, on a thread of its own."""

import threading
from abc import ABC, abstractmethod

from center.contract.ledger import SharedLedger
from center.contract.store import StoreUnavailable
from center.runtime.state import CenterState


class BackgroundJob(ABC):
    """Repeats a step until stopped. A step that fails does not end it: the failure is counted and shown, and the next one
    comes after a pause.
    """

    def __init__(self, center: CenterState, condition: str, errors: str, idle_s: float, first_s: float = 0.0) -> None:
        """condition: of the center, says how it goes; errors: the count of failures that nobody foresaw; idle_s: pause after a
        failure [s]; first_s: pause before the first step [s].
        """
        self._center, self._idle_s = center, idle_s
        self._condition, self._errors, self._first_s = condition, errors, first_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"nhip-{condition}", daemon=True)

    @abstractmethod
    def _step(self) -> tuple[str | None, float]:
        """Does some of the work; returns what the condition then is, None for as it was, and how long to pause [s]. Raises
        `StoreUnavailable` where the store is away.
        """

    def start(self) -> None:
        """Starts the thread; returns at once."""
        self._thread.start()

    def stop(self, within_s: float = 10.0) -> None:
        """Ends after the present step, or earlier where the step says so."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(within_s)

    def _has_lease(self, name: str) -> bool:
        """Whether this process is the one of the center that does it."""
        ledger = self._center.ledger
        return ledger.processes.lease(name) if isinstance(ledger, SharedLedger) else True

    def _work(self) -> None:
        pause_s = self._first_s
        while not self._stopping.wait(pause_s):
            health = self._center.health
            try:
                told, pause_s = self._step()
            except StoreUnavailable as error:
                told, pause_s = f"away: {error}", self._idle_s
            except Exception as error:  # noqa: BLE001  # the loop must survive; counted and shown
                health.count(self._errors)
                told, pause_s = f"{type(error).__name__}: {error}", self._idle_s
            if told is not None:
                health.set_condition(self._condition, told)
