"""Targets: which one counts, what they come to over a period, and how many pieces should have been made by now. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, NamedTuple

RATIOS: Final = ("oee", "availability", "performance", "quality")
KINDS: Final = (*RATIOS, "pieces", "takt_s")
"""What may be aimed at: ratios [1], pieces in a shift, time for one piece [s]."""
Source = Literal["site", "center"]
"""Who set a target: the site file, or somebody at the center."""


@dataclass(frozen=True)
class Target:
    """What is aimed at: on a machine or a line, or at the whole site (both ""); for a product, or for all (""); from a day
    on, or always. values: by kind of `KINDS`; source: who set it.
    """

    values: Mapping[str, float]
    line: str = ""
    machine: str = ""
    product: str = ""
    since: date | None = None
    source: Source = "site"

    def holds(self, line: str, machine: str, product: str, day: date) -> bool:
        """Whether it is about this machine of this line, this product and this day."""
        here = self.machine in ("", machine) and self.line in ("", line) and self.product in ("", product)
        return here and (self.since is None or self.since <= day)


def counting(
    targets: Iterable[Target], kind: str, *, line: str, machine: str, product: str, day: date
) -> Target | None:
    """The target of this kind that counts; None if nothing is aimed at.

    The most specific target counts: of a machine before that of its line before the site's; then of the product before
    that of all. Of targets about the same, the center's counts before the site file's, and then the one that began last.
    """
    found = [item for item in targets if kind in item.values and item.holds(line, machine, product, day)]
    return max(found, key=_rank, default=None)


def _rank(item: Target) -> tuple[bool, bool, bool, bool, date]:
    since = item.since or date.min
    return bool(item.machine), bool(item.line), bool(item.product), item.source == "center", since


def aim(targets: Iterable[Target], kind: str, *, line: str, machine: str, product: str, day: date) -> float | None:
    """The value of this kind that counts, as `counting` decides; None if nothing is aimed at."""
    best = counting(targets, kind, line=line, machine=machine, product=product, day=day)
    return best.values[kind] if best else None


class Slice(NamedTuple):
    """A part of a period in which nothing changes that targets depend on. ms: planned time [ms]; shift_share: which part
    of its shift's planned time that is [1].
    """

    line: str
    machine: str
    product: str
    day: date
    ms: float
    shift_share: float


class PeriodTarget(NamedTuple):
    """What targets of one kind come to over a period. value: the ratio, the pieces, or the mean takt [s]; due: pieces that
    should have been made by it, None for ratios; sources: who set those that count.
    """

    value: float
    due: float | None
    sources: frozenset[Source]


def over_period(targets: Mapping[str, Sequence[Target]], kind: str, slices: Iterable[Slice]) -> PeriodTarget | None:
    """Targets of a kind over a period: ratios weighted by planned time, pieces of shifts by the part of each shift that
    lies in it, takt by the pieces that it asks for. targets: by machine those that may be about it.

    None where any planned time has no target: the rest would be compared with what was not aimed at; also without any
    planned time.
    """
    total_ms, weighted, due = 0.0, 0.0, 0.0
    sources: set[Source] = set()
    for item in slices:
        if item.ms <= 0:
            continue
        found = targets.get(item.machine, ())
        best = counting(found, kind, line=item.line, machine=item.machine, product=item.product, day=item.day)
        if best is None:
            return None
        value = best.values[kind]
        sources.add(best.source)
        total_ms += item.ms
        weighted += value * item.ms
        due += value * item.shift_share if kind == "pieces" else item.ms / 1000 / value if kind == "takt_s" else 0.0
    if not total_ms:
        return None
    if kind == "pieces":
        return PeriodTarget(due, due, frozenset(sources))
    if kind == "takt_s":
        return PeriodTarget(total_ms / 1000 / due, due, frozenset(sources))
    return PeriodTarget(weighted / total_ms, None, frozenset(sources))


def due_by_shift(pieces: float, elapsed_ms: int, scheduled_ms: int) -> float:
    """Pieces that should have been made after `elapsed_ms` of `scheduled_ms` scheduled time of a shift."""
    return pieces * elapsed_ms / scheduled_ms if scheduled_ms else 0.0


def due_by_takt(time_ms: Mapping[str, int], takt_s: Mapping[str, float | None]) -> float | None:
    """Pieces that should have been made in this time by product [ms], at each product's takt; None if a product that was
    made has none.
    """
    spent = {product: ms for product, ms in time_ms.items() if ms > 0}
    paced = {product: takt for product in spent if (takt := takt_s.get(product))}
    if paced.keys() != spent.keys():
        return None
    return sum(ms / 1000 / paced[product] for product, ms in spent.items())
