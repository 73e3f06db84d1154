"""Background job that judges what actions brought and looks at all machines, once a night."""

import time
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Engine

from center.database import findings
from center.database.counter_steps import KeptStep, keep_steps
from center.runtime.advice.judging import run_actions
from center.runtime.advice.night import night_of, run_nights
from center.runtime.background import BackgroundJob
from center.runtime.live import Picture
from center.runtime.state import CenterState
from wire.bodies import CounterStep, Status

_IDLE_S: Final = 60.0
_LEAST_PAUSE_S: Final = 0.05
_SOON_S: Final = 5.0
_MOST_BEHIND_S: Final = 3 * 3600.0
"""So long a night waits for gateways that send what they have kept."""
_FEW: Final = 20
"""So many envelopes may wait at a gateway that is up to date."""


def is_behind(status: Status | None, night_ns: int) -> bool:
    """Whether a gateway has not sent all of the time before a night."""
    if status is None:
        return False
    return status.waiting > _FEW or (status.closed_ns is not None and status.closed_ns < night_ns)


class AdviceJob(BackgroundJob):
    """Works half of the time at most, so that ingest and pages go on; waits while the store is unavailable, or another
    process of the center has the lease. Stopped, it ends after the current machine.
    """

    def __init__(self, center: CenterState, engine: Engine, idle_s: float = _IDLE_S) -> None:
        super().__init__(center, "advice", "advice_errors", idle_s, first_s=idle_s)
        self._engine = engine
        self._begun_s = 0.0
        self._behind_since_s: float | None = None
        self._kept: dict[tuple[str, str], list[CounterStep]] = {}

    def _step(self) -> tuple[str, float]:
        if not self._has_lease("advice"):
            return "ok", self._idle_s
        self._keep_counter_steps()
        night_ns = night_of(self._center.now_ns(), self._center.zone)
        last = findings.last_night(self._engine)
        if last is None or last.night_ns < night_ns:
            if self._waits_for_gateways(night_ns):
                return "ok", min(_SOON_S, self._idle_s)
            self._begun_s = time.monotonic()
            # what is due is judged before the night ends: it may be repeated, and a night that is done is not
            if (
                run_actions(self._center, self._engine, self._go_on)
                and run_nights(self._center, self._engine, night_ns, self._go_on) is not None
            ):
                self._center.health.count("advice_nights")
        return "ok", self._idle_s

    def _keep_counter_steps(self) -> None:
        """What gateways told of their counters since the last time: each status has the last day's."""
        now_ns = self._center.now_ns()
        for site, gateway, picture in self._pictures():
            steps = picture.status.counters if picture.status else []
            if steps != self._kept.get((site, gateway), []):
                told = [KeptStep(item.machine, item.role, item.at_ns, item.kind) for item in steps]
                keep_steps(self._engine, site, gateway, told, now_ns)
                self._kept[site, gateway] = steps

    def _waits_for_gateways(self, night_ns: int) -> bool:
        """Whether a gateway is just sending what it kept while it was away, or the history that it begins with: what is seen
        before that would stand for the whole night. Waits three hours at most.
        """
        now_ns = self._center.now_ns()
        if not any(item.online(now_ns) and is_behind(item.status, night_ns) for _, _, item in self._pictures()):
            self._behind_since_s = None
            return False
        if self._behind_since_s is None:
            self._behind_since_s = time.monotonic()
        return time.monotonic() - self._behind_since_s < _MOST_BEHIND_S

    def _pictures(self) -> Iterator[tuple[str, str, Picture]]:
        pictures = self._center.pictures
        return (
            (site, gateway, pictures.get(site, gateway))
            for site in pictures.sites()
            for gateway in pictures.gateways(site)
        )

    def _go_on(self, _machine: str, _done: int, _of: int) -> bool:
        """Pauses as long as the machine before took."""
        pause_s = max(_LEAST_PAUSE_S, time.monotonic() - self._begun_s)
        ended = self._stopping.wait(pause_s)
        self._begun_s = time.monotonic()
        return not ended
