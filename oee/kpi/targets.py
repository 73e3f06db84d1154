"""Targets: which one counts, and how many pieces should have been made by now. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Target:
    """What is aimed at: on a machine or a line, or at the whole site (both ""); for a product, or for all (""); from a day
    on, or always. values: by kind, such as `pieces` (in a shift) or `takt_s` (time for a piece [s]).
    """

    values: Mapping[str, float]
    line: str = ""
    machine: str = ""
    product: str = ""
    since: date | None = None

    def holds(self, line: str, machine: str, product: str, day: date) -> bool:
        """Whether it is about this machine of this line, this product and this day."""
        here = self.machine in ("", machine) and self.line in ("", line) and self.product in ("", product)
        return here and (self.since is None or self.since <= day)


def aim(targets: Iterable[Target], kind: str, *, line: str, machine: str, product: str, day: date) -> float | None:
    """The value of this kind that counts; None if nothing is aimed at.

    The most specific target counts: of a machine before that of its line before the site's; then of the product before
    that of all; then the one that began last.
    """
    found = [item for item in targets if kind in item.values and item.holds(line, machine, product, day)]
    if not found:
        return None
    best = max(
        found, key=lambda item: (bool(item.machine), bool(item.line), bool(item.product), item.since or date.min)
    )
    return best.values[kind]


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
