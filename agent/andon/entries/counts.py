"""From taps to counts: a tap says "one more", a declaration says "so many pieces in this period". Pure.

The period of a tap goes on from the shift's last entry to the tap, so every piece up to the last tap is judged. An entry that
is not older than an hour is replaced by one that is longer and larger, so that rejects stay near the time at which they
were found. Periods never overlap: what others have declared for the same time is taken in.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from oee.model.declarations import Declaration

PERIOD_NS: Final = 3_600_000_000_000
"""How long an entry goes on before the next one begins."""
_MS_NS: Final = 1_000_000


@dataclass(frozen=True)
class PeriodCount:
    """So many pieces in `[start_ns, end_ns)`. product: "" for all. withdrawn: declarations that no longer hold."""

    start_ns: int
    end_ns: int
    count: int
    product: str = ""
    withdrawn: tuple[Declaration, ...] = ()


def more(standing: Iterable[Declaration], add: int, *, since_ns: int, at_ns: int) -> PeriodCount:
    """The entry that says that there are `add` more at `at_ns`, in a shift (or with a product) that began at `since_ns`.

    standing: the entries of this machine and field in force (`oee.model.declarations.entries`); they do not overlap.
    """
    at_ns = max(at_ns - at_ns % _MS_NS, since_ns + _MS_NS)
    covering = next((item for item in standing if item.start_ns < at_ns < _end(item)), None)
    if covering:
        return PeriodCount(covering.start_ns, _end(covering), int(covering.value) + add, covering.product)
    before = [item for item in standing if _end(item) <= at_ns]
    last = max(before, key=_end, default=None)
    if last is None or _end(last) <= since_ns:
        return PeriodCount(since_ns, at_ns, add)
    goes_on = not last.product and last.start_ns >= since_ns and at_ns - last.start_ns <= PERIOD_NS
    if goes_on:
        return PeriodCount(last.start_ns, at_ns, int(last.value) + add)
    if _end(last) < at_ns:
        return PeriodCount(_end(last), at_ns, add)
    return PeriodCount(last.start_ns, at_ns, int(last.value) + add, last.product)


def whole(standing: Iterable[Declaration], count: int, *, start_ns: int, end_ns: int) -> PeriodCount:
    """The entry that says that there were `count` in all of `[start_ns, end_ns)`. It replaces those within it; what overlaps
    it in another way, or is about one product, no longer holds. One that began earlier keeps its period.
    """
    start_ns = max([start_ns, *(_end(item) for item in standing if item.start_ns < start_ns < _end(item) < end_ns)])
    overlapping = [item for item in standing if item.start_ns < end_ns and _end(item) > start_ns]
    inside = [item for item in overlapping if start_ns <= item.start_ns and _end(item) <= end_ns and not item.product]
    return PeriodCount(start_ns, end_ns, count, "", tuple(item for item in overlapping if item not in inside))


def fewer(standing: Iterable[Declaration], wrong: Declaration, add: int) -> PeriodCount | None:
    """What says that the `add` pieces of an entry were wrong, where later entries have taken it in; None if none has."""
    for item in standing:
        if item.start_ns <= wrong.start_ns and _end(item) >= _end(wrong) and item.product == wrong.product:
            return PeriodCount(item.start_ns, _end(item), max(int(item.value) - add, 0), item.product)
    return None


def counted(standing: Sequence[Declaration], start_ns: int, end_ns: int) -> int | None:
    """How many were entered for periods that end within `(start_ns, end_ns]`; None if there was no entry."""
    within = [int(item.value) for item in standing if start_ns < _end(item) <= end_ns]
    return sum(within) if within else None


def _end(item: Declaration) -> int:
    assert item.end_ns is not None  # an entry in force has an end
    return item.end_ns
