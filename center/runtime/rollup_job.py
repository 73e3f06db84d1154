"""Background job that keeps the store's hourly and daily sums up to date."""

from collections.abc import Mapping
from typing import Final

from center.contract.store import RolledUp
from center.runtime.background import BackgroundJob
from center.runtime.state import CenterState

_IDLE_S: Final = 20.0
_BETWEEN_S: Final = 0.05
"""Pause between two steps, so that ingest can write."""


class RollupJob(BackgroundJob):
    """Waits while the store is unavailable or nothing is pending."""

    def __init__(self, center: CenterState, *, answers: bool = True) -> None:
        """answers: this process answers queries."""
        super().__init__(center, "sums", "sum_errors", _IDLE_S)
        self._answers = answers
        self._aside: set[tuple[str, int]] = set()

    def start(self) -> None:
        """Starts the thread if the store keeps sums; returns at once."""
        if isinstance(self._center.store, RolledUp):
            super().start()

    def _step(self) -> tuple[str, float]:
        store = self._center.store
        assert isinstance(store, RolledUp)
        more = store.roll_up(self._center.now_ns(), leased=self._has_lease("sums"), answers=self._answers)
        if more:
            self._center.health.count("sum_steps")
        return self._told(store.aside), _BETWEEN_S if more else _IDLE_S

    def _told(self, aside: Mapping[tuple[str, int], str]) -> str:
        """What the condition is, with the hours that are set aside."""
        hours = dict(aside)
        self._center.health.count("sums_set_aside", len(hours.keys() - self._aside))
        self._aside = set(hours)
        if not hours:
            return "ok"
        sites = ", ".join(sorted({site for site, _ in hours}))
        return f"{len(hours)} hours are set aside and read row by row, site {sites}: {next(iter(hours.values()))}"
