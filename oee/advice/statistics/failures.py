"""Events in time: whether failures become more frequent, how long between them, and whether a rate fell. Pure."""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

_LEAST_BETA: Final = 0.01
_MOST_BETA: Final = 100.0


@dataclass(frozen=True)
class PowerLaw:
    """Failures as a power-law process of intensity proportional to t^(beta - 1): beta above 1 is wearing out.

    beta: maximum likelihood; beta_unbiased: (n - 1) / n of it; chi2: 2 sum ln(T / t_i), of `df` = 2n degrees without a
    trend; p_wear_out, p_growth: one-sided p of beta > 1 and of beta < 1.
    """

    n: int
    beta: float
    beta_unbiased: float
    chi2: float
    df: int
    p_wear_out: float
    p_growth: float


def crow_amsaa(times: ArrayLike, total: float) -> PowerLaw | None:
    """Maximum likelihood beta = n / sum ln(T / t_i), unbiased (n - 1) / sum, over a period that was not ended by a failure.

    times: float64[n] in any order, each in (0, total], in the unit of `total` (operating hours). Failures that repeat
    at once must be merged before: they look like wear. None with fewer than two failures, or if all lie at the end.
    Raises `ValueError` for a time outside. (L. Crow 1974; MIL-HDBK-189.)
    """
    t = np.asarray(times, np.float64)
    if len(t) and not (t.min() > 0 and t.max() <= total):
        raise ValueError(f"failure times must lie in (0, {total}], not {t.min()} to {t.max()}")
    logs = float(np.log(total / t).sum()) if len(t) >= 2 else 0.0
    if logs <= 0:
        return None
    n, chi2 = len(t), 2 * logs
    wear_out, growth = float(special.chdtr(2 * n, chi2)), float(special.chdtrc(2 * n, chi2))
    return PowerLaw(n, n / logs, (n - 1) / logs, chi2, 2 * n, wear_out, growth)


def crow_amsaa_observed(begin: ArrayLike, end: ArrayLike) -> PowerLaw | None:
    """The same where failures are seen in parts of the time only, each of which but the last ends with one.

    begin, end: float64[n + 1], in order. beta maximises the likelihood over these parts: n / beta + sum ln t_i = n sum (b^beta ln b
    - a^beta ln a) / sum (b^beta - a^beta). chi2 and p are those of `crow_amsaa` on a clock that runs in these parts alone, on which
    failures without a trend are a Poisson process again. One part from 0 on for each failure is `crow_amsaa`. None as there.
    """
    a, b = np.asarray(begin, np.float64), np.asarray(end, np.float64)
    clock = np.cumsum(b - a)
    if len(b) < 3 or not clock[0] > 0:
        return None
    found = crow_amsaa(clock[:-1], float(clock[-1]))
    if found is None:
        return None
    a, b = a / b[-1], b / b[-1]
    logs, n = float(np.log(b[:-1]).sum()), found.n
    log_a, log_b = np.log(np.where(a > 0, a, 1.0)), np.log(b)

    def slope(beta: float) -> float:
        of_a, of_b = np.where(a > 0, np.exp(beta * log_a), 0.0), np.exp(beta * log_b)
        return n / beta + logs - n * float((of_b * log_b - of_a * log_a).sum() / (of_b - of_a).sum())

    low, high = _LEAST_BETA, _MOST_BETA
    while high / low > 1 + 1e-12:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return replace(found, beta=low, beta_unbiased=low * (n - 1) / n)


@dataclass(frozen=True)
class BetweenFailures:
    """Mean time between failures and its limits, in the unit of the time given. value: None below two failures; high:
    None without a failure ("longer than `low`").
    """

    value: float | None
    low: float
    high: float | None


def between_failures(failures: int, total: float, level: float = 0.95) -> BetweenFailures | None:
    """2T / chi2(1 - a/2; 2n + 2) .. 2T / chi2(a/2; 2n) for n failures in a fixed time T; a = 1 - level.

    Without a failure one-sided: T / -ln(a), about T / 3. None if `total` is not positive. (Epstein 1960; IEC 60605-4.)
    """
    if not total > 0:
        return None
    tail = 1 - level
    if failures == 0:
        return BetweenFailures(None, total / -math.log(tail), None)
    low = 2 * total / float(special.chdtri(2 * failures + 2, tail / 2))
    high = 2 * total / float(special.chdtri(2 * failures, 1 - tail / 2))
    return BetweenFailures(total / failures if failures >= 2 else None, low, high)


def repair_time(failures: int, total: float, level: float = 0.95) -> BetweenFailures | None:
    """Mean time to repair total / n with 2R / chi2(1 - a/2; 2n) .. 2R / chi2(a/2; 2n), in the unit of `total`; a = 1 - level.

    Exact where repairs last exponentially long; a few long ones make them wider than that. None without a repair or if
    `total` is not positive. (Epstein 1960.)
    """
    if failures < 1 or not total > 0:
        return None
    tail, df = 1 - level, 2 * failures
    low = 2 * total / float(special.chdtri(df, tail / 2))
    high = 2 * total / float(special.chdtri(df, 1 - tail / 2))
    return BetweenFailures(total / failures, low, high)


@dataclass(frozen=True)
class RateRatio:
    """Rate after over rate before with its limits; high may be infinite."""

    value: float
    low: float
    high: float


def rate_ratio(
    before: float, before_time: float, after: float, after_time: float, level: float = 0.95
) -> RateRatio | None:
    """Ratio of two Poisson rates: n_after of n_after + n_before is binomial, its Clopper-Pearson limits made a ratio.

    Counts that are spread wider than Poisson's are given divided by their dispersion, which widens the limits by its root.
    None without an event before or without time in either. (Przyborowski and Wilenski 1940; Clopper and Pearson 1934.)
    """
    if not before > 0 or not (before_time > 0 and after_time > 0):
        return None
    tail, times = (1 - level) / 2, before_time / after_time
    low = float(special.betaincinv(after, before + 1, tail)) if after else 0.0
    high = float(special.betaincinv(after + 1, before, 1 - tail))
    return RateRatio(
        after / before * times, low / (1 - low) * times, high / (1 - high) * times if high < 1 else math.inf
    )


def binomial_above(k: int, n: int, p: float) -> float:
    """P(at least k of n); 1 for k of 0 or less, 0 for k above n."""
    if k <= 0 or k > n:
        return float(k <= 0)
    return float(special.betainc(k, n - k + 1, p))
