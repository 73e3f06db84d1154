"""The one job that keeps the store's sums of hours and days up to date, on a thread of its own."""

import threading
from typing import Final

from center.contract.ledger import Leasing
from center.contract.store import RolledUp, StoreUnavailable
from center.runtime.state import CenterState

_IDLE_S: Final = 20.0
_BETWEEN_S: Final = 0.05
"""Between two steps, so that ingest gets its turn."""


class RollupJob:
    """Runs until it is stopped; a store that is away, or without sums, makes it wait."""

    def __init__(self, center: CenterState, *, answers: bool = True) -> None:
        """answers: this process answers questions."""
        self._center, self._answers = center, answers
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="nhip-rollups", daemon=True)

    def start(self) -> None:
        """Begins; returns at once."""
        if isinstance(self._center.store, RolledUp):
            self._thread.start()

    def stop(self, within_s: float = 10.0) -> None:
        """Ends after the step that is going on."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(within_s)

    def _work(self) -> None:
        while not self._stopping.wait(_BETWEEN_S if self._step() else _IDLE_S):
            pass

    def _step(self) -> bool:
        store, health = self._center.store, self._center.health
        assert isinstance(store, RolledUp)
        try:
            books = self._center.ledger
            leased = books.lease("sums") if isinstance(books, Leasing) else True
            more = store.roll_up(self._center.now_ns(), leased=leased, answers=self._answers)
        except StoreUnavailable as error:
            health.say("sums", f"away: {error}")
            return False
        except Exception as error:  # noqa: BLE001  # the loop must survive; counted and shown
            health.count("sum_errors")
            health.say("sums", f"{type(error).__name__}: {error}")
            return False
        health.say("sums", "ok")
        if more:
            health.count("sum_steps")
        return more
