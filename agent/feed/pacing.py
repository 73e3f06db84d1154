"""How long deferrable work waits, so that it takes a small share of a core. Pure: it is given how long work took."""

from dataclasses import dataclass


@dataclass
class Pacing:
    """How long work may be deferred whose cost hardly depends on how much has accumulated: on a slow computer it is done
    rarely, on a fast one often.

    share: of a core [1]; steps_s: the durations to choose from [s], ascending.
    """

    share: float = 0.02
    steps_s: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0)
    _cost_s: float = 0.0

    def took(self, spent_s: float, count: int) -> None:
        """Notes that `count` units of work took `spent_s` [s] together."""
        if count:
            self._cost_s += 0.2 * (spent_s / count - self._cost_s)

    def wait_s(self, count: int) -> float:
        """How long each of `count` units of work may wait for its turn [s]."""
        needed_s = count * self._cost_s / self.share
        return next((step_s for step_s in self.steps_s if step_s >= needed_s), self.steps_s[-1])
