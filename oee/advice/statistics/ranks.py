"""What the order of values says without a distribution: shifts, slopes, resampling, and many tests at once. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Float64 = NDArray[np.float64]

MOST_EXACT: Final = 50
"""Values of both samples together up to which ranks are counted: their numbers are whole and below 2^53, so exact."""


@dataclass(frozen=True)
class LocationShift:
    """How far one sample lies from another. low, high: its limits, None where so few values cannot give the level;
    rank: of the ordered differences that are the limits, 0 then; p: two-sided.
    """

    value: float
    low: float | None
    high: float | None
    rank: int
    p: float


def hodges_lehmann(before: ArrayLike, after: ArrayLike, level: float = 0.95) -> LocationShift | None:
    """Median of all differences after - before, between the k-th smallest and k-th largest of them.

    k is the largest rank with P(U < k) <= (1 - level) / 2 of the Mann-Whitney statistic U, counted exactly up to
    `MOST_EXACT` values and floor(mn/2 - z sqrt(mn (m + n + 1) / 12)) beyond; ties count a half, which is conservative.
    None if a sample is empty. (Hodges and Lehmann 1963; Hollander, Wolfe and Chicken, Nonparametric Statistical Methods.)
    """
    b, a = np.asarray(before, np.float64), np.asarray(after, np.float64)
    if not len(b) or not len(a):
        return None
    differences = np.sort(np.subtract.outer(a, b).ravel())
    pairs = len(differences)
    u = float((differences > 0).sum() + 0.5 * (differences == 0).sum())
    tail = (1 - level) / 2
    if len(a) + len(b) <= MOST_EXACT:
        below = np.cumsum(_mann_whitney(len(a), len(b)))
        rank = int(np.searchsorted(below, tail, side="right"))
        p = min(1.0, 2 * float(below[math.floor(min(u, pairs - u) + 0.5)]))
    else:
        spread = math.sqrt(pairs * (len(a) + len(b) + 1) / 12)
        rank = max(0, math.floor(pairs / 2 + float(special.ndtri(tail)) * spread))
        p = min(1.0, 2 * float(special.ndtr(-(abs(u - pairs / 2) - 0.5) / spread)))
    middle = float(np.median(differences))
    if rank < 1:
        return LocationShift(middle, None, None, 0, p)
    return LocationShift(middle, float(differences[rank - 1]), float(differences[pairs - rank]), rank, p)


def stratified_shift(strata: Sequence[tuple[ArrayLike, ArrayLike]], level: float = 0.95) -> LocationShift | None:
    """`hodges_lehmann` within strata: only values of the same stratum are compared, and all differences taken together.

    strata: before and after of each. With one stratum it is `hodges_lehmann`; with more, limits and p are those of the sum
    of Mann-Whitney statistics, normal with the sum of their means and variances. None if no stratum has both. (Hodges and
    Lehmann 1963; Lehmann, Nonparametrics, 3.3.)
    """
    pairs = [(np.asarray(b, np.float64), np.asarray(a, np.float64)) for b, a in strata]
    pairs = [(b, a) for b, a in pairs if len(b) and len(a)]
    if len(pairs) < 2:
        return hodges_lehmann(*pairs[0], level) if pairs else None
    differences = np.sort(np.concatenate([np.subtract.outer(a, b).ravel() for b, a in pairs]))
    u = float((differences > 0).sum() + 0.5 * (differences == 0).sum())
    count = len(differences)
    spread = math.sqrt(sum(len(b) * len(a) * (len(b) + len(a) + 1) / 12 for b, a in pairs))
    rank = max(0, math.floor(count / 2 + float(special.ndtri((1 - level) / 2)) * spread))
    p = min(1.0, 2 * float(special.ndtr(-(abs(u - count / 2) - 0.5) / spread)))
    middle = float(np.median(differences))
    if rank < 1:
        return LocationShift(middle, None, None, 0, p)
    return LocationShift(middle, float(differences[rank - 1]), float(differences[count - rank]), rank, p)


def _mann_whitney(m: int, n: int) -> Float64:
    """P(U = 0), ..., P(U = mn) without ties: the Gaussian binomial coefficient, one factor at a time, as a distribution.

    U is a sum of m independent variables, the i-th with generating function (1 - x^(n+i)) / (1 - x^i) up to a factor.
    """
    counts = np.zeros(m * n + 1)
    counts[0] = 1.0
    for i in range(1, m + 1):
        top = n + i
        longer = counts.copy()
        longer[top:] -= counts[:-top] if top <= m * n else 0.0
        for start in range(i):  # division by 1 - x^i: running sums at distance i
            longer[start::i] = np.cumsum(longer[start::i])
        counts = longer
    out: Float64 = counts / counts.sum()
    return out


def theil_sen(x: ArrayLike, y: ArrayLike) -> float | None:
    """Median of the slopes of all pairs of points with different x; None without such a pair. (Sen 1968.)"""
    first, second = np.asarray(x, np.float64), np.asarray(y, np.float64)
    i, j = np.triu_indices(len(first), 1)
    dx = first[j] - first[i]
    wanted = dx != 0
    if not wanted.any():
        return None
    return float(np.median((second[j] - second[i])[wanted] / dx[wanted]))


def resampled(values: ArrayLike, statistic: Callable[[Float64], Float64], draws: int = 2000, seed: int = 0) -> Float64:
    """The statistic of `draws` samples of the values with replacement, float64[draws]; empty without a value.

    statistic: float64[draws, n] to float64[draws]. The same values and seed give the same draws. (Efron 1979.)
    """
    v = np.asarray(values, np.float64)
    if not len(v):
        return np.zeros(0)
    return statistic(np.random.default_rng(seed).choice(v, (draws, len(v))))


def benjamini_hochberg(p: ArrayLike, q: float = 0.05) -> NDArray[np.bool_]:
    """Which of these tests are kept so that at most q of the kept ones are expected to be false, bool[m].

    The k smallest p are kept, k the largest with p_(k) <= q k / m. (Benjamini and Hochberg 1995.)
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    below = np.flatnonzero(values[order] <= q * np.arange(1, len(values) + 1) / max(len(values), 1))
    kept = np.zeros(len(values), np.bool_)
    kept[order[: below[-1] + 1 if len(below) else 0]] = True
    return kept
