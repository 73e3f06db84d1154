"""Background job that looks at all machines once a night, on a thread of its own."""

import threading
import time
from typing import Final

from sqlalchemy import Engine

from center.contract.ledger import SharedLedger
from center.contract.store import StoreUnavailable
from center.database import findings
from center.runtime.advice.night import night_of, run_nights, zone_of_center
from center.runtime.state import CenterState

_IDLE_S: Final = 60.0
_LEAST_PAUSE_S: Final = 0.05


class AdviceJob:
    """Runs until stopped. Works half of the time at most, so that ingest and pages go on; waits while the store is
    unavailable, or another process of the center has the lease.
    """

    def __init__(self, center: CenterState, engine: Engine, idle_s: float = _IDLE_S) -> None:
        self._center, self._engine, self._idle_s = center, engine, idle_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="nhip-advice", daemon=True)
        self._begun_s = 0.0

    def start(self) -> None:
        """Starts the thread; returns at once."""
        self._thread.start()

    def stop(self, within_s: float = 10.0) -> None:
        """Ends after the current machine."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(within_s)

    def _work(self) -> None:
        while not self._stopping.wait(self._idle_s):
            self._step()

    def _step(self) -> None:
        health = self._center.health
        try:
            night_ns = night_of(self._center.now_ns(), zone_of_center(self._center))
            last = findings.last_night(self._engine)
            if (last is None or last.night_ns < night_ns) and self._has_lease():
                self._begun_s = time.monotonic()
                if run_nights(self._center, self._engine, night_ns, self._go_on) is not None:
                    health.count("advice_nights")
        except StoreUnavailable as error:
            health.set_condition("advice", f"away: {error}")
            return
        except Exception as error:  # noqa: BLE001  # the loop must survive; counted and shown
            health.count("advice_errors")
            health.set_condition("advice", f"{type(error).__name__}: {error}")
            return
        health.set_condition("advice", "ok")

    def _has_lease(self) -> bool:
        ledger = self._center.ledger
        return ledger.processes.lease("advice") if isinstance(ledger, SharedLedger) else True

    def _go_on(self, _machine: str, _done: int, _of: int) -> bool:
        """Pauses as long as the machine before took."""
        pause_s = max(_LEAST_PAUSE_S, time.monotonic() - self._begun_s)
        ended = self._stopping.wait(pause_s)
        self._begun_s = time.monotonic()
        return not ended
