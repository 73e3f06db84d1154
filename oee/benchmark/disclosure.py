"""Whether figures of several sites may be shown, and as what. Pure.

A figure of a group is safe if it says nothing of one member, not even to another member, who can subtract itself:

* at least `FEWEST_SITES` contribute, so that each sees at least five others;
* nobody dominates. By the p % rule, what all but the two largest bring must be at least `P_PERCENT` of the largest, or the
  second largest could tell the largest within that accuracy; by the (n, k) rule the `DOMINANT` largest bring at most
  `K_PERCENT` of the whole. (A. Hundepool et al., Handbook on Statistical Disclosure Control, section 4.2.)
* it is a smoothed quartile, rounded by whoever shows it, never a minimum, a maximum, a mean or a rank.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

FEWEST_SITES: Final = 6
P_PERCENT: Final = 15
DOMINANT: Final = 2
K_PERCENT: Final = 85
BANDS: Final = ((20, "20+"), (10, "10-19"), (FEWEST_SITES, "6-9"))
"""How many sites contribute is told as a band: the smallest number and its name, largest first."""


@dataclass(frozen=True)
class Quartiles:
    """Lower quartile, median and upper quartile, in the unit of the values, smoothed and not rounded."""

    p25: float
    p50: float
    p75: float


def may_be_shown(weights: Sequence[int]) -> bool:
    """Whether a group with these weights (what each site brings, for instance its busy time) is safe to show."""
    if len(weights) < FEWEST_SITES:
        return False
    ordered = sorted((int(weight) for weight in weights), reverse=True)
    total, largest, top = sum(ordered), ordered[0], sum(ordered[:DOMINANT])
    if total <= 0 or ordered[-1] < 0:
        return False
    return 100 * (total - top) >= P_PERCENT * largest and 100 * top <= K_PERCENT * total


def quartiles(values: npt.ArrayLike) -> Quartiles:
    """Each the mean of three neighbouring order statistics, around the ranks n/4, n/2 and 3n/4, rounded up.

    Raises `ValueError` for fewer than `FEWEST_SITES` values or one that is no number.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    count = len(ordered)
    if count < FEWEST_SITES or not np.isfinite(ordered).all():
        raise ValueError(f"{count} values: at least {FEWEST_SITES} finite ones are needed")
    middles = (min(max(-(-count * quarter // 4), 2), count - 1) for quarter in (1, 2, 3))
    return Quartiles(*(float(ordered[middle - 2 : middle + 1].mean()) for middle in middles))


def band(sites: int) -> str:
    """The band of a number of sites; "" below the fewest."""
    return next((name for least, name in BANDS if sites >= least), "")
