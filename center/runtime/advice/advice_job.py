"""Background job that judges what actions brought and looks at all machines, once a night."""

import time
from typing import Final

from sqlalchemy import Engine

from center.database import findings
from center.runtime.advice.judging import run_actions
from center.runtime.advice.night import night_of, run_nights
from center.runtime.background import BackgroundJob
from center.runtime.state import CenterState

_IDLE_S: Final = 60.0
_LEAST_PAUSE_S: Final = 0.05


class AdviceJob(BackgroundJob):
    """Works half of the time at most, so that ingest and pages go on; waits while the store is unavailable, or another
    process of the center has the lease. Stopped, it ends after the current machine.
    """

    def __init__(self, center: CenterState, engine: Engine, idle_s: float = _IDLE_S) -> None:
        super().__init__(center, "advice", "advice_errors", idle_s, first_s=idle_s)
        self._engine = engine
        self._begun_s = 0.0

    def _step(self) -> tuple[str, float]:
        night_ns = night_of(self._center.now_ns(), self._center.zone)
        last = findings.last_night(self._engine)
        if (last is None or last.night_ns < night_ns) and self._has_lease("advice"):
            self._begun_s = time.monotonic()
            # what is due is judged before the night ends: it may be repeated, and a night that is done is not
            if (
                run_actions(self._center, self._engine, self._go_on)
                and run_nights(self._center, self._engine, night_ns, self._go_on) is not None
            ):
                self._center.health.count("advice_nights")
        return "ok", self._idle_s

    def _go_on(self, _machine: str, _done: int, _of: int) -> bool:
        """Pauses as long as the machine before took."""
        pause_s = max(_LEAST_PAUSE_S, time.monotonic() - self._begun_s)
        ended = self._stopping.wait(pause_s)
        self._begun_s = time.monotonic()
        return not ended
