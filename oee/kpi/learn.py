"""Learned ideal times: what a machine has shown it can do, proposed with evidence, never applied automatically. Pure.

The proposal is the centre of the *fastest repeatable* cycle, not the mean (which would make performance about 100 %
for ever) and not the record (which a single double count would set):

1. CycleTimes are spans of k counts without a stop between, divided by k. A poll sees a count up to a period late, which
   blurs a span by one period either way; k is chosen so that this is a tenth of the span.
2. Their density over the logarithm of the cycle time is smoothed with a band as wide as what blurs it: one and a half
   periods of the poll, or twice the shortest interval that holds a quarter of all spans.
3. From the fast side, the first place at least a third as dense as the densest begins a mode; its top is where the
   density has since been highest when it has fallen by a fifth. Double counts and short reads stay far below a
   third; slow cycles and stops lie on the other side.
4. The mean of the spans within the band around the top, taken again until it stays, is the cycle.

Where a count takes no longer than a poll, single slow cycles cannot be distinguished and lengthen the proposal by their
share times their delay. A mode broader than a quarter, or one that holds less than a fifth of the spans, is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from oee.engine.window import Window
from oee.model.facts import UNKNOWN_PRODUCT
from oee.model.samples import Int64

Floats = NDArray[np.float64]

AT_LEAST: Final = 200
"""CycleTimes without which nothing is proposed: a quarter of them still fill a smooth mode."""
SPANS_AT_LEAST: Final = 50
QUANTILES: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9)
_BLUR: Final = 0.1
_NARROWEST: Final = 0.01
_BROADEST: Final = 0.25
_DENSE: Final = 0.35
_DIP: Final = 0.8
_FEWEST: Final = 0.2
_CELLS: Final = 20
_SLOWEST: Final = 20.0


@dataclass(frozen=True)
class Run:
    """Counts of one product without a stop between. t_ns: int64[n], when each was seen; count: int64[n] > 0, counts
    seen then (several, where the poll is slower than the machine). The first is where the measuring begins.
    """

    t_ns: Int64
    count: Int64


@dataclass(frozen=True)
class Evidence:
    """What a proposal rests on. cycles: cycles seen from count to count; stretches: runs that they come from;
    first_ns, last_ns: when; per_span: counts in one span (k); quantiles_us: the span's cycle time at each of
    `QUANTILES` [us]; alike: share of the spans within the band [1]; spread: p10 to p90 of those, over the cycle [1]
    (0 where it is finer than the poll).
    """

    cycles: int
    stretches: int
    first_ns: int
    last_ns: int
    per_span: int = 1
    quantiles_us: tuple[int, ...] = ()
    alike: float = 0.0
    spread: float = 0.0


@dataclass(frozen=True)
class Proposal:
    """cycle_us: time of one count; ideal_us: of one piece; both None with a reason: `too_few_cycles`, `runs_too_short`
    (not enough spans that outlast the poll's blur), `no_repeatable_cycle`.
    """

    cycle_us: int | None
    ideal_us: int | None
    per_count: int
    why_null: str
    evidence: Evidence


def learn(given: Sequence[Run], *, per_count: int = 1, poll_ns: int = 0, at_least: int = AT_LEAST) -> Proposal:
    """An ideal time from runs of one product on one machine.

    per_count: pieces that one count stands for; poll_ns: the period at which the counter is read, 0 if counts carry
    their own time; at_least: fewest cycles.
    """
    runs = [run for run in given if len(run.t_ns) > 1]
    cycles = sum(int(run.count[1:].sum()) for run in runs)
    window = (min(int(run.t_ns[0]) for run in runs), max(int(run.t_ns[-1]) for run in runs)) if runs else (0, 0)
    evidence = Evidence(cycles, len(runs), *window)
    if cycles < at_least:
        return Proposal(None, None, per_count, "too_few_cycles", evidence)
    rough_ns = _rough(runs)
    per_span = max(1, int(np.ceil(poll_ns / (_BLUR * rough_ns))))
    spans = np.sort(np.concatenate([_spans(run, per_span) for run in runs]))
    if len(spans) < SPANS_AT_LEAST:
        evidence = Evidence(cycles, len(runs), *window, per_span)
        return Proposal(None, None, per_count, "runs_too_short", evidence)
    blur = poll_ns / (per_span * rough_ns)
    quarter = max(len(spans) // 4, 2)
    shortest = float(np.min(spans[quarter - 1 :] / spans[: len(spans) - quarter + 1])) - 1
    band = max(1.5 * blur, 2 * shortest, _NARROWEST)
    cycle_ns = _centre(spans, _top(spans, min(band, _BROADEST), blur), min(band, _BROADEST))
    inside = spans[np.abs(spans / cycle_ns - 1) <= min(band, _BROADEST)]
    low, high = np.quantile(inside, [0.1, 0.9]) if len(inside) else (0.0, 0.0)
    quantiles = tuple(round(value / 1000) for value in np.quantile(spans, QUANTILES).tolist())
    alike, spread = len(inside) / len(spans), float(high - low) / cycle_ns
    evidence = Evidence(cycles, len(runs), *window, per_span, quantiles, alike, spread)
    if band > _BROADEST or alike < _FEWEST:
        return Proposal(None, None, per_count, "no_repeatable_cycle", evidence)
    return Proposal(round(cycle_ns / 1000), round(cycle_ns / 1000 / per_count), per_count, "", evidence)


def _rough(runs: Sequence[Run]) -> float:
    """The median cycle, each count weighing the same [ns]."""
    counts = np.concatenate([run.count[1:] for run in runs])
    each = np.concatenate([np.diff(run.t_ns) / run.count[1:] for run in runs])
    order = np.argsort(each, kind="stable")
    middle = np.searchsorted(counts[order].cumsum(), counts.sum() / 2)
    return max(float(each[order][middle]), 1.0)


def _spans(run: Run, per_span: int) -> Floats:
    """For each count the cycle time of the next `per_span` counts, or of the few more that the poll saw at once [ns]."""
    made = run.count.cumsum()
    last = np.searchsorted(made, made + per_span)
    first = np.flatnonzero(last < len(made))
    last = last[first]
    out: Floats = (run.t_ns[last] - run.t_ns[first]) / (made[last] - made[first])
    return out[out > 0]


def _top(spans: Floats, band: float, blur: float) -> float:
    """Where the fastest dense mode is highest [ns]."""
    cell = band / _CELLS
    low = float(np.log(spans[0])) - 2 * band
    high = min(float(np.log(spans[-1])), float(np.log(np.median(spans) * _SLOWEST))) + 2 * band
    size = int((high - low) / cell) + 1
    place = ((np.log(spans) - low) / cell).astype(np.int64)
    density = np.bincount(place[place < size], minlength=size).astype(np.float64)
    comb_width = max(1, round(blur / cell))  # polled times lie on a comb whose teeth are no modes
    for width in (_CELLS, _CELLS, comb_width):
        density = np.convolve(density, np.ones(width) / width, "same")
    best = begin = int(np.argmax(density >= _DENSE * density.max()))
    for index in range(begin, size):
        if density[index] > density[best]:
            best = index
        elif density[index] < _DIP * density[best]:
            break
    return float(np.exp(low + (best + 0.5) * cell))


def _centre(spans: Floats, start_ns: float, band: float) -> float:
    """Mean of the spans within the band around it, iterated from `start_ns` until it stays [ns]."""
    centre_ns = start_ns
    for _ in range(50):
        first, last = np.searchsorted(spans, [centre_ns * (1 - band), centre_ns * (1 + band)])
        if first == last:
            return centre_ns
        mean_ns = float(spans[first:last].mean())
        if abs(mean_ns - centre_ns) <= 1e-6 * centre_ns:
            return mean_ns
        centre_ns = mean_ns
    return centre_ns


@dataclass(frozen=True)
class Runs:
    """Several runs one after the other, as columns of equal length: t_ns and count as in `Run`; begins: bool[n], true where
    a run begins."""

    t_ns: Int64
    count: Int64
    begins: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.t_ns)

    def latest(self, most: int) -> "Runs":
        """The last `most` counts at most."""
        begins = self.begins[-most:].copy()
        begins[:1] = True
        return Runs(self.t_ns[-most:], self.count[-most:], begins)

    def split(self) -> tuple[Run, ...]:
        """Each run by itself."""
        edges = [*np.flatnonzero(self.begins).tolist(), len(self)]
        return tuple(Run(self.t_ns[low:high], self.count[low:high]) for low, high in pairwise(edges))


def join_runs(one: Runs, two: Runs) -> Runs:
    """The runs of both, one after the other."""
    return Runs(*(np.concatenate([getattr(one, name), getattr(two, name)]) for name in ("t_ns", "count", "begins")))


def runs_of(window: Window, start_ns: int = 0, end_ns: int = 2**62) -> dict[tuple[str, int], Runs]:
    """Runs of counts in `[start_ns, end_ns)` of a window, by product and pieces per count: watched, without a stop between
    them, known products only. Runs of several windows may be joined (`join_runs`).
    """
    runs_seen = window.count_runs
    low, high = np.searchsorted(runs_seen.t_ns, [start_ns, end_ns])
    t_ns, count, product, per_count, begins = (column[low:high] for column in runs_seen)
    if len(t_ns) < 2:
        return {}
    begins = begins.copy()
    begins[0] = True
    stretch = begins.cumsum() - 1
    is_known = np.array([name != UNKNOWN_PRODUCT for name in window.names])
    kept = (np.bincount(stretch)[stretch] > 1) & is_known[product] & (per_count > 0)
    runs = {}
    for code, pieces in sorted(set(zip(product[kept].tolist(), per_count[kept].tolist(), strict=True))):
        of_key = kept & (product == code) & (per_count == pieces)
        runs[(window.names[code], pieces)] = Runs(t_ns[of_key], count[of_key], begins[of_key])
    return runs


def runs_by_product(window: Window) -> dict[tuple[str, int], tuple[Run, ...]]:
    """The same as `runs_of`, each run by itself."""
    return {key: runs.split() for key, runs in runs_of(window).items()}


def proposals(window: Window, *, poll_ns: int = 0, at_least: int = AT_LEAST) -> dict[str, Proposal]:
    """A proposal for each product of a window, from the number of pieces per count that most of its cycles had."""
    best: dict[str, Proposal] = {}
    for (product, per_count), runs in sorted(runs_by_product(window).items()):
        proposal = learn(runs, per_count=per_count, poll_ns=poll_ns, at_least=at_least)
        if product not in best or proposal.evidence.cycles > best[product].evidence.cycles:
            best[product] = proposal
    return best
