"""Ratios of sums over blocks of time, with intervals that stay right when one day resembles the next. Pure.

A block is a business date of a machine, or a shift. Everything is a ratio of sums R = sum(n) / sum(d), never a mean of
ratios. Its influence u_t = (n_t - R d_t) / mean(d) says how much block t pulls R; sum(u) = 0 and Var(R) = omega / T,
where omega is the long-run variance of u. It is estimated by equal-weighted cosines (EWC): E. Lazarus, D. Lewis,
J. Stock and M. Watson, HAR Inference: Recommendations for Practice, Journal of Business & Economic Statistics 36(4),
2018. At 12 to 48 days its 95 % intervals cover 90 to 95 % up to a correlation of 0.7 from day to day, where t tests
and bootstraps cover 60 to 90 %.

Arrays are float64[T], one value for each block in order of time, unless said otherwise. `level` is two-sided.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Float64 = NDArray[np.float64]
Window = tuple[ArrayLike, ArrayLike]
"""Numerators and denominators of the same blocks."""

LEAST_BLOCKS: Final = 4
"""Of one window; with fewer there is no estimate of how blocks vary."""
LEAST_DAYS_OF_A_TREND: Final = 36
LEAST_BLOCKS_OF_A_PRODUCT: Final = 3
LEAST_COMPARABLE: Final = 0.8


@dataclass(frozen=True)
class Estimate:
    """A value with its interval [low, high]. se: standard error; df: degrees of freedom of Student's t; omega: long-run
    variance of the influence, 0 where none was used.
    """

    value: float
    low: float
    high: float
    se: float
    df: float
    omega: float = 0.0

    def p_above(self, null: float = 0.0) -> float:
        """One-sided p of `value > null`; 0.5 where nothing varies and nothing differs."""
        if self.se == 0:
            return 0.5 if self.value == null else float(self.value < null)
        return float(special.stdtr(self.df, -(self.value - null) / self.se))

    def p_two_sided(self, null: float = 0.0) -> float:
        """Two-sided p of `value != null`; 1 where nothing varies and nothing differs."""
        above = self.p_above(null)
        return min(1.0, 2 * min(above, 1 - above))


def ratio(num: ArrayLike, den: ArrayLike) -> tuple[float, Float64] | None:
    """R = sum(n) / sum(d) and the influence float64[T] of each block; None if sum(d) is not positive."""
    n, d = np.asarray(num, np.float64), np.asarray(den, np.float64)
    total = float(d.sum())
    if not total > 0:
        return None
    value = float(n.sum()) / total
    return value, (n - value * d) * (len(d) / total)


def ewc_degrees(blocks: int) -> int:
    """How many cosines, and degrees of freedom, T blocks give: b = max(2, floor(0.4 T^(2/3)))."""
    return max(2, math.floor(0.4 * math.pow(blocks, 2 / 3) + 1e-9))


def ewc_power(influence: Float64) -> float:
    """Sum over j = 1..b of L_j^2, L_j = sqrt(2/T) sum_t u_t cos(pi j (t - 1/2) / T); its mean over j is omega."""
    t = len(influence)
    j = np.arange(1, ewc_degrees(t) + 1)[:, None]
    terms = math.sqrt(2 / t) * (np.cos(np.pi * j * (np.arange(t) + 0.5) / t) @ influence)
    return float(terms @ terms)


def one_window(num: ArrayLike, den: ArrayLike, level: float = 0.95) -> Estimate | None:
    """R with the interval R +- t(b) sqrt(omega / T); None with fewer than `LEAST_BLOCKS` blocks or without den."""
    found = ratio(num, den)
    if found is None or len(found[1]) < LEAST_BLOCKS:
        return None
    value, u = found
    df = ewc_degrees(len(u))
    omega = ewc_power(u) / df
    return _interval(value, math.sqrt(omega / len(u)), df, omega, level)


def two_windows(before: Window, after: Window, level: float = 0.95) -> Estimate | None:
    """R_after - R_before: omega pooled over both windows, se = sqrt(omega (1/T_b + 1/T_a)), b_b + b_a degrees.

    None if a window has fewer than `LEAST_BLOCKS` blocks or no denominator.
    """
    first, last = ratio(*before), ratio(*after)
    if first is None or last is None:
        return None
    return of_influences(last[0] - first[0], first[1], last[1], level)


def difference_in_differences(
    before: Window,
    after: Window,
    controls_before: Sequence[Window],
    controls_after: Sequence[Window],
    level: float = 0.95,
) -> Estimate | None:
    """(R_after - R_before) less the mean of the same over controls, whose blocks are those of the same dates.

    u_t = u_treated,t - mean over controls of u_control,t; then as `two_windows`, of which it is the case without
    controls. None as there. Raises `ValueError` if blocks or controls do not pair.
    """
    if len(controls_before) != len(controls_after):
        raise ValueError(f"{len(controls_before)} controls before, but {len(controls_after)} after")
    first, last = ratio(*before), ratio(*after)
    others = [(ratio(*b), ratio(*a)) for b, a in zip(controls_before, controls_after, strict=True)]
    pairs = [(b, a) for b, a in others if b is not None and a is not None]
    if first is None or last is None or len(pairs) < len(others):
        return None
    if not pairs:
        return of_influences(last[0] - first[0], first[1], last[1], level)
    if any(len(b[1]) != len(first[1]) or len(a[1]) != len(last[1]) for b, a in pairs):
        raise ValueError("a control's blocks must be those of the same dates as the machine's")
    shift = float(np.mean([a[0] - b[0] for b, a in pairs]))
    u_before = first[1] - np.mean([b[1] for b, _ in pairs], axis=0)
    u_after = last[1] - np.mean([a[1] for _, a in pairs], axis=0)
    return of_influences(last[0] - first[0] - shift, u_before, u_after, level)


@dataclass(frozen=True)
class Standardised:
    """Two windows as if both had the same mix. before, after: standardised ratios; change: their difference with its
    interval; raw: the difference as it was; weights: float64[P], 0 for products that cannot be compared; covered: share
    of the denominator that the compared products hold.
    """

    before: float
    after: float
    change: Estimate
    raw: float
    weights: Float64
    covered: float

    @property
    def mix(self) -> float:
        """What the changed mix alone did: raw less standardised change."""
        return self.raw - self.change.value


@dataclass(frozen=True)
class Sides:
    """Two windows of several products as if both had the same mix. before, after: R_std and its influence float64[T]; weights,
    covered: as in `Standardised`.
    """

    before: tuple[float, Float64]
    after: tuple[float, Float64]
    weights: Float64
    covered: float


def sides(before: Window, after: Window) -> Sides | None:
    """Direct standardisation, as `standardised` says; None if the products cannot be compared."""
    (nb, db), (na, da) = ((np.asarray(n, np.float64), np.asarray(d, np.float64)) for n, d in (before, after))
    whole = float(db.sum() + da.sum())
    enough = ((db > 0).sum(1) >= LEAST_BLOCKS_OF_A_PRODUCT) & ((da > 0).sum(1) >= LEAST_BLOCKS_OF_A_PRODUCT)
    held = np.where(enough, db.sum(1) + da.sum(1), 0.0)
    if not whole > 0 or held.sum() < LEAST_COMPARABLE * whole:
        return None
    weights: Float64 = held / held.sum()
    found: list[tuple[float, Float64]] = []
    for n, d in ((nb, db), (na, da)):
        rows = [ratio(n[p], d[p]) for p in np.flatnonzero(enough)]
        parts = [(w, row) for w, row in zip(weights[enough], rows, strict=True) if row is not None]
        found.append((float(sum(w * row[0] for w, row in parts)), np.sum([w * row[1] for w, row in parts], axis=0)))
    return Sides(found[0], found[1], weights, float(held.sum() / whole))


def standardised(before: Window, after: Window, level: float = 0.95) -> Standardised | None:
    """Direct standardisation: R_std = sum_p w_p R_p, w_p = product p's share of the denominator in both windows.

    before, after: float64[P, T], a row for each product, 0 where it was not made. A product counts if both windows have
    `LEAST_BLOCKS_OF_A_PRODUCT` blocks of it. None ("not comparable") if those hold less than `LEAST_COMPARABLE` of the
    denominator, or a window has fewer than `LEAST_BLOCKS` blocks. (Rothman, Greenland and Lash, Modern Epidemiology.)
    """
    found = sides(before, after)
    if found is None:
        return None
    first, last = found.before, found.after
    change = of_influences(last[0] - first[0], first[1], last[1], level)
    if change is None:
        return None
    (nb, db), (na, da) = ((np.sum(n), np.sum(d)) for n, d in (before, after))
    return Standardised(first[0], last[0], change, float(na / da - nb / db), found.weights, found.covered)


@dataclass(frozen=True)
class SlotRatio:
    """Rates inside and outside a slot, their ratio with its interval, the one-sided p of `ratio > 1`, and n instances."""

    rate_slot: float
    rate_rest: float
    ratio: float
    low: float
    high: float
    p: float
    n: int


def slot_test(
    hits: ArrayLike, exposure: ArrayLike, rest_hits: ArrayLike, rest_exposure: ArrayLike, level: float = 0.95
) -> SlotRatio | None:
    """Whether events cluster in a slot: slot against rest *within* each shift instance, on the log scale.

    w_i = u_slot,i / R_slot - u_rest,i / R_rest; se = sd(w) / sqrt(n); n - 1 degrees. A shift's mood and bursts are in
    both, which a Poisson or binomial test does not know (it rejects twice as often as it says). Exposure is running
    time. None with fewer than two instances, without exposure, or without an event on either side.
    """
    slot, rest = ratio(hits, exposure), ratio(rest_hits, rest_exposure)
    if slot is None or rest is None or slot[0] <= 0 or rest[0] <= 0 or len(slot[1]) < 2:
        return None
    n = len(slot[1])
    w = slot[1] / slot[0] - rest[1] / rest[0]
    se = math.sqrt(float(w @ w) / (n - 1) / n)
    log = _interval(math.log(slot[0] / rest[0]), se, n - 1, 0.0, level)
    return SlotRatio(slot[0], rest[0], slot[0] / rest[0], math.exp(log.low), math.exp(log.high), log.p_above(), n)


def thirds_trend(num: ArrayLike, den: ArrayLike, level: float = 0.95) -> Estimate | None:
    """Last third of the days less the first third, as two windows; None with fewer than `LEAST_DAYS_OF_A_TREND` days.

    A slope with an EWC error rejects two to three times too often at these lengths; thirds do not.
    """
    n, d = np.asarray(num, np.float64), np.asarray(den, np.float64)
    if len(n) < LEAST_DAYS_OF_A_TREND:
        return None
    third = len(n) // 3
    return two_windows((n[:third], d[:third]), (n[-third:], d[-third:]), level)


def detectable_effect(omega: float, before: int, after: int, power: float = 0.8, level: float = 0.95) -> float:
    """Least effect that windows of these numbers of blocks show with this power: (t_level + t_power) x se.

    omega: from history. Infinite if a window is shorter than `LEAST_BLOCKS`.
    """
    if min(before, after) < LEAST_BLOCKS:
        return math.inf
    df = ewc_degrees(before) + ewc_degrees(after)
    quantiles = float(special.stdtrit(df, 0.5 + level / 2) + special.stdtrit(df, power))
    return quantiles * math.sqrt(omega * (1 / before + 1 / after))


@dataclass(frozen=True)
class ChangePoint:
    """at: first block after the change; t: its size in standard errors, at least 0; size: mean after less before."""

    at: int
    t: float
    size: float


def change_point(values: ArrayLike, omega: float, trim: float = 0.15) -> ChangePoint | None:
    """The single change of the mean with the largest |t|; it supports a date and is no test, since it is searched for.

    trim: share of the blocks at each end (three at least) where none is looked for. None if no block is left, or if
    omega is not positive.
    """
    y = np.asarray(values, np.float64)
    edge = max(3, int(trim * len(y)))
    if len(y) < 2 * edge + 1 or not omega > 0:
        return None
    k = np.arange(edge, len(y) - edge + 1)
    sums = np.cumsum(y)
    size = (sums[-1] - sums[k - 1]) / (len(y) - k) - sums[k - 1] / k
    t = np.abs(size) / np.sqrt(omega * (1 / k + 1 / (len(y) - k)))
    best = int(np.argmax(t))
    return ChangePoint(int(k[best]), float(t[best]), float(size[best]))


def of_influences(value: float, u_before: Float64, u_after: Float64, level: float = 0.95) -> Estimate | None:
    """A change with the influence of each block on it, as `two_windows` estimates it; None as there."""
    before, after = len(u_before), len(u_after)
    if min(before, after) < LEAST_BLOCKS:
        return None
    df = ewc_degrees(before) + ewc_degrees(after)
    omega = (ewc_power(u_before) + ewc_power(u_after)) / df
    return _interval(value, math.sqrt(omega * (1 / before + 1 / after)), df, omega, level)


def _interval(value: float, se: float, df: float, omega: float, level: float) -> Estimate:
    half = float(special.stdtrit(df, 0.5 + level / 2)) * se
    return Estimate(value, value - half, value + half, se, df, omega)
