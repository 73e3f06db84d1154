"""Background job that keeps the store's hourly and daily sums up to date, on a thread of its own."""

import threading
from typing import Final

from center.contract.ledger import SharedLedger
from center.contract.store import RolledUp, StoreUnavailable
from center.runtime.state import CenterState

_IDLE_S: Final = 20.0
_BETWEEN_S: Final = 0.05
"""Pause between two steps, so that ingest can write."""


class RollupJob:
    """Runs until stopped; waits while the store is unavailable or nothing is pending."""

    def __init__(self, center: CenterState, *, answers: bool = True) -> None:
        """answers: this process answers queries."""
        self._center, self._answers = center, answers
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="nhip-rollups", daemon=True)

    def start(self) -> None:
        """Starts the thread if the store keeps sums; returns at once."""
        if isinstance(self._center.store, RolledUp):
            self._thread.start()

    def stop(self, within_s: float = 10.0) -> None:
        """Ends after the current step."""
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
            ledger = self._center.ledger
            leased = ledger.processes.lease("sums") if isinstance(ledger, SharedLedger) else True
            more = store.roll_up(self._center.now_ns(), leased=leased, answers=self._answers)
        except StoreUnavailable as error:
            health.set_condition("sums", f"away: {error}")
            return False
        except Exception as error:  # noqa: BLE001  # the loop must survive; counted and shown
            health.count("sum_errors")
            health.set_condition("sums", f"{type(error).__name__}: {error}")
            return False
        health.set_condition("sums", "ok")
        if more:
            health.count("sum_steps")
        return more
