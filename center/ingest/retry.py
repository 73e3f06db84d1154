"""Retries while the store or the ledger is unavailable."""

import threading
from collections.abc import Callable
from typing import Final, TypeVar

from center.contract.store import StoreUnavailable
from center.runtime.health import CenterHealth

BACK_OFF_S: Final = (0.5, 30.0)
T = TypeVar("T")


class StoreRetry:
    """Waits between attempts, twice as long each time, and sets the health condition `store`."""

    def __init__(self, health: CenterHealth, stopping: threading.Event, *, patient: bool) -> None:
        """patient: retry until `stopping` is set; otherwise give up after the first attempt."""
        self._health, self._stopping, self._patient = health, stopping, patient

    def run(self, work: Callable[[], T]) -> T | None:
        """What the work returned, or None if it was given up."""
        pause_s, failed = BACK_OFF_S[0], False
        while True:
            try:
                result = work()
            except StoreUnavailable as error:
                failed = True
                self._health.count("store_away")
                self._health.set_condition("store", f"away: {error}")
                if not self._patient or self._stopping.wait(pause_s):
                    return None
                pause_s = min(pause_s * 2, BACK_OFF_S[1])
            else:
                if failed:
                    self._health.set_condition("store", "ok")
                return result
