"""Seeded random numbers: times until the next event, and lengths."""

import zlib
from math import exp

import numpy as np

from simulator.factory import Event, Factory, MachineSpec
from simulator.timetable import Timetable

SECOND_NS = 1_000_000_000
SHORTEST_NS = 5 * SECOND_NS
"""No run and no stop is planned shorter than this, so that a poll each second sees both [ns]."""
_DAY_NS = 86_400 * SECOND_NS


class Dice:
    """One machine's stream of random numbers. What is drawn depends only on the seed, the machine's name and the order
    of the draws, never on how time was cut.
    """

    def __init__(self, factory: Factory, spec: MachineSpec, timetable: Timetable) -> None:
        self._seed = (factory.seed, zlib.crc32(spec.id.encode()))
        self.random = np.random.default_rng(self._seed)
        self._planted = np.random.default_rng((*self._seed, 1))
        self._spec = spec
        self._timetable = timetable
        self._day = (-1, 1.0)

    def trouble(self, t_ns: int) -> float:
        """How much more often things go wrong in this shift and on this day [1]."""
        day = t_ns // _DAY_NS
        if day != self._day[0]:
            mood = np.random.default_rng((*self._seed, day)).normal(0, 0.18)
            self._day = (day, exp(mood))
        shift = self._timetable.shift[self._timetable.at(t_ns)]
        return self._day[1] * self._timetable.trouble.get(shift, 1.0)

    def interval(self, event: Event, trouble: float) -> int:
        """Running time until the next event of this kind [ns]."""
        mean_s = event.every_s / trouble
        return SHORTEST_NS + int(self.random.exponential(mean_s) * SECOND_NS)

    def length(self, event: Event, trouble: float) -> int:
        """How long it lasts [ns]."""
        drawn_s = event.lasts_s * exp(event.spread * self.random.standard_normal()) * trouble**0.5
        return int(min(drawn_s, event.at_most_s) * SECOND_NS)

    def around(self, median_s: float, spread: float = 0.5) -> int:
        """A length around a median [ns]."""
        return int(median_s * exp(spread * self.random.standard_normal()) * SECOND_NS)

    def between(self, low: float, high: float) -> float:
        """Uniform."""
        return float(self.random.uniform(low, high))

    def planted(self, chance: float) -> bool:
        """Whether a planted cause strikes. It has a stream of its own: the rest draws what it draws without."""
        return chance > 0 and float(self._planted.random()) < chance

    def planted_around(self, median_s: float, spread: float = 0.3) -> int:
        """As `around`, from the stream of planted causes [ns]."""
        return int(median_s * exp(spread * self._planted.standard_normal()) * SECOND_NS)

    def planted_between(self, low: float, high: float) -> float:
        """As `between`, from the stream of planted causes."""
        return float(self._planted.uniform(low, high))

    def pick(self, count: int) -> int:
        """A whole number below `count`."""
        return int(self.random.integers(count))
