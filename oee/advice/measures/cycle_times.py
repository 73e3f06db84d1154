"""Histograms of cycle times by day: their medians, the cycle that a machine repeats, and cycles that take a multiple of it. Pure."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from oee.advice.grid import Float64
from oee.model.cycle_bins import centre_ms
from oee.model.facts import BINS_PER_OCTAVE, CYCLE_BINS, CycleBins, Int64

LEAST_CYCLES: Final = 200
"""Cycles without which nothing is said of their lengths, as with learned ideal times."""
NEAR: Final = 0.03
SHOULDERS: Final = (0.06, 0.15)
_DENSE: Final = 0.35
_DIP: Final = 0.8
_FEWEST: Final = 0.2
_BAND: Final = 4


@dataclass(frozen=True)
class DayHistograms:
    """One product's cycles: day: int64[d], business dates in order; counts: int64[d, CYCLE_BINS]."""

    day: Int64
    counts: Int64

    @property
    def total(self) -> Int64:
        """Over all days, int64[CYCLE_BINS]."""
        out: Int64 = self.counts.sum(axis=0)
        return out


def by_day(cycles: CycleBins, product: str) -> DayHistograms:
    """The histograms of a product; without days where there are none."""
    rows = np.flatnonzero(cycles.product == product)
    days, at = np.unique(cycles.business_date[rows], return_inverse=True)
    counts = np.zeros((len(days), CYCLE_BINS), np.int64)
    np.add.at(counts, (at, cycles.bin[rows]), cycles.cycles[rows])
    return DayHistograms(days.astype(np.int64), np.maximum(counts, 0))


def median_ms(counts: Int64) -> Float64:
    """The median of each row's cycles, as if those of a bin lay evenly in it [ms]; not a number without any."""
    made = counts.cumsum(axis=1)
    half = made[:, -1] / 2
    place = (made < half[:, np.newaxis]).sum(axis=1).clip(0, CYCLE_BINS - 1)
    rows = np.arange(len(counts))
    inside = counts[rows, place]
    passed = np.divide(half - (made[rows, place] - inside), inside, out=np.full(len(counts), np.nan), where=inside > 0)
    out: Float64 = 2.0 ** ((place + passed) / BINS_PER_OCTAVE)
    return out


def repeated_ms(total: Int64) -> float | None:
    """The fastest cycle that is repeated, found as `oee.kpi.learn` does: from the fast side the first mode at least a third as
    dense as the densest, and the mean around its top [ms]. None with too few cycles, or without such a mode.
    """
    if int(total.sum()) < LEAST_CYCLES:
        return None
    density = np.convolve(total, np.ones(3) / 3, "same")
    best = begin = int(np.argmax(density >= _DENSE * density.max()))
    for place in range(begin, CYCLE_BINS):
        if density[place] > density[best]:
            best = place
        elif density[place] < _DIP * density[best]:
            break
    low, high = max(best - _BAND, 0), best + _BAND + 1
    inside = total[low:high]
    if inside.sum() < _FEWEST * total.sum():
        return None
    return float(np.average(centre_ms(np.arange(low, low + len(inside))), weights=inside))


@dataclass(frozen=True)
class Peak:
    """Cycles that take a multiple of the one that is repeated. count: those within 3 % of it; expected: how many there would be if
    they were as dense as the cycles 6 to 15 % away; z: how far the first is above the second, in standard deviations.
    """

    count: float
    expected: float

    @property
    def z(self) -> float:
        """0 without any."""
        return (self.count - self.expected) / math.sqrt(max(self.expected, 1.0))


def near(repeated: float, factor: float) -> Int64:
    """The bins within 3 % of a multiple of a cycle [ms]."""
    away = np.abs(centre_ms(np.arange(CYCLE_BINS)) / (factor * repeated) - 1)
    return np.flatnonzero(away <= NEAR)


def peak(total: Int64, repeated: float, factors: tuple[float, ...]) -> Peak:
    """The peak at these multiples together. repeated: `repeated_ms` [ms]."""
    count = expected = 0.0
    for factor in factors:
        away = np.abs(centre_ms(np.arange(CYCLE_BINS)) / (factor * repeated) - 1)
        beside = (away > SHOULDERS[0]) & (away <= SHOULDERS[1])
        inside = near(repeated, factor)
        count += float(total[inside].sum())
        expected += float(total[beside].mean()) * len(inside) if beside.any() else 0.0
    return Peak(count, expected)
